#!/usr/bin/env bash
# `dure report` on runs that were written by hand: the table it prints, the page it writes, and one
# clear line for each mistake.
#
#   tests/report_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=30
. "$(dirname "$0")/support/commands.sh"

# run FOLDER SEED RATE ACCURACY...: a run of three rounds, each evaluated.
run() {
  local folder=$1 seed=$2 rate=$3 round=0 accuracy
  shift 3
  mkdir -p "$folder"
  {
    printf '{"type":"run","version":"0.1.0","name":"fashion","seed":%d,"clients":10,"records":100,"parameters":7,"rounds":3,"threads":1,"ranks":1,"started":"2026-11-22T20:40:00Z","configuration":{"local.learning_rate":"%s","name":"fashion","simulation.clients.seed":"%d"}}\n' \
      "$seed" "$rate" "$seed"
    for accuracy; do
      round=$((round + 1))
      printf '{"type":"round","round":%d,"attempt":%d,"cohort":5,"survivors":4,"epsilon":0.%d,"update_norm":0.5,"virtual_seconds":%d,"wall_seconds":%d,"bytes_received":100,"bytes_sent":200}\n' \
        "$round" "$round" "$round" "$((10 * round))" "$round"
      printf '{"type":"evaluation","round":%d,"records":50,"loss":0.5,"accuracy":%s,"virtual_seconds":%d,"wall_seconds":%d}\n' \
        "$round" "$accuracy" "$((10 * round))" "$round"
    done
    printf '{"type":"end","status":"finished","text":"","model_sha256":"ab","epsilon":0.3,"virtual_seconds":30,"wall_seconds":3,"peak_memory_bytes":1048576}\n'
  } >"$folder/metrics.jsonl"
}
run sweep/001-rate-seed1 1 0.1 0.5 0.7 0.8
run sweep/002-rate-seed2 2 0.1 0.5 0.6 0.6
run sweep/003-rate-seed1 1 0.01 0.2 0.3 0.4

# ---- what is there ----
must dure report sweep --target 0.7 --json
[ ! -s err ] || fail "a note on good runs: $(cat err)"
jq -e '.title == "fashion" and .figure == "accuracy" and .target == 0.7 and
       .differing == ["local.learning_rate"] and (.series | length) == 2 and .notes == []' out >/dev/null ||
  fail "report --json says $(cat out)"
# 0.8 and 0.6: mean 0.7, sample standard deviation 0.1 * sqrt(2).
jq -e '.series[0] | .name == "learning_rate=0.1" and .seeds == [1, 2] and
       .runs == ["sweep/001-rate-seed1", "sweep/002-rate-seed2"] and
       .differences == {"local.learning_rate": "0.1"} and
       (.final.accuracy.mean - 0.7 | fabs) < 1e-12 and
       (.final.accuracy.deviation - 0.1414213562373095 | fabs) < 1e-12 and
       .final.accuracy.least == 0.6 and .final.accuracy.most == 0.8 and .final.accuracy.runs == 2 and
       .rounds_to_target.mean == 2 and .rounds_to_target.runs == 1 and
       .virtual_seconds_to_target.mean == 20 and .rounds.mean == 3 and .epsilon == 0.3 and
       .virtual_seconds.mean == 30 and .wall_seconds.mean == 3 and .bytes_received.mean == 300 and
       .bytes_sent.mean == 600 and .diverged == 0' out >/dev/null || fail "report --json says $(cat out)"
jq -e '.series[1] | .seeds == [1] and .final.accuracy.deviation == null and .rounds_to_target == null' \
  out >/dev/null || fail "report --json says $(cat out)"
[ -s report.html ] || fail "there is no page"
for outside in 'http:' 'https:' 'src=' 'href=' 'url(' '@import'; do
  if grep -qF "$outside" report.html; then fail "the page has $outside"; fi
done
must dure report sweep/001-rate-seed1 sweep/003-rate-seed1/metrics.jsonl --target 0.75 --out other.html
grep -q '^learning_rate=0.1 .* 1 .* 0.8000 .* 3$' out || fail "report says $(cat out)"
grep -q '^learning_rate=0.01 .* not reached$' out || fail "report says $(cat out)"
grep -qx 'the page: other.html' out || fail "report says $(cat out)"

# The charts as files.
must dure report sweep --plots plots/here
for plot in accuracy loss; do
  for axis in rounds virtual-time; do
    svg=plots/here/$plot-against-$axis.svg
    if ! grep -q '^<svg ' "$svg" || ! grep -q '>learning_rate=0.01</text>' "$svg"; then
      fail "$svg is no plot"
    fi
  done
done
: >file
expect 1 'file' dure report sweep --plots file

# A run that goes on, or was killed, is one all the same.
run cut 3 0.1 0.5 0.6
sed -i '$d' cut/metrics.jsonl
printf '{"type":"rou' >>cut/metrics.jsonl
must dure report cut
grep -q '1 run has not ended' err || fail "report says $(cat err)"
grep -q '1 run ends in a cut line' err || fail "report says $(cat err)"

# ---- what is wrong ----
mkdir -p none/below empty damaged
expect 1 'there is no nowhere' dure report nowhere
expect 1 'none holds no metrics.jsonl, and no folder in it does' dure report none
: >empty/metrics.jsonl
expect 1 'empty/metrics.jsonl holds no whole line' dure report empty
echo 'garbage' >damaged/metrics.jsonl
expect 1 'damaged/metrics.jsonl:1: no JSON object' dure report damaged
{ head -n 1 cut/metrics.jsonl; echo '{"type":"round","round":-1}'; } >damaged/metrics.jsonl
expect 1 'damaged/metrics.jsonl:2: "round" is no whole number from 1' dure report damaged
expect 1 'damaged/metrics.jsonl:2' dure report sweep damaged
mkdir mixed
cp -r damaged cut mixed
must dure report mixed
grep -q 'Left out: mixed/damaged/metrics.jsonl:2' err || fail "report says $(cat err)"
rm -r mixed/cut
expect 1 'no run can be read: mixed/damaged/metrics.jsonl:2' dure report mixed
expect 2 'RUN' dure report
expect 2 '--target' dure report sweep --target high
expect 2 '--target' dure report sweep --target nan
expect 2 'that is what a run wrote' dure report sweep/001-rate-seed1 --out sweep/001-rate-seed1/metrics.jsonl
expect 1 'nowhere/report.html' dure report sweep --out nowhere/report.html
truncate -s 2G empty/metrics.jsonl
expect 1 'empty/metrics.jsonl is larger than its limit of 1073741824 bytes' dure report empty

echo "report_test: $checks faults in $SECONDS s"
