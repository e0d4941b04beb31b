#!/usr/bin/env bash
# Lines that are cut again and again, with the real programs: three members behind a relay that ends
# every connection after some 200,000 bytes, at another byte each time, take part in rounds of a model
# of 2 MB, which is fetched, and whose inputs go up in pieces. What must be so: every round is
# released by its first attempt, with all three, with secure aggregation and without; transfers were
# interrupted; nothing was charged twice.
#
#   tests/cut_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=150
. "$(dirname "$0")/support/commands.sh"

for i in 1 2 3; do
  records "data-$i" 40 "$i" 28 28 "$((i * 60))"
done

running() { dure status "$1" >out 2>err; }

# run NAME SECURE: a federation of two rounds, its members behind a relay that cuts.
run() {
  local name=$1 secure=$2 relay coordinator clients=()
  must dure init "$name" --from fashion
  cat >"$name/federation.toml" <<TOML
[federation]
name = "$name"
purpose = "Lines that are cut"
address = "127.0.0.1:0"
[model]
architecture = "mlp"
hidden = [600]
[model.input]
shape = [1, 28, 28]
classes = 10
[rounds]
count = 2
cohort = 3
minimum = 3
deadline = "60s"
[local]
mode = "epochs"
epochs = 1
batch_size = 10
learning_rate = 0.05
[server]
optimizer = "fedavg"
[privacy]
unit = "none"
[secure_aggregation]
enabled = $secure
TOML
  rm -f "$name/model/initial.safetensors"
  must dure model init --federation "$name/federation.toml" --out "$name/model/initial.safetensors"
  dure coordinator "$name" >"$name.out" 2>"$name.err" </dev/null &
  coordinator=$!
  pids+=("$coordinator")
  wait_for "the coordinator listens" running "$name"
  for i in 1 2 3; do
    must dure invite "$name" --name "m$i"
    must dure join "$(grep -o 'dure1:[A-Za-z0-9_-]*' out)" --node "$name-$i" --yes
    must dure data add "data-$i" --node "$name-$i"
  done
  # From now on through the relay.
  mkdir "$name-relay"
  "$build/bin/wiretap" relay "$name-relay" >"$name-relay/port" &
  relay=$!
  pids+=("$relay")
  wait_for "the relay listens" test -s "$name-relay/port"
  echo 200000 >"$name-relay/cut"
  for i in 1 2 3; do
    port=$(jq -r .address "$name-$i/membership.json" 2>/dev/null | sed 's/.*://')
    [ -n "$port" ] && [ "$port" != null ] || fail "no address in $name-$i/membership.json"
    echo "$port" >"$name-relay/target"
    sed -i "s/:$port\"/:$(cat "$name-relay/port")\"/" "$name-$i/membership.json"
    dure client --node "$name-$i" >"$name-$i.out" 2>&1 </dev/null &
    clients+=($!)
    pids+=($!)
  done
  wait "$coordinator" || fail "the run of $name failed: $(tail -n 5 "$name.err")"
  for pid in "${clients[@]}"; do wait "$pid" || fail "a member failed: $(tail -n 3 "$name"-*.out)"; done
  must dure status "$name" --json
  jq -e '.round == 2 and .attempts == 2 and ([.history[] | .survivors] == [3, 3])' out >/dev/null ||
    fail "$name: a round was lost to a cut: $(cat out)"
  local connections
  connections=$(ls "$name-relay" | grep -c '\.up$')
  [ "$connections" -ge 20 ] || fail "$name: only $connections connections: nothing was cut"
  for i in 1 2 3; do
    grep -q 'goes on' "$name-$i.out" || [ "$secure" = false ] ||
      fail "m$i never went on with an attempt: $(cat "$name-$i.out")"
  done
  kill "$relay"
  echo "$name: 2 rounds of 3 members over $connections connections"
}

run masked true
run plain false
echo "cut_test: passed"
