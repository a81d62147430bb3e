#!/usr/bin/env bash
# Generated tones as words: no download, under a minute on a CPU, learns to 0 % WER.
# usage: ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
data=${DATA:-data} exp=${EXP:-exp}

run_stage 1 "tones" asr-prepare tones --out "$data"
run_stage 2 "train" asr-train ../../conf/smoke.toml "$@" \
  --train "$data/train.jsonl" --valid "$data/valid.jsonl" --out "$exp"
run_stage 3 "evaluate" asr-evaluate "$exp" "$data/test.jsonl" --out "$exp/test"
