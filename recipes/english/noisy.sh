#!/usr/bin/env bash
# Fine-tune networks for recordings with noise, on noisy copies of what run.sh has trained on
# usage: NOISES=folder [DATA=folder] ./noisy.sh EXP ...
#   EXP            an experiment to go on from; makes EXP-noisy. Each EXP has noise of its own
#   NOISES=folder  recordings of noise, as README.md says
set -euo pipefail
: "${1:?usage: noisy.sh EXP ...}" "${NOISES:?set it to recordings of noise}"
noises=$(realpath "$NOISES") networks=()
for exp in "$@"; do
  [[ $exp == /* ]] || exp=$PWD/$exp
  networks+=("${exp%/}")
done
cd "$(dirname "$0")"
data=${DATA:-data} seed=0
export PYTHONPATH=../../scripts/bench${PYTHONPATH:+:$PYTHONPATH}

for exp in "${networks[@]}"; do
  seed=$((seed + 1))
  for set in all-train valid; do
    python3 noisy.py "$data/$set.jsonl" "$noises" "$data/$set-noisy-$seed" "$seed"
  done
  asr-train english --init "$exp" --train "$data/all-train-noisy-$seed/noisy.jsonl" \
    --valid "$data/valid-noisy-$seed/noisy.jsonl" --out "$exp-noisy" train.processes=1 \
    train.seed="$seed" train.epochs=2 train.learning_rate=5e-4 train.warmup_steps=30 \
    train.ctc_fraction=0.0 augment.reverb_prob=0.25 augment.telephone_prob=0.1
done
