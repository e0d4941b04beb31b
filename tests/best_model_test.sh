#!/usr/bin/env bash
# Early stopping and the best model with the real programs: three members train on pictures whose
# labels the evaluator has the other way round, so that its loss rises from the first round on. What
# must be so: the run ends early and well, says why, names the round that was best, also after it has
# ended, and that model can be exported beside the newest.
#
#   tests/best_model_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=90
. "$(dirname "$0")/support/commands.sh"

# Two classes: dark and light pictures of 4x4; the fourth has their labels changed over.
for i in 1 2 3 4; do
  dark=0 light=1
  [ "$i" -lt 4 ] || dark=1 light=0
  records "data-$i" 60 "$dark" 4 4 20
  records "light-$i" 60 "$light" 4 4 220
  {
    printf '\0\0\x08\x03'; u32 120; u32 4; u32 4
    tail -c +17 "data-$i/images-idx3-ubyte"; tail -c +17 "light-$i/images-idx3-ubyte"
  } >images
  {
    printf '\0\0\x08\x01'; u32 120
    tail -c +9 "data-$i/labels-idx1-ubyte"; tail -c +9 "light-$i/labels-idx1-ubyte"
  } >labels
  printf "\\x0$i" | dd of=images bs=1 seek=16 conv=notrunc status=none
  mv images "data-$i/images-idx3-ubyte"
  mv labels "data-$i/labels-idx1-ubyte"
  rm -r "light-$i"
done

# make NAME ROUNDS EVALUATION: a federation's folder.
make() {
  must dure init "$1" --from fashion
  cat >"$1/federation.toml" <<TOML
[federation]
name = "best"
purpose = "Tell light from dark"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 4, 4]
classes = 2
[rounds]
count = $2
cohort = 3
minimum = 3
deadline = "30s"
[local]
mode = "epochs"
learning_rate = 0.5
schedule = "cosine"
final_fraction = 0.1
proximal_mu = 0.01
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[secure_aggregation]
[evaluation]
$3
TOML
  rm "$1/model/initial.safetensors"
  must dure model init --federation "$1/federation.toml" --out "$1/model/initial.safetensors"
}
# start NAME MEMBER...: its coordinator and these members; 4 is the evaluator.
start() {
  local name=$1 i role token
  shift
  dure coordinator "$name" >"$name.log" 2>&1 &
  pids=($!)
  wait_for "$name: the coordinator runs" grep -qs listening "$name.log"
  for i in "$@"; do
    role=member
    [ "$i" -lt 4 ] || role=evaluator
    token=$(dure invite "$name" --name "m$i" --role "$role" 2>/dev/null)
    must dure join "$token" --yes --node "$name-$i"
    must dure data add "data-$i" --node "$name-$i"
    dure client --node "$name-$i" --threads 1 >"$name-$i.log" 2>&1 &
    pids+=($!)
    wait_for "$name: m$i is connected" grep -q '^connected' "$name-$i.log"
  done
}
all_end_well() {
  for pid in "${pids[@]}"; do
    wait "$pid" || fail "$1: a process failed: $(tail -n 3 "$1.log" "$1"-?.log)"
  done
  pids=()
}

make fed 400 'every = 1
patience = 3'
must dure check fed/federation.toml
tr -s ' \n' ' ' <out | grep -q 'Stopping ends early once 3 measurements in a row' || fail "dure check says $(cat out)"
tr -s ' \n' ' ' <out | grep -q 'Rates local.learning_rate falls by half a cosine' || fail "dure check says $(cat out)"
start fed 4 1 2 3
all_end_well fed
tr -s ' \n' ' ' <fed.log | grep -q 'stopped early after round [0-9]* of 400: 3 measurements in a row' ||
  fail "the coordinator did not say why it ended: $(tail -n 12 fed.log)"
dure status fed --json >status
jq -e '.state == "finished" and .round < 400 and .patience == 3 and .without_improvement == 3 and
       .best.round < .round and .best.loss == (.evaluations | map(.loss) | min) and
       (.text | startswith("stopped early"))' status >/dev/null || fail "the status is $(cat status)"
best=$(jq .best.round status)
must dure status fed
grep -q "best *round $best, loss" out || fail "dure status does not name the best: $(cat out)"

# Both models, and what each says of itself.
must dure model export fed --format safetensors --out newest.safetensors
must dure model export fed --best --format safetensors --out best.safetensors
cmp -s newest.safetensors best.safetensors && fail "the best is the newest"
header() { head -c 4000 "$1" | tr -d ' ' | grep -aq "$2" || fail "$1 does not say $2"; }
header best.safetensors "\"dure.rounds\":\"$best\""
header best.safetensors "\"dure.best_of_rounds\":\"$(jq .round status)\""
header newest.safetensors "\"dure.rounds\":\"$(jq .round status)\""
must dure model export fed --best --format huggingface --out card
grep -q "this one had the lowest loss at the evaluators" card/README.md || fail "the card says $(cat card/README.md)"

# Nobody measured: there is no best, and all rounds are trained.
make alone 2 'every = 1
patience = 1'
start alone 1 2 3
all_end_well alone
expect 1 'no evaluator has measured a model of the federation in alone' \
  dure model export alone --best --format safetensors --out alone.safetensors
absent alone.safetensors
[ "$(dure status alone --json | jq .round)" -eq 2 ] || fail "not all rounds were trained"

echo "best_model_test: $checks faults in $SECONDS s"
