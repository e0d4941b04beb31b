#!/usr/bin/env bash
# `dure privacy …` typed as people do: known answers of tests/golden, rows of which go through the
# commands; what falls and rises with what; numbers that cannot be.
#
#   tests/privacy_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
golden=${DURE_GOLDEN_DIR:-$(cd "$(dirname "$0")/golden" && pwd)}
patience_s=60
. "$(dirname "$0")/support/commands.sh"

# rows FILE STEP COLUMN...: each STEP-th row of a CSV file, the named columns only.
rows() {
  local file=$golden/$1 step=$2
  shift 2
  awk -F, -v step="$step" -v names="$*" '
    { sub(/\r$/, "") }
    NR == 1 { n = split(names, name, " "); for (i = 1; i <= NF; ++i) at[$i] = i; next }
    NR % step == 0 {
      line = ""
      for (i = 1; i <= n; ++i) line = line (i > 1 ? " " : "") ($at[name[i]] == "" ? "-" : $at[name[i]])
      print line
    }' "$file"
}
# answer KEY COMMAND...: one value of the JSON object that it prints.
answer() {
  local key=$1
  shift
  "$@" >out 2>err </dev/null || fail "\"$*\" failed: $(cat err)"
  jq -er ".$key | tostring" out || fail "\"$*\" has no $key: $(cat out)"
}
# holds WHAT CONDITION: of awk.
holds() { awk "BEGIN { exit !($2) }" || fail "$1: $2 does not hold"; checks=$((checks + 1)); }
# near WHAT FOUND EXPECTED TOLERANCE
near() { holds "$1" "($2 - $3)^2 <= ($4 * $3)^2"; }

# ---- known answers ----
while read -r q z steps delta expected; do
  near "epsilon rdp" "$(answer epsilon dure privacy epsilon --noise-multiplier "$z" --steps "$steps" \
    --delta "$delta" --sampling-rate "$q")" "$expected" 2e-6
done < <(rows gaussian_epsilon.csv 4 q noise_multiplier steps delta epsilon_rdp_int)

while read -r q z steps delta pld lower; do
  found=$(answer epsilon dure privacy epsilon --noise-multiplier "$z" --steps "$steps" \
    --delta "$delta" --sampling-rate "$q" --accountant pld)
  holds "epsilon pld" "$found <= $pld + ($pld > 0.4 ? 0.005 * $pld : 0.002)"
  [ "$lower" = - ] || holds "epsilon pld is not below the truth" "$found >= $lower"
done < <(rows gaussian_epsilon.csv 6 q noise_multiplier steps delta epsilon_pld epsilon_prv_lower)

while read -r segments delta expected; do
  IFS=';' read -ra parts <<<"$segments"
  near "segments" "$(answer epsilon dure privacy epsilon "${parts[@]/#/--segment=}" \
    --delta "$delta")" "$expected" 2e-6
done < <(rows heterogeneous_composition.csv 1 segments_q_z_T delta epsilon_rdp_int)

while read -r population cohort z steps delta expected; do
  q=$(awk "BEGIN { printf \"%.17g\", $cohort / $population }")
  near "without replacement" "$(answer epsilon dure privacy epsilon --noise-multiplier "$z" \
    --steps "$steps" --delta "$delta" --sampling-rate "$q" --sampling without_replacement)" \
    "$expected" 2e-6
done < <(rows wor_replace_one.csv 2 population cohort noise_multiplier_vs_replace_sensitivity steps \
  delta epsilon_rdp_wbk19)

while read -r z steps delta expected; do
  near "tree" "$(answer epsilon dure privacy epsilon --tree --noise-multiplier "$z" \
    --steps "$steps" --delta "$delta")" "$expected" 2e-6
done < <(rows dpftrl_tree.csv 3 noise_multiplier steps delta epsilon_rdp_int)

while read -r target delta steps q expected; do
  near "calibrate rdp" "$(answer noise_multiplier dure privacy calibrate --epsilon "$target" \
    --steps "$steps" --delta "$delta" --sampling-rate "$q")" "$expected" 1e-5
