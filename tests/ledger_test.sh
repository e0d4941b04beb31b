#!/usr/bin/env bash
# The two ledgers of a member under attack, with the real services (faulty_main.cc): kills, disks that
# are full or read-only, old copies of either ledger and of both, two members on one data set at
# once, a budget that another federation has spent. What must hold: whatever was told to anybody is
# charged in both, nothing leaves uncharged, and each refusal says what and what to do.
#
#   tests/ledger_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dir=$(cd "$(mktemp -d)" && pwd -P)
federation=
. "$(dirname "$0")/support/faulty_federation.sh"
fault=$build/lib/libdisk_fault.so
finish() {
  local code=$?
  end_processes
  if [ "$code" -ne 0 ]; then tail -n 4 "$dir"/*-logs/{coordinator,member-?}.log >&3 || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT
export DURE_DATA_LEDGERS=$dir/data-ledgers

# ledger_of NAME: the ledger of the data of a member; each has data of its own unless told otherwise.
ledger_of() { echo "$DURE_DATA_LEDGERS/$(printf %s "${data_of[$1]:-$nodes/$1}" | sha256sum | cut -d' ' -f1)/ledger"; }
declare -A data_of=()
charges() { grep -c '^charge ' "$nodes/$1/ledger" || true; }
data_charges() { grep -c ' charge ' "$(ledger_of "$1")" || true; }
more_charges() { [ "$(charges "$1")" -gt "$2" ]; }
# begin NAME [ENV...]: a member with its data, behind a command if one is given.
begin() {
  local name=$1
  shift
  start "$name" "$@" "$faulty" client --node "$nodes/$name" --train-ms 5 \
    --data "${data_of[$name]:-$nodes/$name}"
}
# begin_charging NAME: with what is missing charged.
begin_charging() {
  start "$1" "$faulty" client --node "$nodes/$1" --train-ms 5 --data "${data_of[$1]:-$nodes/$1}" \
    --charge-missing yes
}
# takes_part NAME: it is charged for another attempt.
takes_part() {
  local before
  before=$(charges "$1")
  wait_for "$1 takes part" more_charges "$1" "$before"
}
# ends_with NAME CODE FRAGMENT
ends_with() {
  end_of "$1"
  [ "$code" -eq "$2" ] || fail "$1 ended with $code instead of $2: $(tail -n 3 "$logs/$1.log")"
  tail -n 1 "$logs/$1.log" | grep -qF -- "$3" || fail "$1 does not say \"$3\": $(tail -n 1 "$logs/$1.log")"
}
# agree NAME: both ledgers have the same attempts of it.
agree() {
  local member
  cmp -s <(awk '$1 == "charge" {print $3}' "$nodes/$1/ledger") \
    <(awk '$2 == "charge" && $3 != "" {print $7}' "$(ledger_of "$1")") ||
    fail "the ledgers of $1 differ: $(charges "$1") and $(data_charges "$1") charges"
  [ -z "$(awk '$1 == "charge" {print $3}' "$nodes/$1/ledger" | sort -n | uniq -d)" ] ||
    fail "$1 was charged twice for one attempt"
}

# with_terms NAME ROUNDS MAX_EPSILON: a coordinator and members 0 to 4, not started.
with_terms() {
  local i
  port=0
  use_federation "$dir/$1"
  make_terms "$federation.toml" "$2" 2s
  sed -i "s/^max_epsilon = .*/max_epsilon = $3/" "$federation.toml"
  dure init "$federation" --from "$federation.toml" >"$logs/init.log"
  start_coordinator
  for i in 0 1 2 3 4; do join "member-$i"; done
}

with_terms one 5000 1000
for i in 0 1 2 3 4; do begin "member-$i"; done
takes_part member-0
[ "$(stat -c %a "$(ledger_of member-0)")" = 600 ] || fail "others may read the ledger of the data"
[ "$(stat -c %a "$DURE_DATA_LEDGERS")" = 700 ] || fail "others may look at the ledgers"

# ---- kills ----
for i in 1 2 3 4 5 6 7 8; do
  takes_part member-0
  sleep "0.0$((RANDOM % 9))"
  kill -KILL "${pid_of[member-0]}"
  end_of member-0
  begin member-0
done
takes_part member-0
stop_program member-0
agree member-0

# ---- disks ----
if [ -e "$fault" ]; then
  when=$dir/now
  for where in "$nodes/member-0" "$DURE_DATA_LEDGERS"; do
    for kind in full readonly; do
      begin member-0 env LD_PRELOAD="$fault" DISK_FAULT_KIND="$kind" DISK_FAULT_FOLDER="$where" \
        DISK_FAULT_WHEN="$when"
      takes_part member-0
      touch "$when"
      ends_with member-0 1 'the ledger could not be written'
      rm "$when"
      sent=$(grep -c '^sends 3 ' "$logs/member-0.log")
      [ "$sent" -le "$(charges member-0)" ] || fail "shares left that were not charged"
      begin member-0
      takes_part member-0
      stop_program member-0
      agree member-0
    done
  done
fi

