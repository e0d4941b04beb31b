#!/usr/bin/env bash
# `dure bench`: what it prints, what it refuses, and that it leaves nothing behind. No figure is
# judged.
#
#   tests/bench_test.sh BUILD_FOLDER
set -euo pipefail

build=$(cd "$1" && pwd)
. "$(dirname "$0")/support/commands.sh"
mkdir tmp
export TMPDIR=$dir/tmp

# One object a line with the five keys, numbers above 0 and the ratio that follows from them.
well_formed='
  (.name | type) == "string" and (.unit == "s" or .unit == "B")
  and .value > 0 and .limit > 0 and (.ratio - .limit / .value | fabs) < 1e-9'
json() {
  timeout "$patience_s" dure bench --quick --json "$@" >out 2>err ||
    fail "dure bench $* ended with $?: $(cat err)"
  [ ! -s err ] || fail "dure bench $* wrote to standard error: $(cat err)"
  jq -e "$well_formed" <out >/dev/null || fail "dure bench $* printed $(cat out)"
}

json --filter mask
[ "$(jq -r .name <out | tr '\n' ' ')" = "mask/1000000 mask/1000000/unmasking " ] ||
  fail "--filter mask chose $(cat out)"
json --filter start/version,mask
[ "$(jq -r .name <out | sort | tr '\n' ' ')" = "mask/1000000 mask/1000000/unmasking start/version " ] ||
  fail "two filters chose $(cat out)"
# Ten members, a coordinator and the bare streams, as processes.
json --filter round/10x26000
jq -e '.coordinator_peak_bytes > 0 and .bytes_up > 0' <out >/dev/null || fail "a round: $(cat out)"
[ -z "$(ls tmp)" ] || fail "files were left: $(ls tmp)"
# A process that encodes an update tells how much memory that took.
json --filter encode/10000000/memory
jq -e '.of_the_update > 1' <out >/dev/null || fail "the memory of an encoding: $(cat out)"

dure bench --quick --filter mask >out
grep -q '^name .*ratio$' out || fail "the table has no heading: $(cat out)"

expect 2 'no benchmark'\''s name contains "maks"; there are aggregate/10x10000000, ' dure bench --filter maks
expect 2 '--frobnicate' dure bench --frobnicate
expect 2 'mask' dure bench mask
expect 2 '--filter' dure bench --filter
# The processes of a benchmark are none of the user's commands.
expect 2 'role' dure bench role coordinator

# Ctrl-C: the processes and the files go.
dure bench --filter round/10x1000000 >out 2>err &
pid=$!
pids+=("$pid")
has_members() { compgen -G 'tmp/*/1/round/member-9/membership.json' >/dev/null; }
wait_for "the members of a round" has_members
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
[ "$code" -eq 143 ] || fail "a benchmark that was stopped ended with $code"
[ -z "$(ls tmp)" ] || fail "files were left: $(ls tmp)"
echo "bench_test: ok"