done < <(rows calibration.csv 3 target_epsilon delta steps q noise_multiplier_rdp_int)

while read -r target delta steps q expected; do
  found=$(answer noise_multiplier dure privacy calibrate --epsilon "$target" --steps "$steps" \
    --delta "$delta" --sampling-rate "$q" --accountant pld)
  holds "calibrate pld" "($found - $expected)^2 <= (0.002 + 0.005 * $expected)^2"
done < <(rows calibration.csv 9 target_epsilon delta steps q noise_multiplier_tight)

while read -r q z steps delta clip dim survivors bound sigma2 expected; do
  set -- dure privacy record --sampling-rate "$q" --noise-multiplier "$z" --steps "$steps" \
    --delta "$delta" --clip "$clip" --dim "$dim" --honest-survivors "$survivors"
  near "record" "$(answer epsilon "$@")" "$expected" 2e-6
  [ "$(answer norm_bound_sq "$@") $(answer sigma2_local "$@")" = "$bound $sigma2" ] ||
    fail "record: $(cat out) instead of $bound, $sigma2"
done < <(rows record_distributed_epsilon.csv 4 sampling_rate noise_multiplier steps delta clip dim \
  honest_survivors norm_bound_sq_int sigma2_local_int epsilon)

while read -r dim n minimum corrupt clip z scale bound sigma2 bits; do
  [ "$sigma2" -ge 16 ] || continue
  answer epsilon dure privacy distributed --noise-multiplier "$z" --participations 1 --delta 1e-6 \
    --clip "$clip" --dim "$dim" --cohort "$n" --u-min "$minimum" --c-max "$corrupt" >/dev/null
  found=$(jq -r '"\(.scale) \(.norm_bound_sq) \(.sigma2_local) \(.bits)"' out)
  [ "$found" = "$scale $bound $sigma2 $bits" ] || fail "distributed: $found, not $scale $bound $sigma2 $bits"
  checks=$((checks + 1))
done < <(rows encoding_params.csv 3 dim n u_min c_max clip noise_multiplier scale norm_bound_sq_int \
  sigma2_local_int bits)

while read -r n corrupt dropout mode security correctness kind k t quorum; do
  set -- dure privacy graph --cohort "$n" --corrupt "$corrupt" --dropout "$dropout" --mode "$mode" \
    --security-bits "$security" --correctness-bits "$correctness"
  if [ "$kind" = infeasible ]; then
    expect 1 "for $n members" "$@"
    continue
  fi
  must "$@"
  found=$(jq -r '"\(.kind) \(.neighbours) \(.threshold) \(.quorum)"' out)
  [ "$found" = "$kind $k $t $quorum" ] || fail "graph $n $corrupt $dropout $mode: $found"
  checks=$((checks + 1))
done < <(rows graph_params.csv 9 n corrupt_fraction dropout_fraction mode security_bits \
  correctness_bits kind degree_k threshold_t quorum_q)

# ---- what belongs together ----
epsilon() { answer epsilon dure privacy epsilon --delta 1e-6 "$@"; }
for accountant in rdp pld; do
  last=0
  for steps in 1 10 1000 10000; do
    now=$(epsilon --noise-multiplier 1 --sampling-rate 0.01 --steps $steps --accountant $accountant)
    holds "more steps cost more" "$now > $last"
    last=$now
  done
  last=1e9
  for z in 0.5 1 2 20; do
    now=$(epsilon --noise-multiplier $z --sampling-rate 0.01 --steps 100 --accountant $accountant)
    holds "more noise costs less" "$now < $last"
    last=$now
  done
  z=$(answer noise_multiplier dure privacy calibrate --epsilon 1.5 --delta 1e-6 --steps 200 \
    --sampling-rate 0.02 --accountant $accountant)
  now=$(epsilon --noise-multiplier "$z" --sampling-rate 0.02 --steps 200 --accountant $accountant)
  holds "calibrated noise keeps its target" "$now <= 1.5 && $now > 1.499"
