#!/usr/bin/env bash
# Stage 1 of run.sh, which says what the variables mean: all-train.jsonl, kept-out.jsonl, valid.jsonl, dev.txt
# usage: LIBRISPEECH=... [MORE=...] [KEPT_OUT=...] ./manifests.sh DATA TRAIN DEV
set -euo pipefail
data=$1
read -ra train <<<"$2" && read -ra dev <<<"$3" && read -ra more <<<"${MORE:-}"
more=(${more[@]+"${more[@]%/}"}) # a folder may be typed with a slash at its end

asr-prepare librispeech "$LIBRISPEECH" --subsets "${train[@]}" "${dev[@]}" --out "$data"
for folder in ${more[@]+"${more[@]}"}; do
  asr-prepare csv "$folder/metadata.csv" --out "$data/${folder##*/}.jsonl"
done
cd "$data"
cat "${train[@]/%/.jsonl}" >all-train.jsonl
: >kept-out.jsonl
more=(${more[@]+"${more[@]##*/}"})
awk -v kept=" ${KEPT_OUT:-} " '{
  known = match($0, /"speaker": "[^"]+"/) && index(kept, " " substr($0, RSTART + 12, RLENGTH - 13) " ")
  print >>(known ? "kept-out.jsonl" : "all-train.jsonl")
}' /dev/null ${more[@]+"${more[@]/%/.jsonl}"}
for speaker in ${KEPT_OUT:-}; do
  grep -q "\"speaker\": \"$speaker\"" kept-out.jsonl ||
    { echo "KEPT_OUT: $speaker is no speaker in the folders of MORE" >&2 && exit 1; }
done
awk 'FNR % 12 == 1' "${dev[0]}.jsonl" kept-out.jsonl >valid.jsonl
sed -n 's/.*"text": "\([^"]*\)".*/\1/p' "${dev[0]}.jsonl" >dev.txt
