#!/usr/bin/env bash
# English: one network for characters and phones, a lexicon, a 4-gram; the model that ships. See RESULTS.md
# usage: LIBRISPEECH=... TEXT=... CMUDICT=... ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   LIBRISPEECH=folder      the corpus; TRAIN, DEV: its subsets; the first in DEV chooses epoch and weights
#   LJSPEECH, CATHY=folder  more speech, each with its metadata.csv; may be left out
#   TEXT=books.txt.xz       sentences for the language models; CMUDICT=cmudict.dict: pronunciations
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
: "${LIBRISPEECH:?set it to the corpus}" "${TEXT:?set it to sentences}" "${CMUDICT:?set it to cmudict.dict}"
read -ra train <<<"${TRAIN:-train-clean-100}" && read -ra dev <<<"${DEV:-dev-clean}" && data=${DATA:-data} exp=${EXP:-exp}

manifests() {
  asr-prepare librispeech "$LIBRISPEECH" --subsets "${train[@]}" "${dev[@]}" --out "$data"
  [ -z "${LJSPEECH:-}" ] || asr-prepare csv "$LJSPEECH/metadata.csv" --out "$data/lj.jsonl"
  [ -z "${CATHY:-}" ] || asr-prepare csv "$CATHY/metadata.csv" --out "$data/cathy.jsonl"
  local parts=("${train[@]}" ${LJSPEECH:+lj} ${CATHY:+cathy})
  (cd "$data" && cat "${parts[@]/%/.jsonl}" >all-train.jsonl)
  sed -n 's/.*"text": "\([^"]*\)".*/\1/p' "$data/${dev[0]}.jsonl" >"$data/dev.txt"
}
language_models() {
  asr-lm train --order 4 --prune 1.15e-7 "$TEXT" --out "$data/lm.bin"
  asr-lm convert "$data/lm.bin" --out "$exp/lm.bin" --quantize # in the folder: the default
  asr-lm train-lstm ../../conf/lstm_lm.toml --train "$TEXT" --valid "$data/dev.txt" --out "$data/lstm"
  asr-lm convert "$data/lstm" --out "$exp/lstm.npz" # there it rescores
}
evaluate_all() {  # FOLDER OPTION ...
  for name in "${dev[@]}"; do asr-evaluate "$exp" "$data/$name.jsonl" --out "$exp/$1/$name" "${@:2}"; done
}

run_stage 1 "manifests" manifests
run_stage 2 "language models" language_models
run_stage 3 "lexicon" asr-lexicon "$CMUDICT" "$data/all-train.jsonl" "$exp/lm.bin" --out "$data/lexicon.txt"
run_stage 4 "train" asr-train ../../conf/english.toml "$@" --lexicon "$data/lexicon.txt" \
  --train "$data/all-train.jsonl" --valid "$data/${dev[0]}.jsonl" --out "$exp"
run_stage 5 "evaluate greedily" evaluate_all greedy --decoder greedy
run_stage 6 "bundle" asr-export "$exp" "$exp" --int8 --warps 0.96 1.04
run_stage 7 "tune" tune "$exp" "$data/${dev[0]}.jsonl"
run_stage 7 "evaluate the bundle" evaluate_all bundle
