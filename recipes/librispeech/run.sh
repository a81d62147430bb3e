#!/usr/bin/env bash
# LibriSpeech, five hours of it: MFCC, deep BiLSTM, CTC, then MMI; phones and a 4-gram. See RESULTS.md
# usage: ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   LIBRISPEECH=folder    the corpus; without it, Mini LibriSpeech is downloaded
#   TRAIN, DEV            names of subsets; of several in DEV, the first one chooses epoch and weights
#   TEXT=books.txt.xz     sentences for the language model; without it, all is made for greedy decoding
#   CMUDICT=cmudict.dict  with TEXT: phones are learned beside characters, and read
#   LSTM=lstm.npz         with TEXT: it rescores; one of such books is in asr/models/english
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/stages.sh
corpus=${LIBRISPEECH:-download} train=${TRAIN:-train-clean-5}
read -ra dev <<<"${DEV:-dev-clean-2}"
data=${DATA:-data} exp=${EXP:-exp} text=${TEXT:-} dictionary=${CMUDICT:-}
download=() && [ -n "${LIBRISPEECH:-}" ] || download=(--download)
greedily=() && [ -n "$text" ] || greedily=(train.mmi=0 train.epochs=40)
phones=() && [ -z "$dictionary" ] || phones=(--lexicon "$data/lexicon.txt")
: "${dictionary:+${TEXT:?CMUDICT needs a language model to read its phones; set TEXT to sentences}}"

evaluate_all() {  # FOLDER OPTION ...
  for name in "${dev[@]}"; do asr-evaluate "$exp" "$data/$name.jsonl" --out "$exp/$1/$name" "${@:2}"; done
}
language_model() { asr-lm train --order 4 --prune 2e-8 "$text" --out "$data/lm.bin"; }
lexicon() { asr-lexicon "$dictionary" "$data/$train.jsonl" "$data/lm.bin" --out "$data/lexicon.txt"; }
decoded_with() { # what is in the folder is the default
  asr-lm convert "$data/lm.bin" --out "$exp/lm.bin" --quantize
  [ -z "${LSTM:-}" ] || cp "$LSTM" "$exp/lstm.npz"
}

run_stage 1 "manifests" asr-prepare librispeech "$corpus" --subsets "$train" "${dev[@]}" \
  ${download[@]+"${download[@]}"} --out "$data"
[ -z "$text" ] || run_stage 2 "language model" language_model
[ -z "$dictionary" ] || run_stage 2 "lexicon" lexicon
[ -z "$text" ] || run_stage 3 "language models of the decoder" decoded_with
run_stage 3 "train" asr-train ../../conf/blstm_ctc.toml ${greedily[@]+"${greedily[@]}"} "$@" \
  ${phones[@]+"${phones[@]}"} --train "$data/$train.jsonl" --valid "$data/${dev[0]}.jsonl" --out "$exp"
run_stage 4 "evaluate greedily" evaluate_all greedy --decoder greedy
[ -z "$text" ] || run_stage 5 "tune" tune "$exp" "$data/${dev[0]}.jsonl"
[ -z "$text" ] || run_stage 5 "evaluate with the language model" evaluate_all lm