done
[ "$(epsilon --noise-multiplier 1 --steps 1 >/dev/null; jq -c '[.accountant, .order != null]' out)" = '["rdp",true]' ] ||
  fail "epsilon rdp: $(cat out)"
[ "$(epsilon --noise-multiplier 1 --steps 1 --accountant pld >/dev/null; jq -c '[.accountant, .order]' out)" = '["pld",null]' ] ||
  fail "epsilon pld: $(cat out)"
# 0.29 * 100 is 29, also where binary fractions say 28.999.
[ "$(answer quorum dure privacy graph --cohort 100 --corrupt 0.29 --dropout 0.01 --security-bits 40)" = 65 ] ||
  fail "graph: $(cat out)"

# ---- numbers that cannot be ----
declare -A good=([--noise-multiplier]=1 [--steps]=10 [--delta]=1e-5 [--sampling-rate]=0.1 [--clip]=1
  [--dim]=100 [--honest-survivors]=5 [--participations]=10 [--cohort]=100 [--u-min]=80 [--c-max]=10
  [--epsilon]=2 [--corrupt]=0.1 [--dropout]=0.1 [--security-bits]=40)
# refused COMMAND FLAG...: with each flag in turn, every bad value, which the error names by flag.
refused() {
  local command=$1 flag bad value other line
  shift
  for flag in "$@"; do
    case $flag in
      --c-max | --corrupt | --dropout) bad='nan inf -1 1e308 text' ;;
      *) bad='0 nan inf -inf -1 1e308 1e-320 text' ;;
    esac
    for value in $bad; do
      line=()
      for other in "$@"; do
        [ "$other" = "$flag" ] && line+=("$other" "$value") || line+=("$other" "${good[$other]}")
      done
      expect 2 "${flag#--}" dure privacy $command "${line[@]}"
    done
    line=()
    for other in "$@"; do
      [ "$other" = "$flag" ] || line+=("$other" "${good[$other]}")
    done
    case $command$flag in *epsilon*--sampling-rate) ;; *security-bits) ;; *calibrate--sampling-rate) ;;
      *) expect 2 "$flag is required" dure privacy $command "${line[@]}" ;;
    esac
  done
}
refused epsilon --noise-multiplier --steps --delta --sampling-rate
refused record --noise-multiplier --steps --delta --sampling-rate --clip --dim --honest-survivors
refused distributed --noise-multiplier --participations --delta --clip --dim --cohort --u-min --c-max
refused calibrate --epsilon --steps --delta --sampling-rate
refused graph --cohort --corrupt --dropout --security-bits
expect 2 'is required with --mode record' dure privacy calibrate --mode record --epsilon 1 --delta 1e-5 --steps 9
expect 2 '--dim means nothing with --mode gaussian' dure privacy calibrate --epsilon 1 --delta 1e-5 --steps 9 --dim 5
expect 2 '--accountant pld does not know --tree' dure privacy epsilon --tree --accountant pld --noise-multiplier 1 --steps 9 --delta 1e-5
expect 2 'write q:z:T' dure privacy epsilon --segment 0.1:2 --delta 1e-5
expect 2 'sampling_rate = 2' dure privacy epsilon --segment 2:2:2 --delta 1e-5
expect 2 'excludes' dure privacy epsilon --segment 1:2:2 --steps 3 --delta 1e-5
expect 2 'use accountant rdp' dure privacy epsilon --noise-multiplier 1 --steps 2000000000 --sampling-rate 0.5 --delta 1e-5 --accountant pld
expect 2 'u-min 80 is above --cohort 50' dure privacy distributed --noise-multiplier 1 --participations 1 --delta 1e-5 --clip 1 --dim 10 --cohort 50 --u-min 80 --c-max 1
expect 2 'leaves none' dure privacy distributed --noise-multiplier 1 --participations 1 --delta 1e-5 --clip 1 --dim 10 --cohort 50 --u-min 40 --c-max 40
expect 2 'no fraction' dure privacy graph --cohort 100 --corrupt 1 --dropout 0
expect 1 'for 1000 members' dure privacy graph --cohort 1000 --corrupt 1/3 --dropout 0.3

echo "privacy: $checks checks"
