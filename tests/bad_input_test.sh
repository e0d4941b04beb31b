#!/usr/bin/env bash
# Bad input on disk and over the wire, given to the real programs during a run: a disk that is full
# or read-only, a state that is damaged, gone or too old, bytes that are no protocol. Each must get
# one clear line and the right exit code, and nothing may be lost: the same command goes on when the
# fault is gone.
#
#   tests/bad_input_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
. "$(dirname "$0")/support/commands.sh"
# A library that fails like a disk (support/disk_fault.cc); not built with sanitizers.
fault=$build/lib/libdisk_fault.so

# ends PID LOG FRAGMENT: the process ends with code 1 and one line of `dure` that has the fragment.
ends() {
  local code=0
  wait_for "$2: the end" dead "$1"
  wait "$1" || code=$?
  [ "$code" -eq 1 ] || fail "$2: it ended with $code instead of 1: $(tail -n 5 "$2")"
  [ "$(grep -c '^dure: ' "$2")" -eq 1 ] || fail "$2: not one line: $(cat "$2")"
  grep '^dure: ' "$2" | grep -qF -- "$3" || fail "$2 does not say \"$3\": $(grep '^dure: ' "$2")"
  checks=$((checks + 1))
}
dead() { ! kill -0 "$1" 2>/dev/null; }
has_line() { grep -q -- "$1" "$2" 2>/dev/null; }

