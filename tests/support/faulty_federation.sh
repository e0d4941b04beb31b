# A federation whose members fail at chosen moments, for shell tests: sourced, after `dir` (a folder
# that is removed in the end) and `build` are set. The coordinator is `dure coordinator`, members are
# `faulty client` (faulty_main.cc), which train without a trainer process so that each released model
# shows whose input is in it. Everything is seen from outside: `dure status`, ledgers, logs.
patience_s=${patience_s:-40}
PATH=$build/bin:$PATH
faulty=$build/bin/faulty
wiretap=$build/bin/wiretap
cohort=5
export HOME=$dir/home
unset DURE_NODE

# What a person should read goes to descriptor 3: on standard error the shell says who was killed.
exec 3>&2 2>>"$dir/shell.log"

# Ends what this shell started, and nothing else.
declare -A pid_of=()
end_processes() {
  for pid in "${pid_of[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
fail() {
  echo "${0##*/}: ${federation:+${federation##*/}: }$*" >&3
  exit 1
}
# wait_for WHAT COMMAND...: until it succeeds.
wait_for() {
  local what=$1 until=$((SECONDS + patience_s))
  shift
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || fail "$what: not within $patience_s s"
    sleep 0.03
  done
}

# trainer_of NAME: prints the process id of the trainer of a running client.
trainer_of() {
  local status
  for status in /proc/[0-9]*/status; do
    awk -v parent="${pid_of[$1]}" \
      '/^Name:/ {name = $2} /^Pid:/ {pid = $2} /^PPid:/ {ppid = $2}
       END {if (name == "dure-trainer" && ppid == parent) print pid}' "$status" 2>/dev/null || true
  done
}

# make_terms FILE ROUNDS DEADLINE [KEY VALUE]...: a federation file of 15 parameters.
make_terms() {
  cat >"$1" <<TOML
[federation]
name    = "faults"
purpose = "See what is lost when things fail"
license = "Apache-2.0"
address = "127.0.0.1:0"

[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 2, 2]
classes = 3

[rounds]
count = $2
cohort = $cohort
minimum = ${minimum:-4}
max_attempts = $(($2 * 2))
deadline = "$3"

[local]
sampling_rate = 0.1

[server]
optimizer = "fedavg"
learning_rate = 5.0

[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 1000.0
total_records = 5000
max_records_per_member = 1000

[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.2

[evaluation]
every = 10
TOML
}

# use_federation FOLDER: everything below is about it.
use_federation() {
  federation=$1
  logs=$federation-logs
  nodes=$federation-nodes
  mkdir -p "$logs" "$nodes"
}
log_has() { [ "$(grep -cE -- "$2" "$logs/$1.log")" -ge "${3:-1}" ]; }
# start NAME COMMAND...: in the background; what it says goes on in its log.
start() {
  local name=$1
  shift
  : >>"$logs/$name.log"
  "$@" <&0 >>"$logs/$name.log" 2>&1 &
  pid_of[$name]=$!
}
runs() { kill -0 "${pid_of[$1]}" 2>/dev/null; }
has_ended() { ! runs "$1"; }
# end_of NAME: waits for the end; the exit code is in $code.
end_of() {
  wait_for "$1 ends" has_ended "$1"
  code=0
  wait "${pid_of[$1]}" || code=$?
  unset "pid_of[$1]"
}
# stop_program NAME: as Ctrl-C does; it must succeed.
stop_program() {
  kill "${pid_of[$1]}"
  end_of "$1"
  [ "$code" -eq 0 ] || fail "$1 ended with exit code $code"
}
# start_coordinator [COMMAND...]: `dure coordinator` unless told otherwise; the port is in $port.
start_coordinator() {
  [ $# -gt 0 ] || set -- dure coordinator "$federation" --listen "127.0.0.1:${port:-0}"
  local before
  before=$(grep -c 'listening on' "$logs/coordinator.log" 2>/dev/null) || before=0
  start coordinator "$@"
  wait_for "the coordinator listens" log_has coordinator 'listening on' $((before + 1))
  port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$logs/coordinator.log" | tail -n 1)
}
# join NAME [ROLE]
join() {
  local token
  token=$(dure invite "$federation" --name "$1" --role "${2:-member}" 2>>"$logs/invite.log") &&
    dure join "$token" --yes --node "$nodes/$1" >>"$logs/join.log" 2>&1 ||
    fail "$1 cannot join: $(cat "$logs/invite.log" "$logs/join.log")"
}
# start_member NAME: its network, where it has one of its own, is at $logs/NAME-wire.
start_member() {
  start "$1" "$faulty" client --node "$nodes/$1" --initial "$federation/model/initial.safetensors" \
    --train-ms "${train_ms:-50}" --network "$logs/$1-wire/silence"
}
# put_behind_relay NAME: from now on it dials through a relay that can fall silent.
put_behind_relay() {
  mkdir "$logs/$1-wire"
  start "$1-relay" "$wiretap" relay "$logs/$1-wire"
  wait_for "a relay listens" test -s "$logs/$1-relay.log"
  echo "$port" >"$logs/$1-wire/target"
  sed -i "s/\"address\": \"[^\"]*\"/\"address\": \"127.0.0.1:$(cat "$logs/$1-relay.log")\"/" \
    "$nodes/$1/membership.json"
}
# is EXPRESSION: about the run, in jq's language.
is() {
  dure status "$federation" --json >"$federation.status" 2>/dev/null &&
    jq -e "$1" "$federation.status" >/dev/null
}
# All members were in the newest round, which is after attempt $1.
all_take_part() { is ".history[-1] | .attempt > ${1:-0} and .cohort == $cohort and .survivors == $cohort"; }
# arm NAME STEP WHAT: in the next attempt that it is offered; see faulty_main.cc.
arm() {
  echo "$2 $3" >"$nodes/$1/armed"
  mv "$nodes/$1/armed" "$nodes/$1/fault"
}
failed_attempts() { grep -cE ' attempt [0-9]+ of round [0-9]+ failed: ' "$logs/coordinator.log"; }

# ---- what must hold at the end ----

# check_models: $federation.sums gets a line "ROUND ATTEMPT SURVIVORS MODEL_HASH 1,0,1,1,1" for each
# released round, with whose input is in it; what members were offered must agree with it.
check_models() {
  local hash last
  last=$(jq .round "$federation.status")
  hash=$(jq -r .model_hash "$federation.status")
  {
    awk '$1 == "offer" {print $2 - 1, $4, $5}' "$logs"/member-?.log
    echo "$last $hash $("$faulty" model "$federation/state/models/$hash" \
      --initial "$federation/model/initial.safetensors")"
  } | sort -u | sort -s -n -k1,1 >"$federation.models"
  [ "$(awk '{print $1}' "$federation.models" | uniq -d)" = "" ] ||
    fail "a round has two models: $(cat "$federation.models")"
  jq -r '.history[] | "\(.round) \(.attempt) \(.survivors) \(.model_hash)"' "$federation.status" |
    awk -v models="$federation.models" -v members="$cohort" '
      function wrong(what) {print what > "/dev/fd/3"; bad = 1; exit 1}
      BEGIN {while ((getline line < models) > 0) {split(line, f, " "); hash[f[1]] = f[2]; moved[f[1]] = f[3]}}
      {
        if ($4 != hash[$1]) wrong("round " $1 " has model " $4 ", members saw " hash[$1])
        n = split(moved[$1], now, ","); split(moved[$1 - 1], before, ",")
        sum = 0; text = ""
        for (i = 1; i <= n; ++i) {
          d = now[i] - before[i]; whole = d > 0.5
          if (d - whole > 0.1 || whole - d > 0.1) wrong("round " $1 " moves coordinate " i - 1 " by " d)
          if (i > members && whole) wrong("round " $1 " moves coordinate " i - 1 ", of no member")
          if (i <= members) text = text (i > 1 ? "," : "") whole
          sum += whole
        }
        if (sum != $3) wrong("round " $1 " has " $3 " survivors and the inputs of " sum ": " text)
        print $1, $2, $3, $4, text
      }
      END {exit bad}' >"$federation.sums" || fail "the models are not what the rounds say"
  [ "$(wc -l <"$federation.sums")" -eq "$last" ] || fail "not every round has a model"
}

# check_attempts: no number is ever used twice, nor was any member told of a release that is not in
# the history.
check_attempts() {
  awk '$1 == "offer" {print $3, $2, $6}' "$logs"/member-?.log | sort -u | awk '{print $1}' | uniq -d |
    grep . >&3 && fail "these attempts were offered twice"
  awk '$1 == "released" {print $2, $3}' "$logs"/member-?.log | sort -u >"$federation.told"
  jq -r '.history[] | "\(.round) \(.attempt)"' "$federation.status" | sort |
    comm -13 - "$federation.told" | grep . >&3 && fail "members were told of these releases"
  return 0
}

# check_ledgers [may_die]: each attempt is charged once, and only if the member's shares left, or the
# member died between the ledger and the network; nothing is agreed to twice in one session.
check_ledgers() {
  local name charged
  for name in "$nodes"/member-?; do
    name=${name##*/}
    awk '$1 == "charge" {print $3}' "$nodes/$name/ledger" >"$federation.charged"
    charged=$(cat "$federation.charged")
    [ "$charged" = "$(sort -nu "$federation.charged")" ] ||
      fail "$name charged an attempt twice: $charged"
    awk '$1 == "sends" && $2 == 3 {print $4} $1 == "fault" && $2 == 3 && $3 == "kill" {print $5}' \
      "$logs/$name.log" | sort -nu | diff - "$federation.charged" >"$federation.diff" ||
      { [ $# -gt 0 ] && ! grep '^<' "$federation.diff"; } ||
      fail "the ledger of $name is not what left it: $(cat "$federation.diff")"
    [ -z "$(awk '$1 == "consent" {print $2}' "$nodes/$name/ledger" | sort | uniq -d)" ] ||
      fail "$name signed twice in a session"
  done
}

# check_history: rounds without a gap, attempts that only rise.
check_history() {
  jq -e '([.history[].round] == [range(1; .round + 1)])
         and ([.history[].attempt] | . == (. | unique))
         and ([.history[] | .survivors >= 4 and .survivors <= .cohort] | all)' \
    "$federation.status" >/dev/null || fail "a history that cannot be: $(cat "$federation.status")"
}
