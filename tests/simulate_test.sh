#!/usr/bin/env bash
# `dure simulate` as researchers type it: one run and a sweep, with threads, with MPI processes, with
# every message of secure aggregation, stopped and gone on with, killed; and one clear line for each
# mistake.
#
#   tests/simulate_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=60
. "$(dirname "$0")/support/commands.sh"
# Two threads are enough to find out, whatever the machine has.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
processes() { mpirun --bind-to none "$@"; }

# A table that a line divides, and its held-out part: numbers of a fixed generator.
mkdir data
awk 'BEGIN {
  seed = 1
  for (part = 0; part < 2; ++part) {
    file = part ? "data/heldout.csv" : "data/records.csv"
    print "a,b,site,y" >file
    for (i = 0; i < (part ? 60 : 240); ++i) {
      for (j = 0; j < 2; ++j) { seed = (seed * 16807) % 2147483647; x[j] = seed / 2147483647 }
      printf "%.4f,%.4f,s%d,%d\n", x[0], x[1], i % 6, (x[0] + x[1] > 1) >file
    }
  }
}'
dure data schema data/records.csv --label y --ignore site >data/records.schema

cat >small.toml <<'END'
[federation]
name = "small"
purpose = "A test"
license = "Apache-2.0"
address = "localhost:7443"
[model]
architecture = "mlp"
hidden = [8]
[model.input]
shape = [2]
classes = 2
[rounds]
count = 6
cohort = 8
minimum = 5
max_attempts = 20
[local]
mode = "epochs"
epochs = 2
batch_size = 4
learning_rate = 0.3
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[secure_aggregation]
max_corrupt = 0.1
max_dropout = 0.3
[evaluation]
every = 2
END
small=(small.toml --data data --clients 20 --set simulation.behaviour.dropout=0.1)
digest() { jq -rs '.[-1] | select(.type == "end" and .status == "finished") | .model_sha256' "$1/metrics.jsonl"; }
# same RUN...: all of them gave the model of the run "one".
same() {
  local run
  for run in "$@"; do
    [ -n "$(digest "$run")" ] || fail "$run did not finish: $(tail -n 1 "$run/metrics.jsonl")"
    [ "$(digest "$run")" = "$(digest one)" ] || fail "$run gave another model than one thread did"
  done
}

# ---- one run, and the same again in every other way ----
must dure simulate "${small[@]}" --threads 1 --out one
grep -q '6/6' out || fail "no last row: $(cat out)"
for file in metrics.jsonl federation.resolved.toml simulation.resolved.toml model.safetensors report.html; do
  [ -s "one/$file" ] || fail "one/$file is missing"
done
absent one/checkpoint.bin
[ "$(jq -s '[.[] | select(.type == "round")] | length' one/metrics.jsonl)" = 6 ] || fail "not 6 rounds"
must dure simulate "${small[@]}" --threads 3 --out threads
must dure simulate "${small[@]}" --secure-aggregation full --out full
must processes -n 2 dure simulate "${small[@]}" --threads 2 --out two
must processes -n 4 dure simulate "${small[@]}" --out four
must dure simulate "${small[@]}" --json --out json
cmp -s <(jq -c 'del(.wall_seconds, .peak_memory_bytes, .started)' out) \
  <(jq -c 'del(.wall_seconds, .peak_memory_bytes, .started)' json/metrics.jsonl) ||
  fail "--json says something else than metrics.jsonl"
same threads full two four json
# What was resolved is run as it stands.
must dure simulate one/federation.resolved.toml --data data --clients 20 --set simulation.behaviour.dropout=0.1 --out resolved
same resolved
must dure model evaluate one/model.safetensors data --json
jq -e '.accuracy > 0.8' out >/dev/null || fail "the model is no good: $(cat out)"

# ---- in other units ----
private=(--set privacy.unit=client --set privacy.clip_norm=1 --set privacy.noise_multiplier=0.5
  --set privacy.delta=1e-5 --set privacy.max_epsilon=1000)
must dure simulate "${small[@]}" "${private[@]}" --out private
jq -se '[.[] | select(.type == "round")][-1].epsilon > 1' private/metrics.jsonl >/dev/null || fail "no epsilon"
must dure simulate "${small[@]}" "${private[@]}" --privacy off --out off
jq -se '[.[] | select(.type == "round")][-1].epsilon == null' off/metrics.jsonl >/dev/null || fail "an epsilon without noise"
[ "$(digest off)" = "$(digest one)" ] || fail "privacy off is not plain averaging"
must dure simulate small.toml --data data --partition by:site --set rounds.cohort=6 --tensorboard --out sites
[ "$(jq -s '.[0].clients' sites/metrics.jsonl)" = 6 ] || fail "by:site has not 6 clients"
compgen -G 'sites/events.out.tfevents.*' >/dev/null || fail "no TensorBoard events"

