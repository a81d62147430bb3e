#!/usr/bin/env bash
# Judge a model on the recordings of a manifest as they are, in rooms, in noise and as over a telephone
# usage: [EXP=folder] [CAFE=folder] [TRAFFIC=folder] [DATA=folder] ./conditions.sh MANIFEST
#   EXP=folder            the model
#   CAFE, TRAFFIC=folder  recordings of noise, mixed in at 10 and at 5 dB; without them, not in noise
#   DATA=folder           for the recordings made anew, which are kept; rooms, the last, need pyroomacoustics
set -euo pipefail
manifest=$(realpath "${1:?usage: conditions.sh MANIFEST}")
cd "$(dirname "$0")"
bench=../../scripts/bench data=${DATA:-data} exp=${EXP:-exp} set=$(basename "$manifest" .jsonl)

# anew CONDITION FILE SCRIPT OPTION ...: make the recordings, if they are not there
anew() {
  local name=$set-$1
  [ -e "$data/$name.jsonl" ] || {
    python3 "$bench/$3" "$manifest" "$data/$name" "${@:4}"
    sed "s|\"audio\": \"|&$name/|" "$data/$name/$2" >"$data/$name.jsonl" # beside the other sets
  }
  judge "$name" "$data/$name.jsonl"
}
judge() { # NAME MANIFEST
  local score
  score=$(asr-evaluate "$exp" "$2" --out "$data/judged/$1" | grep %WER)
  echo "$1: $score"
}
judge "$set" "$manifest"
anew telephone telephone.jsonl noise.py --telephone
[ -z "${CAFE:-}" ] || anew cafe noisy.jsonl noise.py --noises "$CAFE" --snr 10
[ -z "${TRAFFIC:-}" ] || anew traffic noisy.jsonl noise.py --noises "$TRAFFIC" --snr 5
anew rooms rooms.jsonl rooms.py
