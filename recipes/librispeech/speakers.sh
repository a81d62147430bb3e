#!/usr/bin/env bash
# What a model gains by learning from what it hears of a speaker (../speaker), for each of a set apart. See RESULTS.md
# usage: LIBRISPEECH=... DEV=... MODEL=... [NETWORKS="exp ..."] [CONF=...] ./speakers.sh [section.key=value ...]
#   MODEL=bundle   with its language models and their weights, such as exp/all of seeds.sh
#   DECODING="--set lm_weight=0.6"   other weights, for what has learned
# DATA has the manifests of run.sh's first stage. Paths are absolute.
set -euo pipefail
cd "$(dirname "$0")"
: "${LIBRISPEECH:?set it to the corpus}" "${MODEL:?set it to a bundle}"
read -ra dev <<<"${DEV:-dev-clean-2}" && read -ra decoding <<<"${DECODING:-}"
exp=${EXP:-$PWD/exp/speakers} data=${DATA:-$PWD/data}

for name in "${dev[@]}"; do
  for folder in "$LIBRISPEECH/$name"/*/; do
    speaker=$(basename "$folder") && adapted=$exp/$name/$speaker && own=$data/$name-$speaker.jsonl
    grep "\"speaker\": \"$speaker\"" "$data/$name.jsonl" >"$own"
    RECORDINGS=$folder DATA=$adapted/data EXP=$adapted ../speaker/run.sh "$@"
    asr-evaluate "$MODEL" "$own" --out "$adapted/before"
    asr-evaluate "$adapted" "$own" --out "$adapted/after" ${decoding[@]+"${decoding[@]}"}
  done
  for when in before after; do cat "$exp/$name"/*/$when/hyp.trn >"$exp/$name/$when.trn"; done
  cat "$exp/$name"/*/after/ref.trn >"$exp/$name/ref.trn"
  asr-score "$exp/$name/ref.trn" "$exp/$name/before.trn" "$exp/$name/after.trn"
done
