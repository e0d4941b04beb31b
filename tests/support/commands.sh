# Commands typed by a script, for shell tests: sourced, after `build` is set. Works in a folder of its
# own, $dir, which is removed in the end with the processes in $pids.
patience_s=${patience_s:-60}
PATH=$build/bin:$PATH

dir=$(cd "$(mktemp -d)" && pwd -P)
export HOME=$dir/home
unset DURE_NODE
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$dir"
}
trap finish EXIT
cd "$dir"

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}
checks=0
# expect CODE FRAGMENT COMMAND...: it ends with that code and one line that has the fragment.
expect() {
  local want=$1 fragment=$2 code=0 lines
  shift 2
  timeout "$patience_s" "$@" >out 2>err </dev/null || code=$?
  lines=$(wc -l <err)
  [ "$code" -eq "$want" ] || fail "\"$*\" ended with $code instead of $want: $(cat err)"
  [ "$lines" -eq 1 ] || fail "\"$*\" wrote $lines lines instead of one: $(cat err)"
  grep -qF -- "$fragment" err || fail "\"$*\" does not say \"$fragment\": $(cat err)"
  checks=$((checks + 1))
}
# must COMMAND...: it succeeds.
must() { "$@" >out 2>err </dev/null || fail "\"$*\" failed: $(cat err)"; }
absent() { [ ! -e "$1" ] || fail "$1 was left behind"; }
# wait_for WHAT COMMAND...: until it succeeds.
wait_for() {
  local what=$1 until=$((SECONDS + patience_s))
  shift
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || fail "$what: not within $patience_s s"
    sleep 0.05
  done
}

# bytes N VALUE: N bytes of one value.
bytes() { head -c "$1" /dev/zero | tr '\0' "\\$(printf %03o "$2")"; }
# u32 N: big-endian.
u32() { printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
# records FOLDER COUNT LABEL HEIGHT WIDTH [SHADE]: IDX files of grey pictures.
records() {
  mkdir "$1"
  { printf '\0\0\x08\x03'; u32 "$2"; u32 "$4"; u32 "$5"; bytes $(($2 * $4 * $5)) "${6:-0}"; } >"$1/images-idx3-ubyte"
  { printf '\0\0\x08\x01'; u32 "$2"; bytes "$2" "$3"; } >"$1/labels-idx1-ubyte"
}
