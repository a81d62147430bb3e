#!/usr/bin/env bash
# Free Spoken Digit Dataset: ten words, six speakers. See RESULTS.md
# usage: FSDD=folder-with-recordings ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
corpus=${FSDD:?set FSDD to a clone of https://github.com/Jakobovski/free-spoken-digit-dataset}
data=${DATA:-data} exp=${EXP:-exp} conf=../../conf/digits.toml

evaluate_all() {  # EXPERIMENT MANIFEST ...
  for name in "${@:2}"; do asr-evaluate "$exp/$1" "$data/$name.jsonl" --out "$exp/$1/$name"; done
}

run_stage 1 "manifests" asr-prepare fsdd "$corpus" --out "$data"
run_stage 2 "train: four speakers" asr-train $conf "$@" \
  --train "$data/train.jsonl" --valid "$data/valid.jsonl" --out "$exp/speakers"
run_stage 3 "evaluate: a fifth to tune on, a sixth never heard" evaluate_all speakers valid test
run_stage 4 "train: all speakers" asr-train $conf "$@" \
  --train "$data/all-train.jsonl" --valid "$data/all-valid.jsonl" --out "$exp/takes"
run_stage 5 "evaluate: takes never heard" evaluate_all takes all-valid all-test
