#!/usr/bin/env bash
# What travels, with the real programs: control variates, a layer that stays with members, models in
# binary16 and updates in 16 bits, in one federation whose coordinator and one of whose members are
# killed on the way; then the released model is tuned on one member's data.
#
#   tests/travel_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=90
. "$(dirname "$0")/support/commands.sh"
rounds=60

# Dark and light pictures of 4x4, in other shares at each member.
for i in 1 2 3 4; do
  records "data-$i" $((20 * i)) 0 4 4 20
  records "light-$i" $((100 - 20 * i)) 1 4 4 220
  {
    printf '\0\0\x08\x03'; u32 100; u32 4; u32 4
    tail -c +17 "data-$i/images-idx3-ubyte"; tail -c +17 "light-$i/images-idx3-ubyte"
  } >images
  {
    printf '\0\0\x08\x01'; u32 100
    tail -c +9 "data-$i/labels-idx1-ubyte"; tail -c +9 "light-$i/labels-idx1-ubyte"
  } >labels
  printf "\\x0$i" | dd of=images bs=1 seek=16 conv=notrunc status=none
  mv images "data-$i/images-idx3-ubyte"
  mv labels "data-$i/labels-idx1-ubyte"
  rm -r "light-$i"
done

terms() {
  cat <<TOML
[federation]
name = "travel"
purpose = "Tell light from dark"
address = "127.0.0.1:0"
[model]
architecture = "mlp"
hidden = [8]
personal = ["${1:-fc2.*}"]
[model.input]
shape = [1, 4, 4]
classes = 2
[rounds]
count = $rounds
cohort = 3
minimum = 3
max_attempts = 100
deadline = "30s"
[local]
mode = "epochs"
epochs = 2
learning_rate = 0.1
control_variates = true
population = 3
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[communication]
download = "fp16"
quantization_bits = ${2:-16}
[evaluation]
every = $rounds
TOML
}

# ---- what a check says, and what it refuses ----
terms 'head.*' >wrong.toml
expect 2 '"head.*" matches no parameter; there are fc1.weight, fc1.bias, fc2.weight, fc2.bias' \
  dure check wrong.toml
terms '*' >wrong.toml
expect 2 'nothing would travel' dure check wrong.toml
terms 'fc2.*' 4 >wrong.toml
expect 2 'numbers of 4 bits cannot work here: 5 to ' dure check wrong.toml
terms | sed 's/^\[server\]/weighting = "records"\nweight_max = 100\n&/' >wrong.toml
expect 2 'local.weighting does not go with local.control_variates = true' dure check wrong.toml
terms >right.toml
must dure check right.toml --json
# 16 * 8 + 8 travel, with a variate for each; 2 * 8 + 2 stay.
jq -e '.parameters == 154 and .parameters_travelling == 136 and .control_variates and
       .personal == ["fc2.weight", "fc2.bias"] and .number_bits == 16 and
       .bytes_down_fp32 - .bytes_down == 4 * 136 and .bytes_up < .bytes_up_automatic' out >/dev/null ||
  fail "dure check says $(cat out)"
must dure check right.toml
grep -q '18 of them stay with each member' <(tr -s ' \n' ' ' <out) || fail "dure check says $(cat out)"

# ---- a run with crashes ----
must dure init travel --from fashion
cp right.toml travel/federation.toml
rm travel/model/initial.safetensors
must dure model init --federation travel/federation.toml --out travel/model/initial.safetensors
begin_coordinator() {
  dure coordinator travel >travel.log 2>&1 &
  coordinator=$!
  pids+=($!)
  wait_for "the coordinator runs" grep -qs listening travel.log
}
begin_client() {
  dure client --node "node-$1" --threads 1 >"node-$1.log" 2>&1 &
  client[$1]=$!
  pids+=($!)
}
round_is_at_least() { [ "$(dure status travel --json 2>/dev/null | jq .round)" -ge "$1" ]; }
client=()
begin_coordinator
for i in 4 1 2 3; do
  role=member
  [ "$i" -lt 4 ] || role=evaluator
  token=$(dure invite travel --name "m$i" --role "$role" 2>/dev/null)
  must dure join "$token" --yes --node "node-$i"
  must dure data add "data-$i" --node "node-$i"
  begin_client "$i"
  wait_for "m$i is connected" grep -q '^connected' "node-$i.log"
done
wait_for "rounds are released" round_is_at_least 3
kill -9 "${client[2]}" "$coordinator"
wait "${client[2]}" "$coordinator" 2>/dev/null || true
[ "$(stat -c %a node-2/private/local-state)" = 600 ] || fail "what a member keeps can be read by others"
begin_coordinator
begin_client 2
for i in 1 2 3 4; do
  wait "${client[$i]}" || fail "m$i failed: $(tail -n 3 "node-$i.log" travel.log)"
done
wait "$coordinator" || fail "the coordinator failed: $(tail -n 3 travel.log)"
pids=()
dure status travel --json >status.json
jq -e --argjson rounds "$rounds" '.round == $rounds' status.json >/dev/null || fail "not all rounds: $(cat status.json)"

# ---- a state that is damaged, and one of another model ----
cp node-1/private/local-state kept
printf 'x' | dd of=node-1/private/local-state bs=1 seek=80 conv=notrunc status=none
expect 1 'node-1/private/local-state is damaged' dure client --node node-1
cp kept node-1/private/local-state

# ---- the released model, and one's own ----
must dure model export travel --format safetensors --out released.safetensors
must dure model describe released.safetensors
grep -q 'dure.personal = fc2.*' out || fail "the released model says $(cat out)"
# It has the personal layer that it began with: tuned alone, that learns one's own data.
must dure model personalize released.safetensors data-1 --out mine.safetensors --only 'fc2.*' --epochs 40 --learning-rate 0.5 --json
jq -e '.parameters_tuned == 18 and .measured_on == "training" and .after.accuracy == 1 and
       .after.loss < .before.loss' out >/dev/null || fail "personalize says $(cat out)"
must dure model evaluate mine.safetensors data-1
grep -q 'accuracy 1.0000' out || fail "evaluate says $(cat out)"
expect 2 '--only fc9 matches no parameter' dure model personalize released.safetensors data-1 --out other.safetensors --only fc9
expect 1 'mine.safetensors is there already' dure model personalize released.safetensors data-1 --out mine.safetensors
absent other.safetensors

echo "travel: $rounds rounds, $checks faults"
