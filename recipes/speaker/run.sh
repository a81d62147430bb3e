#!/usr/bin/env bash
# One speaker's recordings, no transcripts: a model hears them, learns from what it heard, and reads them better.
# usage: RECORDINGS=... ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   RECORDINGS=folder   or a file, by its absolute path: five minutes of speech or more, of one speaker
#   MODEL=folder        hears, and learns; without it, the English model
#   NETWORKS="exp ..."  experiments that learn in its place, and become one
#   CONF=file           settings that MODEL was trained with; without it, conf/english.toml
# EXP is a model then: asr-transcribe --model exp RECORDINGS. See README.md
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
model=${MODEL:-../../asr/models/english} conf=${CONF:-../../conf/english.toml} data=${DATA:-data} exp=${EXP:-exp}
read -ra networks <<<"${NETWORKS:-$model}"
learned=("$exp") # and of several networks the others:
for ((i = 2; i <= ${#networks[@]}; i++)); do learned+=("$exp/$i"); done

hear() {
  mkdir -p "$data"
  asr-transcribe --model "$model" --format manifest "${RECORDINGS:?set it to a folder or file}" >"$data/heard.jsonl"
}
learn() {  # SETTING ...
  for i in "${!networks[@]}"; do
    asr-train "$conf" --init "${networks[i]}" --train "$data/heard.jsonl" --valid "$data/heard.jsonl" --out "${learned[i]}" \
      data.batch_s=30 train.epochs=6 train.learning_rate=3e-4 train.warmup_steps=5 train.ema_decay=0.98 train.ctc_fraction=0 train.consistency=0.2 "$@"
  done
}
bundle() {
  for name in lm.bin lstm.npz decoder.json calibration.json; do
    [ ! -e "$model/$name" ] || cp "$model/$name" "$exp"
  done
  local others=("${learned[@]:1}")
  asr-export "$exp" "$exp" ${others[@]+--ensemble "${others[@]}"} --int8 --warps 0.96 1.04
}

run_stage 1 "hear" hear
run_stage 2 "learn" learn "$@"
run_stage 3 "bundle" bundle
