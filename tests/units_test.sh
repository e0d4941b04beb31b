#!/usr/bin/env bash
# Each unit of privacy with the real programs: three members and an evaluator join, train on pictures
# that anybody can tell apart, and the model that comes of it is released. What must be so: every
# round is released, the model has learned, epsilon is what `dure check` said before, and where there
# is none the words say so.
#
#   tests/units_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=90
. "$(dirname "$0")/support/commands.sh"
rounds=6

# Two classes: dark and light pictures of 4x4.
for i in 1 2 3 4; do
  records "data-$i" 60 0 4 4 20
  records "light-$i" 60 1 4 4 220
  {
    printf '\0\0\x08\x03'; u32 120; u32 4; u32 4
    tail -c +17 "data-$i/images-idx3-ubyte"; tail -c +17 "light-$i/images-idx3-ubyte"
  } >images
  {
    printf '\0\0\x08\x01'; u32 120
    tail -c +9 "data-$i/labels-idx1-ubyte"; tail -c +9 "light-$i/labels-idx1-ubyte"
  } >labels
  # One picture that differs, so that no two members hold the same data.
  printf "\\x0$i" | dd of=images bs=1 seek=16 conv=notrunc status=none
  mv images "data-$i/images-idx3-ubyte"
  mv labels "data-$i/labels-idx1-ubyte"
  rm -r "light-$i"
done

# terms LOCAL PRIVACY SECURE_AGGREGATION LEARNING_RATE
terms() {
  cat <<TOML
[federation]
name = "units"
purpose = "Tell light from dark"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 4, 4]
classes = 2
[rounds]
count = $rounds
cohort = 3
minimum = 3
deadline = "30s"
[local]
$1
[server]
optimizer = "fedavg"
learning_rate = $4
[privacy]
$2
[secure_aggregation]
$3
[evaluation]
every = $rounds
TOML
}

# federate NAME LOCAL PRIVACY SECURE_AGGREGATION LEARNING_RATE: runs it to its end; the status, as
# JSON, is in NAME.json and `dure check --json` of the file in NAME-check.json.
federate() {
  local name=$1 i role token
  must dure init "$name" --from fashion
  terms "$2" "$3" "$4" "$5" >"$name/federation.toml"
  rm "$name/model/initial.safetensors"
  must dure model init --federation "$name/federation.toml" --out "$name/model/initial.safetensors"
  must dure check "$name/federation.toml" --json
  cp out "$name-check.json"
  dure coordinator "$name" >"$name.log" 2>&1 &
  pids=($!)
  wait_for "$name: the coordinator runs" grep -qs listening "$name.log"
  # The evaluator first: a run this short does not wait for one that comes late.
  for i in 4 1 2 3; do
    role=member
    [ "$i" -lt 4 ] || role=evaluator
    token=$(dure invite "$name" --name "m$i" --role "$role" 2>/dev/null)
    must dure join "$token" --yes --node "$name-$i"
    must dure data add "data-$i" --node "$name-$i"
    dure client --node "$name-$i" --threads 1 >"$name-$i.log" 2>&1 &
    pids+=($!)
    wait_for "$name: m$i is connected" grep -q '^connected' "$name-$i.log"
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || fail "$name: a process failed: $(tail -n 3 "$name.log" "$name"-?.log)"
  done
  pids=()
  dure status "$name" --json >"$name.json"
  [ "$(jq .round "$name.json")" -eq "$rounds" ] || fail "$name: not all rounds: $(cat "$name.json")"
  checks=$((checks + 1))
}
# learned NAME LEAST: the last evaluation's accuracy.
learned() {
  jq -e --argjson least "$2" '.evaluations | max_by(.round) | .accuracy >= $least' "$1.json" >/dev/null ||
    fail "$1 has not learned: $(jq -c .evaluations "$1.json")"
}
# costs_what_was_said NAME: after the run, epsilon as `dure check` printed it before.
costs_what_was_said() {
  jq -e --slurpfile said "$1-check.json" \
    '(.epsilon - $said[0].epsilon[-1].epsilon) | fabs < 1e-9' "$1.json" >/dev/null ||
    fail "$1: epsilon $(jq .epsilon "$1.json"), said $(jq -c .epsilon "$1-check.json")"
}

record='total_records = 360
max_records_per_member = 120
max_epsilon = 1000.0'

federate gradient 'sampling_rate = 0.5' "$record" '' 2.0
learned gradient 0.9
costs_what_was_said gradient

federate central 'sampling_rate = 0.5' "$record" 'enabled = false' 2.0
learned central 0.9
costs_what_was_said central
jq -e --slurpfile distributed gradient.json '.epsilon <= $distributed[0].epsilon' central.json >/dev/null ||
  fail "central noise costs more than distributed noise"

federate dp-sgd $'mode = "dp_sgd"\nsampling_rate = 0.5\nsteps = 5\nbatch_size = 60\nlearning_rate = 0.5' \
  "$record" '' 1.0
learned dp-sgd 0.9
costs_what_was_said dp-sgd

federate client $'mode = "epochs"\nlearning_rate = 0.1' \
  $'unit = "client"\nnoise_multiplier = 0.5\nmax_epsilon = 1000.0\nclipping = "adaptive"\nrotation = true' \
  '' 1.0
costs_what_was_said client

federate client-central $'mode = "epochs"\nlearning_rate = 0.1' \
  $'unit = "client"\nnoise_multiplier = 0.5\nmax_epsilon = 1000.0' 'enabled = false' 1.0
costs_what_was_said client-central

federate none $'mode = "epochs"\nlearning_rate = 0.1\nweighting = "records"\nweight_max = 120' \
  'unit = "none"' '' 1.0
learned none 0.9
dure check none/federation.toml >none.txt
grep -qi 'no privacy beyond the sum' <(tr -s ' \n' ' ' <none.txt) || fail "check does not say what none means: $(cat none.txt)"
for text in none.txt none.log none-1.log; do
  ! grep -qiwE 'inf|nan' "$text" || fail "$text says inf or nan: $(grep -iwE 'inf|nan' "$text" | head -n 3)"
done

federate nothing-hidden $'mode = "epochs"\nlearning_rate = 0.1' 'unit = "none"' 'enabled = false' 1.0
learned nothing-hidden 0.9

echo "units: $checks federations ran to their end"
