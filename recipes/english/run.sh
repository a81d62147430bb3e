#!/usr/bin/env bash
# English: one network for characters and phones, a lexicon, a 4-gram; the model that ships. See RESULTS.md
# usage: LIBRISPEECH=... TEXT=... CMUDICT=... ./run.sh [--stage N] [--stop-stage N] [section.key=value ...]
#   LIBRISPEECH=folder      the corpus; TRAIN, DEV: its subsets; the first in DEV chooses epoch and weights
#   MORE="folder ..."       more speech, each folder with its metadata.csv; may be left out
#   KEPT_OUT="speaker ..."  speakers of MORE to judge on, whom training does not hear
#   NOISES=folder           noise, for the speech of training and for networks of their own (noisy.sh)
#   JOINED="exp ..."        experiments to make one bundle with: all networks hear each recording
#   TUNE="set ..."          sets to choose the decoder's weights on, which may be those of conditions.sh
#   TEXT="books.txt.xz ..." sentences for the language models; a text given twice counts twice
#   CMUDICT=cmudict.dict    pronunciations
set -euo pipefail
cd "$(dirname "$0")" && source ../../scripts/stages.sh
: "${LIBRISPEECH:?set it to the corpus}" "${TEXT:?set it to sentences}" "${CMUDICT:?set it to cmudict.dict}"
read -ra train <<<"${TRAIN:-train-clean-100}" && read -ra dev <<<"${DEV:-dev-clean}" && data=${DATA:-data} exp=${EXP:-exp}
read -ra text <<<"$TEXT" && read -ra tune_on <<<"${TUNE:-${dev[0]}}"
tune_on=("${tune_on[@]/%/.jsonl}") && tune_on=("${tune_on[@]/#/$data/}")
language_models() {
  asr-lm train --language en --order 4 --vocab-size 160000 --prune 7e-8 "${text[@]}" --out "$data/lm.bin"
  asr-lm convert "$data/lm.bin" --out "$exp/lm.bin" --quantize # in the folder: the default
  asr-lm train-lstm ../../conf/lstm_lm.toml --language en --train "${text[@]}" --valid "$data/dev.txt" \
    --out "$data/lstm" lm.vocabulary_size=26000 train.epochs=96
  asr-lm convert "$data/lstm" --out "$exp/lstm.npz" # there it rescores
}
evaluate_all() {  # FOLDER OPTION ...
  for name in "${dev[@]}" ${KEPT_OUT:+kept-out}; do asr-evaluate "$exp" "$data/$name.jsonl" --out "$exp/$1/$name" "${@:2}"; done
}

run_stage 1 "manifests" ./manifests.sh "$data" "${train[*]}" "${dev[*]}"
run_stage 2 "language models" language_models
run_stage 3 "lexicon" asr-lexicon "$CMUDICT" "$data/all-train.jsonl" "$exp/lm.bin" --out "$data/lexicon.txt"
run_stage 4 "train" asr-train ../../conf/english.toml \
  ${NOISES:+augment.noises="$NOISES" augment.recorded_prob=0.15} "$@" --lexicon "$data/lexicon.txt" \
  --train "$data/all-train.jsonl" --valid "$data/valid.jsonl" --out "$exp"
run_stage 5 "evaluate greedily" evaluate_all greedy --decoder greedy
[ -z "${NOISES:-}" ] || DATA=$data run_stage 5 "networks for noise" ./noisy.sh "$exp" ${JOINED:-}
run_stage 6 "bundle" asr-export "$exp" "$exp" ${JOINED:+--ensemble $JOINED} \
  ${NOISES:+--noisy $(printf '%s\n' "$exp" ${JOINED:-} | sed 's|/*$|-noisy|')} --int8 --warps 0.96 1.04
run_stage 7 "tune" tune "$exp" "${tune_on[@]}"
run_stage 7 "evaluate the bundle" evaluate_all bundle
