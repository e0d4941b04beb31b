#!/usr/bin/env bash
# Processes that are killed with SIGKILL: the coordinator before and after each kind of fact that it
# writes down and of message that it sends, and at random, 50 times in one run; members and trainers
# at random. After each the same command is typed again. What must hold: whatever anybody was told,
# by `dure status` or by a message, stays true; `dure coordinator --check` passes after each kill; the
# run goes on and comes to its end by itself. At every operation on the disk: state_kills_main.cc.
#
#   tests/kill_test.sh BUILD_FOLDER [--minutes N] [--seed S] [--real]
#
#   --minutes N  run after run, for at least so long, each with kills up to four fifths of its rounds
#   --seed S     of what is killed and when
#   --real       members are `dure client` with trainers and Fashion-MNIST
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
shift
minutes=0
seed=1
real=
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) minutes=$2 && shift 2 ;;
    --seed) seed=$2 && shift 2 ;;
    --real) real=yes && shift ;;
    *) echo "kill_test: unknown argument \"$1\"" >&2 && exit 2 ;;
  esac
done
dir=$(mktemp -d)
federation=
dataset=/usr/share/datasets/fashion-mnist
. "$(dirname "$0")/support/faulty_federation.sh"
groups=()
finish() {
  local code=$?
  for pid in "${groups[@]}"; do kill "$pid" 2>/dev/null || true; done
  end_processes
  if [ "$code" -ne 0 ]; then
    grep -v ' Killed  ' "$dir/shell.log" >&3 || true
    tail -n 4 "$dir"/*-logs/{coordinator,member-?,evaluator}.log >&3
  fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT
note() { printf '%3d s  %-9s %s\n' "$SECONDS" "${federation##*/}" "$*"; }

# ---- what was seen once stays true ----

# look: the state now, from the coordinator or from its folder, against all earlier looks.
look() {
  local ledger old
  dure status "$federation" --json >"$federation.status" 2>"$federation.error" ||
    fail "dure status fails: $(cat "$federation.error")"
  [ -e "$federation.seen" ] || cp "$federation.status" "$federation.seen"
  jq -n --slurpfile before "$federation.seen" --slurpfile now "$federation.status" '
    def rows: [.history[] | del(.seconds)];
    ($before[0]) as $b | ($now[0]) as $n |
    if ($n | rows)[:$b.history | length] != ($b | rows) then "a round has changed"
    elif $n.round < $b.round or $n.attempts < $b.attempts then "the run has gone back"
    elif $n.epsilon < $b.epsilon then "epsilon has shrunk"
    elif $b.evaluations - $n.evaluations != [] then "an evaluation has changed"
    elif $n.round != ($n.history | length) then "a round is missing"
    else empty end' -r >"$federation.wrong"
  [ ! -s "$federation.wrong" ] ||
    fail "$(cat "$federation.wrong"): $(cat "$federation.seen" "$federation.status")"
  cp "$federation.status" "$federation.seen"
  for ledger in "$nodes"/member-?/ledger; do
    old=$logs/$(basename "$(dirname "$ledger")").ledger
    # Whole lines: what was being written when a member died is no entry.
    awk 'NR > 1 {print line} {line = $0}' "$ledger" >"$old.new"
    [ ! -e "$old" ] || cmp -s -n "$(stat -c %s "$old")" "$old" "$old.new" ||
      fail "entries of a ledger are gone: $ledger"
    mv "$old.new" "$old"
  done
}
# check_state: with the coordinator gone, everything in its folder is whole; now and then a backup of
# it is, too, which must come back with the same history.
checks=0
check_state() {
  dure coordinator "$federation" --check >"$federation.check" 2>&1 ||
    fail "--check: $(grep -v '^PASS' "$federation.check")"
  checks=$((checks + 1))
  [ $((checks % 20)) -eq 0 ] || return 0
  rm -rf "$federation-back" "$federation.tar"
  dure backup "$federation" "$federation.tar" >"$federation.check" 2>&1 &&
    dure restore "$federation.tar" "$federation-back" >"$federation.check" 2>&1 ||
    fail "the backup does not come back: $(cat "$federation.check")"
  [ "$(dure status "$federation-back" --json | jq -c .history)" = \
    "$(dure status "$federation" --json | jq -c .history)" ] || fail "a backup has another history"
}
finished() { ! runs coordinator; }
# ends_well: the run comes to its end by itself, and every process with it.
ends_well() {
  local name patience_s=120
  for name in coordinator "${people[@]}"; do
    end_of "$name"
    [ "$code" -eq 0 ] || fail "$name ended with exit code $code"
  done
  look
  jq -e '.state == "finished" and .round == .rounds' "$federation.status" >/dev/null ||
    fail "the run is not finished: $(cat "$federation.status")"
  check_history
  if [ -z "$real" ]; then
    check_models
    check_attempts
  fi
  check_ledgers may_die
  note "$1: $(jq -r '"\(.round) rounds, \(.attempts) attempts"' "$federation.status"), nothing is lost"
}

# ---- members ----

