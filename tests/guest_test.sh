#!/usr/bin/env bash
# A client as a guest on somebody's machine, typed into the real programs: its limits, pauses, what it
# says while it waits, preflight, the systemd unit, leaving.
#
#   tests/guest_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=120
. "$(dirname "$0")/support/commands.sh"
unset XDG_CONFIG_HOME XDG_DATA_HOME DURE_DATA_LEDGERS
mkdir -p "$HOME"

sed -e 's/^count = .*/count = 2/; s/^cohort = .*/cohort = 4/; s/^minimum = .*/minimum = 3/' \
  -e 's/^max_attempts = .*/max_attempts = 10/; s/^total_records = .*/total_records = 100/' \
  -e 's/^max_records_per_member = .*/max_records_per_member = 25/' \
  -e 's/^max_epsilon = .*/max_epsilon = 50/; s/^sampling_rate = .*/sampling_rate = 0.1/' \
  -e 's/^address = .*/address = "127.0.0.1:0"/' "$build/share/dure/examples/fashion.toml" >small.toml
must dure init fed --from small.toml
start_coordinator() {
  rm -f coordinator.log
  dure coordinator fed --listen 127.0.0.1:0 >coordinator.log 2>&1 &
  coordinator=$!
  pids+=("$coordinator")
  wait_for 'the coordinator' grep -q 'listening on' coordinator.log
}
start_coordinator
records pictures 20 1 28 28 7
must dure invite fed --name clinic-1
token=$(cat out)
must dure join "$token" --node node --yes
must dure data add pictures --node node

# ---- limits of the machine's owner ----
expect 2 'max_threads = "0": it must be an integer, 1 to 1024, or all' dure policy set max_threads 0 --node node
expect 2 'hours = "22-7": it must be always, or hours' dure policy set hours 22-7 --node node
expect 2 'pause_when_used = "maybe": it must be auto, true or false' dure policy set pause_when_used maybe --node node
expect 2 'did you mean "max_upload"?' dure policy set max_uplod 1MB --node node
expect 2 'max_memory has no value: it must be a size' dure policy set max_memory --node node
must dure policy set max_threads 1 --node node
must dure policy set max_upload 4Mbit --node node
must dure policy set pause_on_battery false --node node
must dure policy show --json --node node
jq -e '.machine.max_threads.value == "1" and .machine.max_upload.value == "4Mbit" and
       .machine.hours == {"value": "always", "origin": "default"} and
       (.machine.max_threads.origin | startswith("set here"))' out >/dev/null || fail "policy show says $(cat out)"
must dure policy set max_upload --default --node node
grep -q 'max_upload = none (default)' out || fail "--default says $(cat out)"

# ---- preflight ----
must dure preflight --node node --json
jq -e '.ready and (.checks | map(select(.result == "FAIL")) | length == 0) and
       ([.checks[].check] | contains(["address", "tls", "certificate", "terms", "clock", "policy", "budget",
        "disk", "data", "trainer", "sandbox: no network", "sandbox: no files"]))' out >/dev/null ||
  fail "preflight says $(cat out)"
must dure preflight --node node
cp out preflight.out
grep -q '^PASS  tls  *not opened on the way' out || fail "preflight says $(cat out)"
chmod 700 pictures
mv pictures elsewhere
timeout "$patience_s" dure preflight --node node >out 2>err && fail 'preflight is content without data'
grep -q '^FAIL  data .*dure data add PATH --node node' out || fail "without data preflight says $(cat out)"
mv elsewhere pictures

# ---- pauses, and what it waits for ----
status_says() { dure client status --node node --json 2>/dev/null | jq -e "$1" >/dev/null; }
must dure client pause --node node
grep -q 'no client runs now' out || fail "pause says $(cat out)"
dure client --node node >client.log 2>&1 &
client=$!
pids+=("$client")
wait_for 'a client that is paused' status_says '.waiting.reason == "paused" and .state == "connected"'
must dure client status --node node
grep -q 'paused by `dure client pause`, until `dure client resume`; round 0 of 2' out || fail "status says $(cat out)"
must dure client resume --node node
wait_for 'a client that waits for others' \
  status_says '.waiting.reason == "too_few_members" and (.waiting.text | test("waiting for 3 of 4 members"))'
status_says '.clock_ahead_seconds | fabs < 60' || fail 'the clock is not compared'
grep -q 'no longer paused' client.log || fail "the client's own lines are $(cat client.log)"
# Hours in which it is not: from tomorrow's day on.
days=(sun mon tue wed thu fri sat)
must dure policy set hours "${days[$((($(date +%w) + 2) % 7))]}" --node node
must dure client pause --node node
must dure client resume --node node
wait_for 'a client outside its hours' status_says '.waiting.reason == "outside_hours" and .waiting.until_unix > now'
must dure policy set hours --default --node node
must dure preflight --node node
grep -q '^PASS  client  *it runs: ' out || fail "beside a client preflight says $(cat out)"

# ---- a coordinator that is gone ----
kill "$coordinator"
wait "$coordinator" || true
wait_for 'a client that says who does not answer' \
  status_says '.waiting.reason == "unreachable" and (.waiting.text | test("127.0.0.1:[0-9]+.*nothing listens there.*(next attempt in|trying now)"))'
[ "$(grep -c 'nothing listens there' client.log)" -le 1 ] || fail "it repeats itself: $(cat client.log)"
timeout "$patience_s" dure preflight --node node >out 2>err && fail 'preflight is content without a coordinator'
grep -q '^FAIL  address .*nothing listens at 127.0.0.1' out || fail "preflight says $(cat out)"

# ---- the unit ----
must dure client install --node node --print
grep -qxF "ExecStart=\"$(readlink -f "$build/bin/dure")\" client --node \"$dir/node\"" out || fail "the unit is $(cat out)"
must dure client install --node node
unit=$HOME/.config/systemd/user/dure-client-node.service
[ -f "$unit" ] || fail 'no unit was written'
grep -q 'systemctl --user enable --now dure-client-node.service' out || fail "install says $(cat out)"
mkdir run
if command -v systemd-analyze >/dev/null; then
  XDG_RUNTIME_DIR=$dir/run systemd-analyze verify --user --man=no "$unit" >verify.log 2>&1 || true
  ! grep -i 'dure-client' verify.log || fail "systemd does not understand the unit: $(cat verify.log)"
fi
must dure client uninstall --node node
absent "$unit"
expect 1 'nothing to remove' dure client uninstall --node node

# ---- leaving ----
start_coordinator
wait_for 'a client that is back' status_says '.state == "connected"'
expect_refused() {
  local code=0
  dure leave --node node --purge </dev/null >out 2>err || code=$?
  [ "$code" -eq 3 ] || fail "leave without a yes ended with $code"
}
expect_refused
grep -q 'private/member.key (overwritten first)' out || fail "leave says $(cat out)"
grep -q "data-ledgers/[0-9a-f]*/ledger" out || fail "leave does not name the ledger that stays: $(cat out)"
kill -0 "$client" || fail 'the client has ended though nobody left'
echo mine >node/notes.txt
must dure leave --node node --purge --yes
wait "$client" || fail "the client ended with $?"
[ "$(ls node)" = notes.txt ] || fail "leave left $(ls -R node)"
wait_for "the coordinator's log" grep -q 'clinic-1: it leaves the federation for good' coordinator.log
ls "$HOME"/.local/share/dure/data-ledgers/*/ledger >/dev/null || fail 'the ledger of the data is gone'
expect 1 'node is no' dure client status --node node

echo "guest_test: $checks faults in $SECONDS s"
