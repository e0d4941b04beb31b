#!/usr/bin/env bash
# A small federation of the real programs, on this machine: four members and an evaluator train on
# Fashion-MNIST through a relay that keeps all traffic, while a trainer, a client and the
# coordinator are killed. What must hold then is checked from outside, from what users see.
#
#   tests/end_to_end_test.sh BUILD_FOLDER
#
# A stopped trainer holds its attempt, so each fault happens in the middle of one on any machine.
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dataset=/usr/share/datasets/fashion-mnist
patience_s=30
members=(museum-01 museum-02 museum-03 museum-04)
rounds=6
delta=1e-5
PATH=$build/bin:$PATH
wiretap=$build/bin/wiretap

dir=$(mktemp -d)
logs=$dir/logs
wire=$dir/wire
federation=$dir/federation
# What earlier runs have spent on the same data is theirs.
export DURE_DATA_LEDGERS=$dir/data-ledgers
mkdir "$logs" "$wire"

# Ends what this script started, and nothing else.
declare -A pid_of=()
declare -A held=()
finish() {
  local code=$?
  for pid in "${held[@]}" "${pid_of[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null
  if [ "$code" -ne 0 ]; then
    for log in "$logs"/{init,invite,coordinator*,evaluator*,museum-*}.log; do
      [ -s "$log" ] || continue
      echo "---- the end of ${log##*/}" >&2
      tail -n 5 "$log" >&2
    done
  fi
  rm -rf "$dir"
}
trap finish EXIT

fail() {
  echo "end_to_end_test: $*" >&2
  exit 1
}
note() { printf '%3d s  %s\n' "$SECONDS" "$*"; }

# start NAME COMMAND...: in the background, with a log.
start() {
  local name=$1
  shift
  : >>"$logs/$name.log"
  "$@" >>"$logs/$name.log" 2>&1 &
  pid_of[$name]=$!
}
# end_of NAME: waits for the end; the exit code is in $code.
end_of() {
  code=0
  wait "${pid_of[$1]}" || code=$?
  unset "pid_of[$1]"
}
# destroy NAME: as a power cut would.
destroy() {
  {
    kill -KILL "${pid_of[$1]}"
    end_of "$1"
  } 2>/dev/null  # the shell says that it was killed
}
# wait_for WHAT COMMAND...: until it succeeds.
wait_for() {
  local what=$1 until=$((SECONDS + patience_s))
  shift
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || fail "$what: not within $patience_s s"
    sleep 0.05
  done
}
# log_has NAME TEXT [TIMES]
log_has() { [ "$(grep -cF -- "$2" "$logs/$1.log")" -ge "${3:-1}" ]; }
# is EXPRESSION: about the run, in jq's language.
is() {
  dure status "$federation" --json >"$dir/status.json" 2>/dev/null &&
    jq -e "$1" "$dir/status.json" >/dev/null
}
awaits_only() { is ".state == \"running\" and .awaited == [\"$1\"]"; }
gone() { [ ! -e "/proc/$1" ]; }
# trainer_of NAME: prints the process id of the trainer of a running client.
trainer_of() {
  local status
  for status in /proc/[0-9]*/status; do
    awk -v parent="${pid_of[$1]}" \
      '/^Name:/ {name = $2} /^Pid:/ {pid = $2} /^PPid:/ {ppid = $2}
       END {if (name == "dure-trainer" && ppid == parent) print pid}' "$status" 2>/dev/null || true
  done
}
# The next attempt waits for this member until release, or the end of its trainer.
hold() {
  held[$1]=$(trainer_of "$1")
  [ -n "${held[$1]}" ] || fail "$1 has no trainer"
  kill -STOP "${held[$1]}"
}
release() {
  kill -CONT "${held[$1]}"
  unset "held[$1]"
}
start_client() {
  local connections
  connections=$(grep -cF 'connected to' "$logs/$1.log" 2>/dev/null) || connections=0
  start "$1" dure client --node "$dir/nodes/$1" --threads 1
  wait_for "$1 connects" log_has "$1" "connected to" $((connections + 1))
}
# start_coordinator LISTEN: and lets the relay pass connections on to it.
start_coordinator() {
  start coordinator dure coordinator "$federation" --listen "$1"
  wait_for "the coordinator listens" log_has coordinator "listening on 127.0.0.1:"
  port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$logs/coordinator.log")
  echo "$port" >"$wire/target"
}

