#!/usr/bin/env bash
# Networks of several seeds, each by run.sh, their mean WER, and all of them as one. See RESULTS.md
# usage: LIBRISPEECH=... DEV=... TEXT=... CMUDICT=... SEEDS="1 2 3" ./seeds.sh [--stage N] [section.key=value ...]
# The networks are EXP/1 and so on, the bundle is EXP/all.
set -euo pipefail
cd "$(dirname "$0")"
read -ra dev <<<"${DEV:-dev-clean-2}" && read -ra seeds <<<"${SEEDS:-1 2 3}"
exp=${EXP:-exp} data=${DATA:-data}
networks=("${seeds[@]/#/$exp/}") decoding=${TEXT:+lm}

./run.sh "$@" --stop-stage 2 # manifests, language model, lexicon: the same for all
for seed in "${seeds[@]}"; do
  EXP=$exp/$seed ./run.sh --stage 3 "$@" train.seed="$seed"
done
source ../../scripts/stages.sh
asr-export "${networks[0]}" "$exp/all" --ensemble "${networks[@]:1}" --int8 --warps 0.96 1.04
[ -z "$decoding" ] || tune "$exp/all" "$data/${dev[0]}.jsonl" # several are surer than one
for name in "${dev[@]}"; do
  asr-evaluate "$exp/all" "$data/$name.jsonl" --out "$exp/all/$name"
  asr-score "$exp/all/$name/ref.trn" "${networks[@]/%//${decoding:-greedy}/$name/hyp.trn}"
done
