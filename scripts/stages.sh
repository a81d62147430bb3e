# Sourced by recipes: takes --stage and --stop-stage off the arguments, leaves section.key=value.
stage=1
stop_stage=99
overrides=()
while [ $# -gt 0 ]; do
  case $1 in
    --stage) stage=${2:?a number} && shift 2 ;;
    --stop-stage) stop_stage=${2:?a number} && shift 2 ;;
    *.*=*) overrides+=("$1") && shift ;;
    *) echo "usage: $0 [--stage N] [--stop-stage N] [section.key=value ...]" >&2 && exit 2 ;;
  esac
done
set -- ${overrides[@]+"${overrides[@]}"}

# run_stage NUMBER TITLE COMMAND ...: run the command unless its stage is not wanted.
run_stage() {
  local number=$1 title=$2
  shift 2
  if [ "$number" -ge "$stage" ] && [ "$number" -le "$stop_stage" ]; then
    echo "stage $number: $title" >&2
    "$@"
  fi
}

# tune EXP MANIFEST ...: as many utterances as a quarter of one set, spread over the sets, choose the
# weights of the decoder, kept in EXP. Sets of the same utterances lend different ones.
tune() {
  local exp=$1 chosen=${2%.jsonl}-tune.jsonl
  shift
  awk -v sets=$# 'FNR == 1 { set++ } FNR % (4 * sets) == 4 * set - 3' "$@" >"$chosen"
  asr-evaluate "$exp" "$chosen" --out "$exp/tune" --tune
}