# ---- a federation of four ----
records data 20 1 2 2 9
cat >small.toml <<TOML
[federation]
name    = "faults"
purpose = "See what is lost when things fail"
license = "Apache-2.0"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 2, 2]
classes = 3
[rounds]
count = 5000
cohort = 4
minimum = 3
max_attempts = 10000
deadline = "1m"
[local]
sampling_rate = 0.1
[server]
optimizer = "fedadam"
learning_rate = 0.01
[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 1000.0
total_records = 80
max_records_per_member = 20
[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.1
TOML
must dure init fed --from small.toml
# start_coordinator [PREFIX...]: its process is in $coordinator, its port in $port.
start_coordinator() {
  rm -f coordinator.log
  "$@" dure coordinator fed >coordinator.log 2>&1 &
  coordinator=$!
  pids+=("$coordinator")
  wait_for "the coordinator" has_line 'listening on' coordinator.log
  port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' coordinator.log)
}
stop_coordinator() {
  kill "$coordinator"
  wait "$coordinator" || fail "the coordinator ended with $?: $(cat coordinator.log)"
}
# start_client NAME [PREFIX...]: its process is in $client.
start_client() {
  local name=$1
  shift
  rm -f "$name.log"
  "$@" dure client --node "$name" --threads 1 >"$name.log" 2>&1 &
  client=$!
  pids+=("$client")
}
round() { dure status fed --json 2>/dev/null | jq .round; }
reaches() { [ "$(round)" -ge "$1" ] 2>/dev/null; }
history() { dure status fed --json | jq -c '[.history[] | {round, attempt, model_hash}]'; }
# keeps HISTORY: every round of it is still there, as it was.
keeps() {
  dure status fed --json | jq -c '[.history[] | {round, attempt, model_hash}]' |
    jq -e --argjson before "$1" '.[:($before | length)] == $before' >/dev/null
}

start_coordinator
for name in a b c d; do
  must dure join "$(dure invite fed --name "$name" 2>/dev/null)" --yes --node "$name"
  must dure data add data --node "$name"
done
token=$(dure invite fed --name spare 2>/dev/null)

# ---- an invitation that is taken back ----
withdrawn=$(dure invite fed --name early 2>/dev/null)
must dure revoke fed early
expect 1 'this token was withdrawn by the organiser' dure join "$withdrawn" --yes --node early
absent early
expect 1 'no member is named "early", and no open invitation' dure revoke fed early

# ---- bytes that are no protocol ----
for _ in 1 2 3 4 5; do head -c 3000 /dev/urandom >"/dev/tcp/127.0.0.1/$port" || true; done 2>/dev/null
printf 'GET / HTTP/1.1\r\n\r\n' >"/dev/tcp/127.0.0.1/$port"
reaches 0 || fail "the coordinator did not survive bytes that are no TLS"
expect 2 'an argument is not UTF-8' dure invite fed --name $'\xff'
[ "$(wc -l <coordinator.log)" -le 16 ] || fail "the coordinator talks too much: $(cat coordinator.log)"

for name in b c d; do start_client "$name"; done
start_client a
member_a=$client
wait_for 'the first rounds' reaches 3

# ---- a file that may not grow: an error of write(), not a signal that kills ----
# Standard error is a file here too.
expect 1 'raise the limit (ulimit -f)' bash -c \
  '(ulimit -f 0; exec dure model init --federation small.toml --out weights) 2>&1 | cat >&2; exit ${PIPESTATUS[0]}'
absent weights

# ---- disks ----
if [ -e "$fault" ]; then
  when=$dir/now
  declare -A words=([full]='No space left on device; make room there' [readonly]='Read-only file system')
  # disk KIND FOLDER: sets $on_disk to what makes a command see such a disk below the folder.
  disk() {
    on_disk=(env LD_PRELOAD="$fault" DISK_FAULT_KIND="$1" DISK_FAULT_FOLDER="$dir/$2"
      DISK_FAULT_WHEN="$when")
  }

  for kind in full readonly; do
    # Commands that write once.
    touch "$when"
    for folder in node parts new weights; do mkdir "$folder"; done
    disk "$kind" node
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure join "$token" --yes --node node/spare
    absent node/spare
    disk "$kind" parts
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure data partition data --clients 2 --partition iid --out parts/p
    absent parts/p
    disk "$kind" new
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure init new/fed --from small.toml
    absent new/fed
    disk "$kind" weights
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure model init --federation small.toml --out weights/w
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure model export fed --format safetensors --out weights/m
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure model export fed --format torchscript --out weights/m
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure model export fed --format huggingface --out weights/m
    [ -z "$(ls -A weights)" ] || fail "a $kind disk: $(ls -A weights) was left behind"
    disk "$kind" a
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure data add data --node a
    rm -r "$when" node parts new weights

    # A member in the middle of a run: its ledger.
    kill "$member_a"
    wait "$member_a" || fail "the client ended with $?: $(cat a.log)"
    disk "$kind" a
    start_client a "${on_disk[@]}"
    wait_for 'a takes part' has_line '^connected' a.log
    touch "$when"
    ends "$client" a.log "the ledger could not be written"
    grep -qF -- "${words[$kind]}" a.log || fail "a.log does not say why: $(cat a.log)"
    cp a/ledger spent
    rm "$when"
    start_client a
    member_a=$client
    wait_for 'a is charged again' eval '[ "$(wc -l <a/ledger)" -gt "$(wc -l <spent)" ]'
    cmp -s <(head -n "$(wc -l <spent)" a/ledger) <(head -n "$(wc -l <spent)" spent) ||
      fail "entries of a's ledger were lost on a $kind disk"
    [ -z "$(awk '$1 == "charge" {print $3}' a/ledger | sort -n | uniq -d)" ] ||
      fail "a was charged twice for one attempt"

    # The coordinator in the middle of a run: its database and its models.
    stop_coordinator
    disk "$kind" fed
    start_coordinator "${on_disk[@]}"
    at=$(round)
    wait_for 'further rounds' reaches $((at + 2))
    touch "$when"
    ends "$coordinator" coordinator.log 'the run stops where it was'
    grep '^dure: ' coordinator.log | grep -qF -- "${words[$kind]}" || fail "why? $(cat coordinator.log)"
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure coordinator fed
    expect 1 "${words[$kind]}" "${on_disk[@]}" dure model export fed --out fed/model.pt
    rm "$when"
    before=$(history)
    [ "$(jq length <<<"$before")" -ge $((at + 2)) ] || fail "rounds were lost on a $kind disk"
    start_coordinator
    wait_for 'rounds after the fault' reaches $(($(jq length <<<"$before") + 2))
    keeps "$before" || fail "history changed on a $kind disk"
  done
  must dure join "$token" --yes --node spare
fi

# ---- a state that is damaged, gone or too old ----
kill -KILL "$coordinator"
wait "$coordinator" 2>/dev/null || true
cp -r fed killed  # the log has everything
start_coordinator
stop_coordinator
cp -r fed clean   # the database has everything
before=$(history)

# refuses FRAGMENT [not-members]: everything that needs the state of the folder "broken" says so.
refuses() {
  expect 1 "$1" dure status broken
  expect 1 "$1" dure model export broken --out broken.pt
  expect 1 "$1" dure coordinator broken
  if [ "${2-}" != not-members ]; then
    expect 1 "$1" dure members broken
    expect 1 "$1" dure revoke broken a
  fi
  absent broken.pt
  rm -r broken
}
scribble() { printf '%*s' "$3" '' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
db=broken/state/coordinator.db
cp -r clean broken; scribble $db 0 100
refuses "coordinator.db): it is damaged (file is not a database): restore the folder from a backup"
cp -r clean broken; scribble $db 12288 4096
refuses 'broken/state/coordinator.db is damaged'
cp -r clean broken; truncate -s 20000 $db
refuses 'restore the folder from a backup'
cp -r clean broken; truncate -s 0 $db
refuses 'broken/state/coordinator.db is empty, and a coordinator has run here'
cp -r clean broken; rm $db
refuses 'broken/state/coordinator.db is missing, and a coordinator has run here'
cp -r killed broken; scribble $db-wal 8500 50
refuses 'broken/state/coordinator.db-wal is damaged'
cp -r clean broken; for model in broken/state/models/*; do scribble "$model" 20 8; done
refuses 'is damaged: its SHA-256 is not its name; restore that file from a backup' not-members
cp -r clean broken; rm broken/state/models/*
refuses 'is missing, and the newest round needs it' not-members
cp -r clean broken; scribble broken/model/initial.safetensors 0 200
refuses 'broken/model/initial.safetensors' not-members
cp -r clean broken; rm broken/model/initial.safetensors
refuses 'broken/model/initial.safetensors are missing' not-members

# Nothing of that has touched the federation itself.
start_coordinator
wait_for 'rounds after all that' reaches $(($(jq length <<<"$before") + 2))
keeps "$before" || fail "the history has changed"
stop_coordinator

echo "bad_input_test: $checks faults in $SECONDS s"
