#!/usr/bin/env bash
# LibriSpeech, five hours of it: MFCC, deep BiLSTM, CTC over characters. See RESULTS.md
# usage: ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   LIBRISPEECH=folder  the corpus; without it, Mini LibriSpeech is downloaded
#   TRAIN, DEV          names of subsets; of several in DEV, the first one chooses the epoch
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
corpus=${LIBRISPEECH:-download} train=${TRAIN:-train-clean-5}
read -ra dev <<<"${DEV:-dev-clean-2}"
data=${DATA:-data} exp=${EXP:-exp}
download=() && [ -n "${LIBRISPEECH:-}" ] || download=(--download)

evaluate_all() {
  for name in "${dev[@]}"; do asr-evaluate "$exp" "$data/$name.jsonl" --out "$exp/$name"; done
}

run_stage 1 "manifests" asr-prepare librispeech "$corpus" --subsets "$train" "${dev[@]}" \
  ${download[@]+"${download[@]}"} --out "$data"
run_stage 2 "train" asr-train ../../conf/blstm_ctc.toml "$@" \
  --train "$data/$train.jsonl" --valid "$data/${dev[0]}.jsonl" --out "$exp"
run_stage 3 "evaluate" evaluate_all