# ---- stopped, and gone on with ----
rounds=(--set rounds.count=4000 --set rounds.max_attempts=8000 --set evaluation.every=500)
running() { [ -s "$1/metrics.jsonl" ] && grep -q '"round":3' "$1/metrics.jsonl"; }
dure simulate "${small[@]}" "${rounds[@]}" --out stopped >stopped.log 2>&1 &
pids+=($!)
wait_for "the first rounds" running stopped
kill -TERM "${pids[-1]}"
code=0
wait "${pids[-1]}" || code=$?
if [ "$code" -ne 0 ]; then # it may have been done before
  [ "$code" -eq 143 ] || fail "a stopped run ended with $code: $(cat stopped.log)"
  grep -q -- '--resume --out stopped' stopped.log || fail "it does not say how to go on: $(cat stopped.log)"
  cp -r stopped damaged
  printf 'x' | dd of=damaged/checkpoint.bin bs=1 seek=50 conv=notrunc 2>/dev/null
  expect 1 'damaged/checkpoint.bin: its checksum is wrong' dure simulate "${small[@]}" "${rounds[@]}" --resume --out damaged
  expect 1 'the checkpoint is of seed 1, and this run has seed 2' dure simulate "${small[@]}" "${rounds[@]}" --seed 2 --resume --out stopped
  must dure simulate "${small[@]}" "${rounds[@]}" --resume --out stopped
fi
must dure simulate "${small[@]}" "${rounds[@]}" --out whole
[ "$(digest stopped)" = "$(digest whole)" ] || fail "a run that was gone on with gave another model"

# ---- a process of a job is lost ----
OMPI_MCA_odls_base_sigkill_timeout=5 processes -n 3 dure simulate "${small[@]}" "${rounds[@]}" --out lost >lost.log 2>&1 &
pids+=($!)
wait_for "the first rounds" running lost
pkill -9 -n -f "dure-simulate .*--out lost" || true
code=0
wait "${pids[-1]}" || code=$?
if [ "$code" -ne 0 ]; then
  grep -q 'one of its processes was lost, after round [0-9]*. Go on from round [0-9]* with the same command and --resume --out lost' lost.log ||
    fail "nothing is said of the lost process: $(cat lost.log)"
  must dure simulate "${small[@]}" "${rounds[@]}" --resume --out lost
fi
[ "$(digest lost)" = "$(digest whole)" ] || fail "after the loss of a process the model is another"

# ---- a sweep ----
cat >sweep.toml <<'END'
federation = "small.toml"
data = "data"
[clients]
count = 20
[sweep]
repeats = 2
grid = ["local.learning_rate=0.1,0.3", "simulation.behaviour.dropout=0,0.1"]
END
must dure simulate sweep.toml --out sweep
[ "$(find sweep -mindepth 1 -maxdepth 1 -type d | wc -l)" = 8 ] || fail "not 8 runs: $(ls sweep)"
[ "$(digest sweep/007-learning_rate=0.3-dropout=0.1-seed1)" = "$(digest one)" ] || fail "a run of a sweep is another than alone"
must dure report sweep --json --out page.html
rm sweep/003*/metrics.jsonl
must dure simulate sweep.toml --resume --out sweep
[ -n "$(digest "$(echo sweep/003*)")" ] || fail "the missing run was not made again"

# ---- mistakes ----
expect 2 'server.beta1 is not used' dure simulate sweep.toml --set 'simulation.sweep.grid=["server.beta1=0.5,0.9"]' --out beta
absent beta
expect 1 'there is a run in one already: go on with it with --resume, or choose another --out' dure simulate "${small[@]}" --out one
expect 2 'name a data folder, or a CSV file or text, with --data' dure simulate small.toml --clients 10
expect 2 'clients.count' dure simulate small.toml --data data
expect 2 '--clients 0: clients.count: it is 0 and must be 1 to 1000000' dure simulate small.toml --data data --clients 0
expect 2 '240 records are too few for 300 clients' dure simulate small.toml --data data --clients 300
expect 1 'rounds.cohort is 8, and there are 5 clients' dure simulate small.toml --data data --clients 5
expect 1 'there is no folder nowhere' dure simulate small.toml --data nowhere --clients 20
expect 1 'cannot open nothing.toml' dure simulate nothing.toml --data data --clients 20
expect 2 'did you mean "learning_rate"?' dure simulate "${small[@]}" --set local.learning_rat=1
expect 2 'unknown kind (iid, contiguous' dure simulate "${small[@]}" --partition shard:2
expect 2 '--resume goes with --out' dure simulate "${small[@]}" --resume
expect 1 'there is no checkpoint one/checkpoint.bin' dure simulate "${small[@]}" --resume --out one
expect 2 'see dure simulate --help' dure simulate "${small[@]}" --privacy on
expect 2 'see dure simulate --help' dure simulate
absent runs

echo "simulate_test: $checks mistakes in $SECONDS s"
