#!/usr/bin/env bash
# Three members with CSV files: the statistics of their columns are those of the pool, a model learns
# from what they standardise, and members measure it on what they held out.
#
#   tests/statistics_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=90
. "$(dirname "$0")/support/commands.sh"

export DURE_DATA_LEDGERS=$dir/data-ledgers

# ---- what they have: columns of very different sizes, some values missing ----
cat >clinic.schema <<'END'
dure schema 1
column "age" numeric range 0 100 missing mean
column "platelets" numeric range 0 1000
column "ward" categorical "north" "south" missing constant 0
label "outcome" classes "no" "yes"
END
for member in 1 2 3; do
  mkdir "data-$member"
  cp clinic.schema "data-$member/records.schema"
  for part in records heldout; do
    awk -v seed="$member" -v part="$part" 'BEGIN {
      print "age,platelets,ward,outcome"
      n = part == "records" ? 60 + 20 * seed : 40
      for (i = 1; i <= n; ++i) {
        k = i * 7 + seed * 13 + (part == "heldout" ? 5 : 0)
        ill = k % 2
        age = 30 + k % 40 + 8 * ill
        print (k % 9 == 0 ? "?" : age) "," 150 + 5 * (k % 31) + 200 * ill "," \
              (k % 3 == 0 ? "north" : k % 3 == 1 ? "south" : "") "," (ill ? "yes" : "no")
      }
    }' >"data-$member/$part.csv"
  done
done
# Of all records together, in plain arithmetic: how many, mean of the ages, who is ill.
tail -q -n +2 data-?/records.csv >pool.csv
read -r records ages age_sum age_squares yes < <(awk -F, '
  { ++n; if ($1 != "?") { ++a; s += $1; q += $1 * $1 } if ($4 == "yes") ++y }
  END { print n, a, s, q, y }' pool.csv)

cat >federation.toml <<'END'
[federation]
name = "sums"
purpose = "Tests"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[data]
schema = "clinic.schema"
[statistics]
enabled = true
bins = 4
[rounds]
count = 4
cohort = 3
minimum = 3
deadline = "30s"
[local]
mode = "epochs"
epochs = 2
batch_size = 20
learning_rate = 0.2
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[secure_aggregation]
max_corrupt = 0
[evaluation]
every = 2
members = true
END

# ---- what cannot be is said before anything runs ----
mkdir without
sed 's/ range 0 1000//' clinic.schema >without/clinic.schema
cp federation.toml without
expect 2 'column "platelets" has no range, and statistics of numbers need public bounds' \
  dure check without/federation.toml
sed 's/unit = "none"/unit = "client"\nmax_epsilon = 8/' federation.toml >client.toml
expect 2 'statistics.enabled does not go with privacy.unit = "client"' dure check client.toml
must dure check federation.toml
tr -s ' \n' ' ' <out | grep -q 'Sums statistics of every column before the first round; members measure 2 models' ||
  fail "check says $(cat out)"
must dure init federation --from federation.toml --address 127.0.0.1:0
expect 1 'no coordinator has run with federation yet' dure statistics federation

# ---- a run ----
dure coordinator federation >coordinator.log 2>&1 &
pids+=($!)
answers() { dure status federation >/dev/null 2>&1; }
wait_for "the coordinator answers" answers
for member in 1 2 3; do
  token=$(dure invite federation --name "clinic-$member" 2>/dev/null)
  must dure join "$token" --node "node-$member" --yes
  must dure data add "data-$member" --node "node-$member"
done
for member in 1 2 3; do
  dure client --node "node-$member" >"client-$member.log" 2>&1 &
  pids+=($!)
done
for pid in "${pids[@]:1}"; do
  wait "$pid" || fail "a client failed: $(tail -n 3 client-?.log coordinator.log)"
done
wait "${pids[0]}" || fail "the coordinator failed: $(tail -n 5 coordinator.log)"
pids=()
must dure statistics federation --json
cp out statistics.json
jq -e --argjson n "$records" --argjson a "$ages" --argjson s "$age_sum" --argjson q "$age_squares" \
  --argjson y "$yes" '
  def near(x; y): ((x - y) | fabs) < 0.001 * (1 + (y | fabs));
  .members == 3 and .records == $n and .count_error == 0 and
  .columns[0].count == $a and near(.columns[0].missing_rate; 1 - $a / $n) and
  near(.columns[0].mean; $s / $a) and
  near(.columns[0].standard_deviation; ($q / $a - ($s / $a) * ($s / $a)) | sqrt) and
  (.columns[0].histogram | add) == $a and (.columns[2].counts | length) == 2 and
  .label.counts == [$n - $y, $y]' statistics.json >/dev/null ||
  fail "statistics of $records records say $(cat statistics.json)"
must dure statistics federation
grep -q "$records records of 3 members, exactly" out || fail "statistics say $(cat out)"

# ---- what was learnt, and who measured it ----
must dure status federation --json
jq -e '(.evaluations | map(.round)) == [2, 4] and
       (.evaluations[1] | .evaluator == "3 members" and .records == 120 and .accuracy > 0.9 and
        .auc > 0.9)' out >/dev/null || fail "status says $(cat out)"
grep -q 'charge-statistics ' node-1/ledger || fail "the ledger is $(cat node-1/ledger)"
[ "$(grep -c 'charge-evaluation ' node-1/ledger)" -eq 2 ] || fail "the ledger is $(cat node-1/ledger)"

# ---- the released model takes raw tables ----
must dure model export federation --format safetensors --out model.safetensors
must dure model evaluate model.safetensors data-2 --json
jq -e '.accuracy > 0.9' out >/dev/null || fail "model evaluate says $(cat out)"

echo "statistics_test: $checks faults in $SECONDS s"
