#!/usr/bin/env bash
# Ctrl-C and SIGTERM on every program that runs for long, and dure pause, resume and stop: each must
# end soon, whatever it waits for, with a sensible exit code and nothing half-written, and the same
# command must work again.
#
#   tests/stop_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dir=$(mktemp -d)
federation=
# Less than any deadline of what is waited for below.
patience_s=20
dataset=/usr/share/datasets/fashion-mnist
. "$(dirname "$0")/support/faulty_federation.sh"
finish() {
  local code=$?
  end_processes
  if [ "$code" -ne 0 ]; then
    cat "$dir/shell.log" >&3
    tail -n 4 "$dir"/*-logs/*.log >&3
  fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT
cd "$dir"

absent() { [ ! -e "$1" ] || fail "$1 was left behind: $(find "$1" | head -n 5)"; }
# run NAME COMMAND...: in the background, as if a person had typed it.
run() {
  local name=$1
  shift
  : >"$logs/$name.log"
  start "$name" env --default-signal=INT,TERM "$@"
}
# stopped_by SIGNAL NAME CODE: it ends with that code.
checks=0
stopped_by() {
  kill "-$1" "${pid_of[$2]}"
  end_of "$2"
  [ "$code" -eq "$3" ] || fail "$2 ended with $code instead of $3 after SIG$1"
  checks=$((checks + 1))
}
catches_signals() {
  local caught
  # Before that it is a shell, which may catch them for itself.
  [ "$(cat "/proc/${pid_of[$1]}/comm")" = dure ] || return 1
  caught=$(awk '$1 == "SigCgt:" {print $2}' "/proc/${pid_of[$1]}/status") &&
    [ $((16#$caught & 0x4000)) -ne 0 ] # SIGTERM, which comes after SIGINT
}
code_of() { if [ "$1" = INT ]; then echo 130; else echo 143; fi; }

# start_client NAME: and waits until it takes part.
start_client() {
  local before
  before=$(grep -c '^connected to' "$logs/$1.log" 2>/dev/null) || before=0
  start "$1" dure client --node "$1" --threads 1
  wait_for "$1 connects" log_has "$1" '^connected to' $((before + 1))
  wait_for "$1 is back" is '.members_connected == 3 and .state == "running"'
}

# ---- a federation and its data ----

cohort=3 minimum=3
use_federation "$dir/fed"
make_terms terms.toml 100000 1m
sed -i -e 's/^shape = .*/shape = [1, 28, 28]/; s/^classes = .*/classes = 10/' \
  -e 's/^sampling_rate = .*/sampling_rate = 0.02/; s/^total_records = .*/total_records = 6000/' \
  -e 's/^max_records_per_member = .*/max_records_per_member = 2500/' terms.toml

# First weights that take a moment.
sed 's/^architecture = .*/architecture = "mlp"\nhidden = [9000, 9000]/' terms.toml >slow.toml
for signal in INT TERM; do
  run init dure init fed --from slow.toml
  wait_for "the folder is begun" test -d fed/private
  stopped_by "$signal" init "$(code_of "$signal")"
  absent fed
done
dure init fed --from terms.toml >init.log
rm fed/federation.toml  # as if it had been killed
dure init fed --from terms.toml >init.log

for signal in INT TERM; do
  run partition dure data partition "$dataset" --clients 3000 --partition iid --out data
  wait_for "the partition is begun" test -d data/.unfinished/member-0100
  stopped_by "$signal" partition "$(code_of "$signal")"
  absent data
done
run partition dure data partition "$dataset" --clients 3000 --partition iid --out data
wait_for "the partition is begun" test -d data/.unfinished/member-0100
kill -KILL "${pid_of[partition]}"
end_of partition
dure data partition "$dataset" --clients 60 --partition iid --out data >partition.log
absent data/.unfinished

# ---- joining ----

start_coordinator
mkfifo answers
exec 5<>answers
for i in 1 2 3; do
  token=$(dure invite fed --name "m-$i" 2>/dev/null)
  if [ "$i" -lt 3 ]; then
    signal=$([ "$i" = 1 ] && echo INT || echo TERM)
    run join dure join "$token" --node "m-$i" <answers
    wait_for "join asks" log_has join 'Join on these terms'
    stopped_by "$signal" join "$(code_of "$signal")"
    absent "m-$i"
  fi
  dure join "$token" --yes --node "m-$i" >join.log
  dure data add "data/member-0$i" --node "m-$i" >data.log
done
exec 5>&-

# ---- a run ----

for i in 1 2 3; do start "m-$i" dure client --node "m-$i" --threads 1; done
wait_for "rounds are released" is '.round >= 2'

dure pause fed >out
wait_for "the run pauses" is '.phase == "paused"'
paused=$(jq .attempts "$federation.status")
is ".state == \"paused\" and .attempts == $paused and .round == $paused" || fail "it is not paused"
dure resume fed >out
wait_for "the run goes on" is ".round > $paused"

for signal in INT TERM; do
  run watch dure status fed --watch
  wait_for "dure status --watch is ready" catches_signals watch
  stopped_by "$signal" watch 0
done
for signal in INT TERM; do
  stopped_by "$signal" m-1 0
  start_client m-1
done
# A trainer that hangs is not waited for.
trainer=$(trainer_of m-1)
kill -STOP "$trainer"
wait_for "m-1 is awaited alone" is '.awaited == ["m-1"]'
stopped_by TERM m-1 0
kill -CONT "$trainer"
# Nor is a member that hangs.
start_client m-1
kill -STOP "${pid_of[m-1]}"
wait_for "m-1 is awaited alone" is '.awaited == ["m-1"]'
attempts=$(jq .attempts "$federation.status")
for signal in TERM INT; do
  stopped_by "$signal" coordinator 0
  is '.state == "stopped"' || fail "the coordinator has not stopped"
  start_coordinator
  wait_for "members are back" is '.members_connected >= 2'
done
dure stop fed >out
end_of coordinator
[ "$code" -eq 0 ] || fail "dure stop: exit code $code"
kill -CONT "${pid_of[m-1]}"
is ".attempts >= $attempts" || fail "attempts are gone"
# Members that dial.
for i in 1 2 3; do stopped_by TERM "m-$i" 0; done

# ---- models ----

for signal in INT TERM; do
  for pause in 0.02 0.3 0.6; do
    run export dure model export fed --out "model-$signal-$pause.pt"
    sleep "$pause"
    kill "-$signal" "${pid_of[export]}" 2>/dev/null || true
    end_of export
    if [ "$code" -ne 0 ]; then
      [ "$code" -eq "$(code_of "$signal")" ] || fail "export ended with $code"
      absent "model-$signal-$pause.pt"
    fi
    [ -z "$(find . -name '*.new-*')" ] || fail "left behind: $(find . -name '*.new-*')"
  done
  run evaluate dure model evaluate fed/model/initial.safetensors "$dataset"
  sleep 0.1
  stopped_by "$signal" evaluate "$(code_of "$signal")"
done
dure model export fed --out model.pt >out
echo "stop_test: $checks programs stopped in $SECONDS s"
