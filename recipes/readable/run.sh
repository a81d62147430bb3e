#!/usr/bin/env bash
# Readable text: a tagger of capitals and punctuation, learned from any written text. See RESULTS.md
# usage: TRAIN=... VALID=... TEST=... ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   TRAIN, VALID, TEST=files  written text in reading order, a sentence or paragraph a line, each of other authors
#   MODEL=folder              the model that gets the tagger; may be left out: a new folder
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
read -ra train <<<"${TRAIN:?set it to written text}" && read -ra valid <<<"${VALID:?set it to other text}"
read -ra test <<<"${TEST:?set it to unseen text}" && exp=${EXP:-exp} model=${MODEL:-model}

judge() {
  for pauses in none all long; do asr-text judge "$model" "${test[@]}" --pauses "$pauses"; done
}
export_tagger() {
  mkdir -p "$model"
  asr-text export "$exp" "$model" --tune "${valid[@]}"
}

run_stage 1 "train" asr-text train ../../conf/tagger.toml "$@" --train "${train[@]}" --valid "${valid[@]}" --out "$exp"
run_stage 2 "export" export_tagger
run_stage 3 "judge" judge
