#!/usr/bin/env bash
# How far recurrent cells remember: generated tasks, and spoken digits where FSDD is set. See RESULTS.md
# usage: [FSDD=folder] [LIBRISPEECH=folder] ./run.sh [--quick] [--stage N] [--stop-stage N] [section.key=value ...]
set -euo pipefail
cd "$(dirname "$0")"
quick=
[ "${1:-}" != --quick ] || { quick=1 && shift; }
source ../../scripts/stages.sh
data=${DATA:-data} exp=${EXP:-exp} seeds=${SEEDS:-1 2 3} OMP_NUM_THREADS=1
export OMP_NUM_THREADS
lags=(--lags 10 30 100 300 --seeds 1 2 3 --steps 2000) few=(train.epochs=8)
[ -z "$quick" ] || { seeds=1 lags=(--lags 10 30 --seeds 1 --steps 500) few=(train.epochs=2); }
few+=(model.hidden=64 model.dropout=0.1 train.processes=1 train.warmup_steps=30 train.ema_decay=0.98 "augment.speeds=[1.0]")
networks=(2-{lstm,gru,rnn}-{true,false} {1,3,4,5}-lstm-true)  # layers, cell, both directions
[ -z "$quick" ] || networks=(1-{lstm,rnn}-true)

each_network() {  # CONF NAME OVERRIDE ...: train all networks alike on the corpus NAME, which are judged by $data/NAME
  local seed network layers cell both out
  for seed in $seeds; do for network in "${networks[@]}"; do
    IFS=- read -r layers cell both <<<"$network"
    out=$exp/$2/$network/$seed
    asr-train "$1" "${@:3}" "model.cell=$cell" "model.layers=$layers" "model.bidirectional=$both" "train.seed=$seed" \
      --train "$data/$2/train.jsonl" --valid "$data/$2/valid.jsonl" --resume --out "$out"
  done; done
}

run_stage 1 "lags" python lags.py --out "$exp" "${lags[@]}"
[ -z "${FSDD:-}" ] || run_stage 2 "digits: manifests" asr-prepare fsdd "$FSDD" --out "$data/fsdd"
[ -z "${FSDD:-}" ] || run_stage 3 "digits: networks" each_network ../../conf/digits.toml fsdd "${few[@]}" data.batch_s=10 data.max_utterance_s=3 "$@"
read_manifests() {  # the manifests of train-clean-5 and of the development set, named as those of fsdd
  asr-prepare librispeech "$LIBRISPEECH" --subsets train-clean-5 "${DEV:-dev-clean}" --out "$data/librispeech"
  ln -sf train-clean-5.jsonl "$data/librispeech/train.jsonl"
  ln -sf "${DEV:-dev-clean}.jsonl" "$data/librispeech/valid.jsonl"
}

[ -z "${LIBRISPEECH:-}" ] || run_stage 4 "read speech: manifests" read_manifests
[ -z "${LIBRISPEECH:-}" ] || run_stage 5 "read speech: networks" \
  each_network ../../conf/blstm_ctc.toml librispeech "${few[@]}" train.mmi=0.0 "$@"
run_stage 6 "reach" python reach.py "$exp" --data "$data"
run_stage 7 "tables and plots" python report.py "$exp" --out "${OUT:-$exp}"
