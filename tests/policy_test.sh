#!/usr/bin/env bash
# A member's own limits and terms that change, typed into the real programs: every limit is shown with
# where it comes from, wrong values are refused by name, each limit stops a real client with exit code
# 3 while the organiser reads why, and new terms need an approval.
#
#   tests/policy_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dir=$(cd "$(mktemp -d)" && pwd -P)
federation=
. "$(dirname "$0")/support/faulty_federation.sh"
finish() {
  local code=$?
  end_processes
  if [ "$code" -ne 0 ]; then tail -n 4 "$dir"/*-logs/{coordinator,member-?}.log >&3 || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT

# expect CODE FRAGMENT COMMAND...: it ends with that code and one line that has the fragment.
expect() {
  local want=$1 fragment=$2 lines
  shift 2
  code=0
  timeout "$patience_s" "$@" >"$dir/out" 2>"$dir/err" </dev/null || code=$?
  lines=$(wc -l <"$dir/err")
  [ "$code" -eq "$want" ] || fail "\"$*\" ended with $code instead of $want: $(cat "$dir/err")"
  [ "$lines" -eq 1 ] || fail "\"$*\" wrote $lines lines instead of one: $(cat "$dir/err")"
  grep -qF -- "$fragment" "$dir/err" || fail "\"$*\" does not say \"$fragment\": $(cat "$dir/err")"
}
must() { "$@" >"$dir/out" 2>"$dir/err" </dev/null || fail "\"$*\" failed: $(cat "$dir/err")"; }
says() { grep -qF -- "$1" "$dir/out" || fail "\"$1\" is not said: $(cat "$dir/out")"; }

port=0
use_federation "$dir/fed"
make_terms "$federation.toml" 500 2s
sed -i 's/^max_epsilon = .*/max_epsilon = 50/' "$federation.toml"
dure init "$federation" --from "$federation.toml" >"$logs/init.log"
start_coordinator
for i in 0 1 2 3 4; do join "member-$i"; done
node=$nodes/member-0
policy=$node/policy.json

# ---- what is shown ----
must dure policy show --node "$node"
keys=(ca coordinator_key min_cohort min_sum assume_corrupt max_per_organisation members
  privacy_unit min_noise_multiplier max_clip_norm max_epsilon max_delta total_epsilon total_delta max_rounds
  max_attempts allow_statistics allow_evaluation allowed_models require_secure_aggregation require_sandbox)
for key in "${keys[@]}"; do says "$key "; done
says "terms approved $(date -u +%F)"
says 'epsilon 0.00 of at most 50 per record, 50.00 left'
must dure policy show --node "$node" --json
jq -e --arg keys "${keys[*]}" '(.limits | keys_unsorted) == ($keys | split(" ")) and
  .limits.min_sum.value == 4 and .limits.max_per_organisation.value == null and
  .limits.total_epsilon.value == 50 and .limits.privacy_unit == {value: "record", origin: "default"} and
  .spent.epsilon == 0 and .spent.epsilon_left == 50' "$dir/out" >/dev/null || fail "$(cat "$dir/out")"
must dure policy --node "$node"
says 'epsilon 0.00 of at most 50 per record, 50.00 left'
expect 1 'is not a member'"'"'s folder' dure policy show --node "$dir/nowhere"

# ---- what is no value ----
for key in "${keys[@]}"; do
  for value in -1 nan -nan inf -inf 1e308 abc 1,2,3 0x10; do
    expect 2 "$key = " dure policy set "$key" "$value" --node "$node"
  done
  expect 2 "$key has no value" dure policy set "$key" --node "$node"
done
expect 2 'there is no limit "max_epsilonn": did you mean "max_epsilon"?' dure policy set max_epsilonn 1 --node "$node"
expect 2 'KEY is required' dure policy set --node "$node"
expect 2 'either a value or --default' dure policy set max_epsilon 1 --default --node "$node"
expect 2 '"--nope" was not expected' dure policy set max_epsilon 1 --nope --node "$node"
expect 2 'there is no command "sett": did you mean "set"?' dure policy sett
for value in 0 1e-400 1001; do expect 2 'max_epsilon = ' dure policy set max_epsilon "$value" --node "$node"; done
for value in 1 4097 3.5; do expect 2 'min_cohort = ' dure policy set min_cohort "$value" --node "$node"; done

# ---- values that are set ----
must dure policy set max_epsilon 1.5 --node "$node"
[ ! -s "$dir/err" ] || fail "a stricter limit is warned of: $(cat "$dir/err")"
must dure policy show --node "$node" --json
jq -e --arg day "$(date -u +%F)" '.limits.max_epsilon == {value: 1.5, origin: "set here \($day)"}' "$dir/out" >/dev/null ||
  fail "the limit was not set: $(cat "$dir/out")"
must dure policy set max_epsilon --default --node "$node"
must dure policy set max_epsilon 60 --node "$node"
grep -qF 'max_epsilon = 60.0 allows more than the default, 50.0' "$dir/err" || fail "not warned: $(cat "$dir/err")"
must dure policy set max_epsilon --default --node "$node"
[ ! -s "$dir/err" ] || fail "$(cat "$dir/err")"
for kind in '{"max_epsilon": 1}' nonsense '{"limits": {"max_epsilon": {"value": -1}}}' '{"limits": {"mox_epsilon": {"value": 1}}}'; do
  cp "$policy" "$dir/whole"
  echo "$kind" >"$policy"
  expect 1 "$policy is damaged" dure policy show --node "$node"
  cp "$dir/whole" "$policy"
done
cp "$policy" "$dir/whole"
echo '{"max_epsilon": 2.5, "min_noise_multiplier": 1.0, "min_sum": 4}' >"$policy"
must dure policy show --node "$node"
says 'set here, by an older dure'
cp "$dir/whole" "$policy"

# ---- each limit stops a client, and the organiser reads why ----
for i in 1 2 3 4; do start_member "member-$i"; done
refuses() {
  must dure policy set "$1" "$2" --node "$node"
  start_member member-0
  end_of member-0
  [ "$code" -eq 3 ] || fail "$1 = $2: the client ended with $code: $(tail -n 2 "$logs/member-0.log")"
  tail -n 1 "$logs/member-0.log" | grep -qF -- "$3" || fail "$1: not said: $(tail -n 1 "$logs/member-0.log")"
  [ "${4-}" = alone ] || wait_for "the organiser reads of $1" log_has coordinator "member-0 takes no part .*limit $1"
  must dure policy set "$1" --default --node "$node"
}
refuses min_sum 5 "a sum of 4 members is below this member's limit min_sum = 5"
refuses min_cohort 6 "a round of 5 members is below this member's limit min_cohort = 6"
refuses assume_corrupt 2 'assume_corrupt = 2'
refuses privacy_unit client 'privacy_unit = client'
refuses min_noise_multiplier 1.5 "noise multiplier 1 is below this member's limit min_noise_multiplier = 1.5"
refuses max_clip_norm 0.5 "clip norm 1 is above this member's limit max_clip_norm = 0.5"
refuses max_epsilon 0.001 'max_epsilon = 0.001'
refuses max_delta 1e-7 'max_delta = 1e-07'
refuses max_rounds 10 "500 rounds are above this member's limit max_rounds = 10"
refuses max_attempts 10 "1000 attempts are above this member's limit max_attempts = 10"
refuses allowed_models "$(printf '%064d' 0)" "this member's limit allowed_models"
refuses total_epsilon 0.001 'budget for its data is spent (its limit total_epsilon)' alone
refuses ca "$(printf '00%.0s:' {1..31})00" "against this member's limit ca = 00:" alone
refuses coordinator_key "$(printf '00%.0s:' {1..31})00" "against this member's limit coordinator_key = 00:" alone
grep -q '^charge ' "$node/ledger" && fail "a refusal was charged"

# ---- terms that change ----
for i in 1 2 3 4; do stop_program "member-$i"; done
stop_program coordinator
sed -i 's/^noise_multiplier = .*/noise_multiplier = 0.9/' "$federation/federation.toml"
expect 1 'federation.toml has changed since members agreed to it (5 enrolled): change it back, or `dure coordinator' dure coordinator "$federation"
[ "$(jq .attempts <(dure status "$federation" --json 2>/dev/null || echo '{"attempts":1}'))" -gt 0 ] || fail "nothing has run"
expect 1 'must stay as it was' dure coordinator "$federation" --new-terms
sed -i -e 's/^noise_multiplier = .*/noise_multiplier = 1.0/' -e 's/^count = .*/count = 510/' \
  -e 's/^max_epsilon = .*/max_epsilon = 60/' "$federation/federation.toml"
start_coordinator dure coordinator "$federation" --listen "127.0.0.1:$port" --new-terms
start_member member-0
end_of member-0
[ "$code" -eq 3 ] || fail "new terms: the client ended with $code"
tail -n 1 "$logs/member-0.log" | grep -qF 'the coordinator now asks for other terms: see `dure terms show`' ||
  fail "new terms: $(tail -n 1 "$logs/member-0.log")"
must dure terms show --node "$node"
says 'rounds.count                         500 -> 510'
says 'privacy.max_epsilon                  50.0 -> 60.0'
says 'max_rounds                           500 -> 510  (allows more)'
must dure terms show --node "$node" --json
jq -e '.offered.rounds == 510 and .approved.rounds == 500 and
  ([.differences[].key] | index("rounds.count") != null)' "$dir/out" >/dev/null || fail "$(cat "$dir/out")"
must dure terms reject --node "$node"
expect 1 'asks for no other terms' dure terms reject --node "$node"
must dure policy set max_rounds 505 --node "$node"
code=0
dure terms approve --yes --node "$node" >"$dir/out" 2>"$dir/err" || code=$?
[ "$code" -eq 3 ] || fail "approve against a limit ended with $code: $(cat "$dir/err")"
grep -qF "dure policy set max_rounds 510" "$dir/err" || fail "no remedy: $(cat "$dir/err")"
must dure policy set max_rounds --default --node "$node"
code=0
dure terms approve --node "$node" >"$dir/out" 2>"$dir/err" </dev/null || code=$?
[ "$code" -eq 3 ] && grep -qF 'not approved; the old terms stay' "$dir/err" || fail "$code: $(cat "$dir/err")"
for i in 0 1 2 3 4; do must dure terms approve --yes --node "$nodes/member-$i"; done
must dure terms show --node "$node"
says 'asks for nothing else'
must dure policy show --node "$node" --json
jq -e '.limits.max_rounds.value == 510 and .limits.max_epsilon.value == 60' "$dir/out" >/dev/null || fail "$(cat "$dir/out")"
for i in 0 1 2 3 4; do start_member "member-$i"; done
wait_for 'a round of all under the new terms' is '.history[-1].survivors == 5 and .rounds == 510'
must dure terms show --node "$node"
grep -qF 'a client is running here' "$dir/err" || fail "beside a client: $(cat "$dir/err")"
expect 1 'asks for no other terms' bash -c 'dure terms approve --yes --node "$0" 2>&1 >/dev/null | tail -n 1 >&2; exit "${PIPESTATUS[0]}"' "$node"

# Whoever is no member any more is told nothing.
stop_program member-0
must dure revoke "$federation" member-0
must dure terms show --node "$node"
grep -qF 'this membership was ended by the organiser' "$dir/err" || fail "revoked: $(cat "$dir/err")"

echo "policy_test: all held in $SECONDS s"
