#!/usr/bin/env bash
# Members that disappear at each of the ten steps of a round (docs/secure-aggregation.md section
# 1.2), over real processes and connections: killed, stopped, cut off, with a trainer that hangs.
# One may vanish: the round must be released with the exact sum of those who are left. When two do,
# it must be tried again under a new number. Whoever is there again takes part again by itself.
#
#   tests/dropout_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dir=$(mktemp -d)
federation=
. "$(dirname "$0")/support/faulty_federation.sh"
groups=()
finish() {
  local code=$?
  for pid in "${groups[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  if [ "$code" -ne 0 ]; then
    grep -v ' Killed  ' "$dir/shell.log" >&3 || true
    tail -n 4 "$dir"/*-logs/{coordinator,member-?}.log >&3
  fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT

note() { printf '%3d s  %-8s %s\n' "$SECONDS" "${federation##*/}" "$*"; }
take_part_again() {
  local name
  for name in "$@"; do
    wait_for "$name takes part in a round after attempt $attempt" takes_part "$name" "$attempt"
  done
  wait_for "all take part after attempt $attempt" all_take_part "$attempt"
}
takes_part() { awk -v after="$2" '$1 == "released" && $3 > after {found = 1} END {exit !found}' "$logs/$1.log"; }
# faults_are MANY NAME: and the last one's round and attempt are in $round and $attempt.
faults_are() {
  [ "$(grep -c '^fault ' "$logs/$2.log")" -eq "$1" ] &&
    read -r _ _ _ round attempt < <(grep '^fault ' "$logs/$2.log" | tail -n 1)
}
count_faults() { grep -c '^fault ' "$logs/$1.log" || true; }

# vanish NAME STEP WHAT: the member disappears in an attempt in which all take part, the round is
# released without it, and it comes back.
vanish() {
  local name=$1 step=$2 what=$3 before
  before=$(count_faults "$name")
  arm "$name" "$step" "$what"
  wait_for "$name fails at step $step" faults_are $((before + 1)) "$name"
  wait_for "round $round is released" is ".round >= $round"
  echo "$name $step $attempt" >>"$federation.faults"
  case "$what" in
    kill)
      end_of "$name"
      start_member "$name"
      ;;
    stop) kill -CONT "${pid_of[$name]}" ;;
    hold | swallow) rm "$logs/$name-wire/silence" ;;
    hang) touch "$nodes/$name/answer" ;;
  esac
  take_part_again "$name"
  note "$name: $what at step $step, attempt $attempt"
}

# two_vanish STEP: the attempt fails and the round is tried again.
two_vanish() {
  local step=$1 name failures
  failures=$(failed_attempts) || true
  dure pause "$federation" >/dev/null
  wait_for "the run pauses" is '.state == "paused" and .phase == "paused"'
  for name in member-1 member-3; do arm "$name" "$step" kill; done
  dure resume "$federation" >/dev/null
  for name in member-1 member-3; do end_of "$name"; done
  faults_are "$(count_faults member-1)" member-1
  wait_for "attempt $attempt fails" log_has coordinator " attempt $attempt of round $round failed: "
  [ "$(failed_attempts)" -eq $((failures + 1)) ] || fail "not one attempt failed at step $step"
  wait_for "it waits for members" is '.state == "waiting" and (.phase | contains("3 of 5"))'
  for name in member-1 member-3; do start_member "$name"; done
  take_part_again member-1 member-3
  [ "$(jq "[.history[] | select(.attempt == $attempt)] | length" "$federation.status")" -eq 0 ] ||
    fail "attempt $attempt failed and was released"
  jq -e ".history[$round - 1].attempt > $attempt" "$federation.status" >/dev/null ||
    fail "round $round has no later attempt"
  note "two vanish at step $step: attempt $attempt fails, round $round is tried again"
}

# in_federation NAME COMMAND: with five members, in a process of its own.
in_federation() {
  use_federation "$dir/$1"
  cp -r "$dir/template" "$federation"
  port=0
  : >"$federation.faults"
  start_coordinator
  for i in 0 1 2 3 4; do
    join "member-$i"
    if [ "$1" = cut ]; then put_behind_relay "member-$i"; fi
    start_member "member-$i"
  done
  wait_for "all take part" all_take_part
  "$2"
  dure stop "$federation" >/dev/null
  end_of coordinator
  [ "$code" -eq 0 ] || fail "the coordinator ended with $code"
  for i in 0 1 2 3 4; do stop_program "member-$i"; done
  is '.state == "stopped"' || fail "it does not stop"
  check_history
  check_models
  check_ledgers
  [ "$(jq '.attempts - .round' "$federation.status")" -eq "$(failed_attempts)" ] ||
    fail "attempts are not rounds and failures: $(cat "$federation.status")"
  # Who vanished before its masked input (step 5) had left is not in the sum, later it is.
  while read -r name step attempt; do
    want=1,1,1,1,1
    if [ "$step" -le 5 ]; then
      k=${name#member-}
      want=${want:0:$((2 * k))}0${want:$((2 * k + 1))}
    fi
    awk -v attempt="$attempt" -v want="$want" \
      '$2 == attempt {found = $5 == want} END {exit !found}' "$federation.sums" ||
      fail "attempt $attempt, which $name left at step $step, should sum $want:" \
        "$(awk -v attempt="$attempt" '$2 == attempt' "$federation.sums")"
  done <"$federation.faults"
  note "$(jq -r '"\(.round) rounds, \(.attempts) attempts"' "$federation.status"); all sums are exact"
}
killed() {
  for step in 0 1 2 3 4 5 6 7 8 9; do vanish "member-$((step % 5))" "$step" kill; done
}
stopped() {
  vanish member-0 0 stop
  vanish member-1 3 stop
  vanish member-2 5 stop
  vanish member-3 7 stop
  vanish member-4 9 stop
}
cut() {
  vanish member-0 1 hold
  vanish member-1 4 swallow
  vanish member-2 5 hold
  vanish member-3 6 swallow
  vanish member-4 8 hold
}
hung() { vanish member-0 0 hang; }
doubled() {
  for step in 2 3 5 8; do two_vanish "$step"; done
}

make_terms "$dir/terms.toml" 1000 2s
dure init "$dir/template" --from "$dir/terms.toml" >"$dir/init.log"
for group in killed stopped cut hung doubled; do
  (
    trap end_processes EXIT
    trap 'exit 1' TERM INT
    in_federation "$group" "$group"
  ) &
  groups+=($!)
done
for pid in "${groups[@]}"; do wait "$pid" || exit 1; done
groups=()
echo "dropout_test: $(cat "$dir"/*-logs/member-?.log | grep -c '^fault ') disappearances in $SECONDS s"