# ---- a crash between the two writes of one charge ----
before=$(charges member-0)
last=$(grep -n '^charge ' "$nodes/member-0/ledger" | tail -n 1 | cut -d: -f1)
head -n $((last - 1)) "$nodes/member-0/ledger" >"$dir/cut"
cat "$dir/cut" >"$nodes/member-0/ledger"
rm "$nodes/member-0/ledger.count"
begin member-0
wait_for 'the charge is there again' more_charges member-0 $((before - 1))
wait_for 'the member says so' log_has member-0 \
  '1 charge of this membership in .* missing in .*: added'
stop_program member-0
agree member-0

# ---- old copies ----
keep() { rm -rf "$dir/kept" && mkdir "$dir/kept" && cp -a "$nodes/member-0" "$DURE_DATA_LEDGERS" "$dir/kept"; }
restore_node() { rm -r "$nodes/member-0" && cp -a "$dir/kept/member-0" "$nodes"; }
# Of this member alone: the others are running.
restore_data() {
  local folder
  folder=$(dirname "$(ledger_of member-0)")
  rm -r "$folder" && cp -a "$dir/kept/data-ledgers/$(basename "$folder")" "$DURE_DATA_LEDGERS"
}
run_for_three() {
  local before
  before=$(charges member-0)
  begin member-0
  wait_for 'three more charges' more_charges member-0 $((before + 3))
  stop_program member-0
}
for what in node data; do
  keep
  run_for_three
  newest=$(charges member-0)
  restore_$what
  begin member-0
  ends_with member-0 1 'one of the two is an old copy; put the newest back, or charge what is missing in full with `dure client --charge-missing`'
  tail -n 1 "$logs/member-0.log" | grep -qF "$newest" || fail "the numbers are not named"
  begin_charging member-0
  wait_for "charges above those before a restored $what" more_charges member-0 "$newest"
  stop_program member-0
  agree member-0
done

# Both are old copies of one age: the coordinator knows.
keep
run_for_three
last=$(awk '$1 == "charge" {n = $3} END {print n}' "$nodes/member-0/ledger")
restore_node
restore_data
begin member-0
ends_with member-0 3 "the coordinator has seen this member's shares of attempt"
begin_charging member-0
wait_for 'a charge after those that were missing' \
  awk -v last="$last" '$1 == "charge" && $2 > 0 && $3 > last {found = 1} END {exit !found}' "$nodes/member-0/ledger"
stop_program member-0
agree member-0
grep -q "^charge 0 $last " "$nodes/member-0/ledger" || fail "attempt $last was not charged afterwards"

# ---- damage ----
damage() {
  cp -a "$1" "$dir/whole"
  sed -i "$2" "$1"
  begin member-0
  ends_with member-0 1 "$3"
  cp -a "$dir/whole" "$1"
}
damage "$(ledger_of member-0)" '2d' 'is damaged, or one before it is missing'
damage "$(ledger_of member-0)" '$d' 'entries of at least'
damage "$(ledger_of member-0)" '1s/ charge / chargf /' 'restore the file from a backup that is not older'
damage "$nodes/member-0/ledger" '2s/charge/chargf/' 'is damaged (its check does not fit)'
mv "$(ledger_of member-0)" "$dir/whole"
begin member-0
ends_with member-0 1 'is missing; this member takes no part'
mv "$dir/whole" "$(ledger_of member-0)"
begin member-0
takes_part member-0

# ---- one data set, two members at once ----
for i in 1 2; do
  stop_program "member-$i"
  data_of[member-$i]=shared
  begin "member-$i"
done
for i in 1 2; do takes_part "member-$i"; takes_part "member-$i"; done
for i in 1 2; do stop_program "member-$i"; done
grep -c ' charge ' "$(ledger_of member-1)" >"$dir/both"
[ "$(awk '$2 == "charge" {print $5}' "$(ledger_of member-1)" | sort -u | wc -l)" -eq 2 ] ||
  fail "two members on one data set have not one ledger"
begin member-1
takes_part member-1
stop_program member-1

# ---- a budget that another federation has spent ----
spent=$(charges member-0)
stop_program member-0
for i in 3 4; do stop_program "member-$i"; done
stop_program coordinator
first=$nodes/member-0
with_terms two 5000 1000
for i in 0 1 2 3 4; do data_of[member-$i]=second-$i; done
data_of[member-0]=$first
dure policy set total_epsilon 0.5 --node "$nodes/member-0" >"$logs/policy.log"
for i in 0 1 2 3 4; do begin "member-$i"; done
ends_with member-0 3 "this member's budget for its data is spent (its limit total_epsilon)"
wait_for 'the organiser reads it' log_has coordinator 'member-0 takes no part .*budget for its data is spent'
[ "$(charges member-0)" -eq 0 ] || fail "a charge beyond the total"
[ "$(data_charges member-0)" -eq "$spent" ] || fail "the refusal was charged"
takes_part member-1
dure policy set total_epsilon --default --node "$nodes/member-0" >"$logs/policy.log"
begin member-0
takes_part member-0
# A limit that is set while it runs holds from the next offer on.
dure policy set max_epsilon 0.01 --node "$nodes/member-0" >"$logs/policy.log"
ends_with member-0 3 "above this member's limit max_epsilon = 0.01"
for i in 1 2 3 4; do stop_program "member-$i"; agree "member-$i"; done

echo "ledger_test: all held in $SECONDS s"