start_person() {
  if [ -n "$real" ]; then
    start "$1" dure client --node "$nodes/$1" --threads 1
  else
    start_member "$1"
  fi
}
# in_federation NAME ROUNDS: its coordinator runs, members have joined and are not started yet.
in_federation() {
  use_federation "$dir/$1"
  people=(evaluator)
  if [ -n "$real" ]; then
    cohort=10
    dure init "$federation" --from fashion --address 127.0.0.1:0 >"$logs/init.log"
    sed -i -e "s/^count = .*/count = $2/; s/^max_attempts = .*/max_attempts = $(($2 * 3))/" \
      -e 's/^max_epsilon = .*/max_epsilon = 100/; s/^deadline = .*/deadline = "20s"/' \
      "$federation/federation.toml"
    [ -d "$dir/data" ] || dure data partition "$dataset" --clients "$cohort" \
      --partition dirichlet:0.5 --seed 1 --out "$dir/data" >"$logs/partition.log"
  else
    make_terms "$federation.toml" "$2" 2s
    dure init "$federation" --from "$federation.toml" >"$logs/init.log"
  fi
  for i in $(seq 0 $((cohort - 1))); do people+=("member-$i"); done
  start_coordinator dure coordinator "$federation"
  local name
  for name in "${people[@]}"; do
    if [ "$name" = evaluator ]; then join "$name" evaluator; else join "$name"; fi
    [ -z "$real" ] || dure data add "$(data_of "$name")" --node "$nodes/$name" >>"$logs/data.log"
  done
}
data_of() {
  if [ "$1" = evaluator ]; then echo "$dir/data/heldout"; else printf '%s/data/member-%02d' "$dir" $((${1#member-} + 1)); fi
}

# ---- at every kind of fact and message ----

# dies MOMENT WHAT NTH: the coordinator does, there.
dies() {
  start coordinator "$faulty" coordinator "$federation" --moment "$1" --at "$2" --nth "$3"
  if [ "$2" = failed ]; then
    # An attempt that is under way ends with the coordinator.
    wait_for "an attempt is under way" is '.state == "running"'
    dure stop "$federation" >/dev/null 2>&1 || true
  fi
  end_of coordinator
  # It was told between two attempts: once more.
  if [ "$2" = failed ] && [ "$code" -eq 0 ]; then
    dies "$@"
    return
  fi
  [ "$code" -eq 137 ] || fail "the coordinator ended with $code, not $1 $2"
  check_state
  look
}
at_every_moment() {
  train_ms=20
  in_federation moments 80
  stop_program coordinator
  for name in "${people[@]}"; do start_person "$name"; done
  local moment what nth=1
  for moment in before after; do
    for what in begun offer roster dealt survivors quorum released ended failed evaluate evaluation welcome; do
      case "$what" in
        offer | roster | dealt | survivors | quorum | ended)
          # Of a message to five members, another one each time.
          nth=$((nth % 5 + 1))
          dies "$moment" "$what" "$nth"
          ;;
        *) dies "$moment" "$what" 1 ;;
      esac
    done
  done
  dies before finished 1
  start coordinator dure coordinator "$federation"
  ends_well "25 kills of the coordinator, each at another moment"
}

# ---- at random ----

between() { echo $(($1 + RANDOM % ($2 - $1))); }
sleep_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }
kill_one() {
  kill -KILL "${pid_of[$1]}"
  end_of "$1"
}
# revive: a client whose trainer died before it was there has said so and ended.
revive() {
  local name
  [ -n "$real" ] || return 0
  for name in "${people[@]}"; do
    runs "$name" && continue
    tail -n 1 "$logs/$name.log" | grep -q 'the run is over' && continue
    end_of "$name"
    tail -n 1 "$logs/$name.log" | grep -q 'the trainer failed while loading' ||
      fail "$name ended by itself with exit code $code: $(tail -n 1 "$logs/$name.log")"
    start_person "$name"
  done
}
# at_random NAME ROUNDS KILLS: of the coordinator; one member in three times.
at_random() {
  local kills=0 others=0 until=$(($2 * 4 / 5)) name trainer longest=600
  train_ms=60
  RANDOM=$seed
  in_federation "$1" "$2"
  for name in "${people[@]}"; do start_person "$name"; done
  [ -z "$real" ] || longest=3000
  while [ "$kills" -lt "$3" ]; do
    sleep_ms "$(between 10 $longest)"
    look
    revive
    [ "$(jq .round "$federation.status")" -lt "$until" ] || break
    if [ $((RANDOM % 3)) -eq 0 ]; then
      name=${people[RANDOM % ${#people[@]}]}
      trainer=$([ -z "$real" ] || trainer_of "$name")
      if [ -n "$trainer" ] && [ $((RANDOM % 2)) -eq 0 ]; then
        kill -KILL "$trainer" || true
      else
        kill_one "$name"
        start_person "$name"
      fi
      others=$((others + 1))
    fi
    kill_one coordinator
    kills=$((kills + 1))
    check_state
    [ $((RANDOM % 2)) -eq 0 ] || look
    start coordinator dure coordinator "$federation"
  done
  [ -z "$real" ] || sleep 2
  revive
  if [ "$minutes" -eq 0 ]; then [ "$kills" -eq "$3" ] || fail "only $kills kills before the end"; fi
  ends_well "$kills random kills of the coordinator, $others of members and trainers"
}

if [ "$minutes" -gt 0 ]; then
  for ((run = 1; SECONDS < minutes * 60; ++run)); do
    rounds=1000
    [ -z "$real" ] || rounds=300
    at_random "run-$run" "$rounds" 1000000
    seed=$((seed + 1))
  done
else
  for group in at_every_moment "at_random random 240 50"; do
    (
      trap end_processes EXIT
      trap 'exit 1' TERM INT
      # shellcheck disable=SC2086
      $group
    ) &
    groups+=($!)
  done
  for pid in "${groups[@]}"; do wait "$pid" || exit 1; done
  groups=()
fi
echo "kill_test: $SECONDS s, seed $seed"