# ---- a federation ----

[ -d "$dataset" ] || fail "install the package dataset-fashion-mnist"
start relay "$wiretap" relay "$wire"
wait_for "the relay listens" test -s "$logs/relay.log"
relay_port=$(cat "$logs/relay.log")

cat >"$dir/federation.toml" <<TOML
[federation]
name    = "small"
purpose = "Classify photographs of clothing, 28 x 28 pixels, into ten kinds"
license = "Apache-2.0"
address = "127.0.0.1:7443"

[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 28, 28]
classes = 10

[rounds]
count = $rounds
cohort = ${#members[@]}
minimum = 3
max_attempts = 20
deadline = "2m"

[local]
sampling_rate = 0.05

[server]
optimizer = "fedadam"
learning_rate = 0.05

[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = $delta
max_epsilon = 10.0
total_records = 6000
max_records_per_member = 2500

[evaluation]
every = 2
TOML
dure init "$federation" --from "$dir/federation.toml" --address "127.0.0.1:$relay_port" \
  >"$logs/init.log"
dure check "$federation/federation.toml" --json >"$dir/check.json"
dure data partition "$dataset" --clients 40 --partition dirichlet:0.5 --seed 1 --out "$dir/data" \
  >"$logs/partition.log"
start_coordinator 127.0.0.1:0

tokens=()
# join NAME ROLE DATA
join() {
  local token
  token=$(dure invite "$federation" --name "$1" --role "$2" 2>>"$logs/invite.log")
  tokens+=("$token")
  dure join - --yes --node "$dir/nodes/$1" <<<"$token" >"$logs/$1-join.log" 2>&1
  dure data add "$3" --node "$dir/nodes/$1" >"$logs/$1-data.log" 2>&1
}
for name in "${members[@]}"; do join "$name" member "$dir/data/member-${name#museum-}"; done
join evaluator evaluator "$dir/data/heldout"
note "four members and an evaluator have joined"

# ---- a run with faults ----

for name in evaluator museum-02 museum-03 museum-04 museum-01; do
  # The last one to come begins the run; museum-02 is held before.
  if [ "$name" = museum-01 ]; then hold museum-02; fi
  start_client "$name"
done
wait_for "attempt 1 waits for museum-02" awaits_only museum-02

# Sockets of a process that are no Unix sockets: the protocol and the other end's port, one a line.
network_of() {
  local inodes
  inodes=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n')
  for table in tcp tcp6 udp udp6 raw raw6; do
    [ -r "/proc/net/$table" ] || continue
    awk -v table="$table" -v inodes="$inodes" \
      'BEGIN {split(inodes, list, "\n"); for (i in list) mine[list[i]] = 1}
       FNR > 1 && ($10 in mine) {sub(/.*:/, "", $3); print table, $3}' "/proc/net/$table"
  done
}
if [ "$(id -u)" -eq 0 ]; then
  for name in "${members[@]}" evaluator; do
    sockets=$(network_of "${pid_of[$name]}" | sort -u)
    [[ "$sockets" =~ ^tcp6?\ $(printf '%04X' "$relay_port")$ ]] ||
      fail "$name has other sockets than to the coordinator: $sockets"
    sockets=$(network_of "$(trainer_of "$name")")
    [ -z "$sockets" ] || fail "the trainer of $name has sockets: $sockets"
  done
  note "clients talk to the coordinator only, trainers to nobody"
else
  # Both are closed to other programs of the same user.
  for pid in "${pid_of[museum-01]}" "$(trainer_of museum-01)"; do
    [ ! -r "/proc/$pid/fd" ] || fail "the descriptors of process $pid can be seen"
  done
  note "NOT CHECKED, only root can: that clients talk to the coordinator only"
fi

# museum-03 will hold attempt 2, and nothing of attempt 1 is awaited from it.
hold museum-03
kill -KILL "${held[museum-02]}"
first_trainer=${held[museum-02]}
unset "held[museum-02]"
wait_for "round 1 is released" is '.round >= 1'
wait_for "museum-02 says that its trainer died" log_has museum-02 "noise alone from this member"
wait_for "attempt 2 waits for museum-03 alone" awaits_only museum-03
second_trainer=$(trainer_of museum-02)
[ -n "$second_trainer" ] || fail "museum-02 has no new trainer"
[ "$second_trainer" != "$first_trainer" ] || fail "museum-02 has the trainer that was killed"
is '.history[0].survivors == 4' || fail "round 1 lost a member to the death of a trainer"
note "a trainer was killed; the client said so and started another"

# museum-04 will hold attempt 3.
hold museum-04
destroy museum-03
orphan=${held[museum-03]}
release museum-03
wait_for "the trainer of a killed client ends" gone "$orphan"
wait_for "round 2 is released without museum-03" is '.round == 2 and .history[1].survivors == 3'
start_client museum-03
wait_for "attempt 3 waits for museum-04 alone" awaits_only museum-04
is '.members_connected == 4' || fail "museum-03 is not back"
note "a client was killed; the round went on, and it is back"

wait_for "round 2 is measured" is '[.evaluations[].round] == [2]'
kill -KILL "$(trainer_of evaluator)"

is '.round == 2 and .attempts == 3' || fail "not in the middle of attempt 3"
rm "$wire/target"
destroy coordinator
mv "$logs/coordinator.log" "$logs/coordinator-killed.log"
release museum-04
for name in "${members[@]}"; do
  wait_for "$name notices" log_has "$name" "tried again for as long as it takes"
done
is '.state == "stopped" and .round == 2 and .attempts == 3' ||
  fail "the state on disk is not that of round 2"
start_coordinator "127.0.0.1:$port"
note "the coordinator was killed and started again"

for name in "${members[@]}" evaluator coordinator; do
  until=$((SECONDS + patience_s))
  while kill -0 "${pid_of[$name]}" 2>/dev/null; do
    [ "$SECONDS" -lt "$until" ] || fail "$name does not end"
    sleep 0.05
  done
  end_of "$name"
  [ "$code" -eq 0 ] || fail "$name ended with exit code $code"
done
log_has museum-01 "connected to" 2 || fail "museum-01 did not connect again by itself"
for name in "${members[@]}"; do
  log_has "$name" "all $rounds rounds are done" || fail "$name does not know that all is done"
done
log_has evaluator "is measured once more" || fail "the evaluator did not notice its trainer's death"
note "all processes have ended by themselves"

# ---- what came out ----

is ".state == \"finished\" and .round == $rounds and ([.history[].round] == [range(1; $rounds + 1)])
    and .attempts == $rounds + 1 and ([.history[].attempt] == [1, 2, 4, 5, 6, 7])" ||
  fail "not what a finished run reports: $(cat "$dir/status.json")"

for format in safetensors torchscript; do
  dure model export "$federation" --format "$format" --out "$dir/model.$format" >"$logs/export.log"
  dure model evaluate "$dir/model.$format" "$dir/data/heldout" --json >"$dir/measured.json"
  jq -es --argjson rounds "$rounds" \
    '.[0] as $status | .[1] as $measured | $status.evaluations | map(select(.round == $rounds)) |
     length == 1 and .[0].records == 10000 and (.[0].accuracy - $measured.accuracy | fabs) < 5e-5
     and .[0].accuracy > 0.2' \
    "$dir/status.json" "$dir/measured.json" >/dev/null ||
    fail "the evaluator says something else than dure model evaluate: $(cat "$dir/measured.json")"
done

# What the accountant says of the same settings: delta loses the chance that a batch meets its cap.
attempts=$(jq .attempts "$dir/status.json")
dure privacy record --sampling-rate 0.05 --noise-multiplier 1 --steps "$attempts" --clip 1 \
  --delta "$(jq -n "$delta - $attempts / 1099511627776")" \
  --dim "$(jq .parameters "$dir/check.json")" \
  --honest-survivors "$(jq '.members - .may_vanish - .max_corrupt' "$dir/check.json")" \
  >"$dir/epsilon.json"
jq -es '.[0].epsilon > 0 and (.[0].epsilon - .[1].epsilon | fabs) < 1e-6 and
        .[0].sigma2_local == .[2].sigma2_local' \
  "$dir/epsilon.json" "$dir/status.json" "$dir/check.json" >/dev/null ||
  fail "the run's epsilon is not the accountant's: $(cat "$dir/epsilon.json" "$dir/status.json")"
note "accuracy and epsilon are what independent commands say"

for name in "${members[@]}"; do
  charged=$(awk '$1 == "charge" {print $3}' "$dir/nodes/$name/ledger")
  [ "$charged" = "$(sort -nu <<<"$charged")" ] || fail "$name charged an attempt twice: $charged"
  [ "$(tail -n 1 <<<"$charged")" = "$attempts" ] || fail "the last attempt is not in $name's ledger"
  # Nor was anything agreed to twice in one session.
  agreed=$(awk '$1 == "consent" {print $2}' "$dir/nodes/$name/ledger")
  [ "$(sort <<<"$agreed")" = "$(sort -u <<<"$agreed")" ] || fail "$name signed twice in a session"
done
[ "$(awk '$1 == "charge"' "$dir/nodes/museum-03/ledger" | wc -l)" -eq "$attempts" ] ||
  fail "an attempt that museum-03 began is not in its ledger"

# ---- what leaves, and what stays ----

destroy relay
captured=("$wire"/*.up "$wire"/*.down)
"$wiretap" tls "${captured[@]}" || fail "there is something else than TLS on the wire"
for name in "${members[@]}"; do
  pictures=$dir/data/member-${name#museum-}/images-idx3-ubyte
  # The search finds what is there.
  head -c 13000 "$pictures" | tail -c 10001 >"$dir/in-the-clear"
  "$wiretap" search "$pictures" "$dir/in-the-clear" >/dev/null || fail "the search is blind"
  ! "$wiretap" search "$pictures" "${captured[@]}" || fail "pictures of $name are on the wire"
done
! "$wiretap" tls "$dir/in-the-clear" >/dev/null || fail "anything passes for TLS"
for word in "${members[@]}" evaluator small application/grpc FLSA-v1 Offer Advertise; do
  ! grep -alF -- "$word" "${captured[@]}" || fail "\"$word\" is on the wire in the clear"
done
note "everything on the wire is TLS"

mapfile -t keys < <(find "$dir" -name '*.key')
mapfile -t private < <(find "$dir" -type d -name private)
[ ${#keys[@]} -eq 7 ] || fail "expected 7 keys: ${keys[*]}"
[ ${#private[@]} -eq 6 ] || fail "expected 6 private folders: ${private[*]}"
for file in "${keys[@]}" "$dir"/nodes/*/ledger; do
  [ "$(stat -c %a "$file")" = 600 ] || fail "$file has mode $(stat -c %a "$file")"
done
for folder in "${private[@]}" "$federation/state"; do
  [ "$(stat -c %a "$folder")" = 700 ] || fail "$folder has mode $(stat -c %a "$folder")"
done

secrets=("PRIVATE KEY" "dure1:")
for token in "${tokens[@]}"; do
  [[ "$token" = dure1:* ]] || fail "not a token: it does not begin with dure1:"
  secrets+=("$token" "${token: -40}")
done
for key in "${keys[@]}"; do
  line=$(sed -n 2p "$key")
  # PKCS #8: the last 32 bytes are the key itself.
  secrets+=("$line" "$(base64 -d <<<"$line" | tail -c 32 | od -An -v -tx1 | tr -d ' \n')")
done
for secret in "${secrets[@]}"; do
  [ ${#secret} -ge 6 ] || fail "there is a secret that cannot be searched for"
  ! grep -alF -- "$secret" "$logs"/* || fail "a token or a key is in that log"
done
note "keys are private, and in no log"
