# What the examples and scripts/demo have in common: a federation on this machine, every member a
# process of its own, each command printed before it runs. Sourced, with `set -euo pipefail`, after
# `example` (the name for messages) and `dir` (where everything goes) are set.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
run() {
  show "$@"
  "$@"
}

# Makes $dir anew if it is the place that the example itself chose, $1; another must not be there.
make_dir() {
  if [ "$dir" = "$1" ]; then
    rm -rf "$dir"
  elif [ -e "$dir" ]; then
    echo "$example: $dir is there already: remove it, or choose another with --dir" >&2
    exit 1
  fi
  mkdir -p "$dir/logs"
  # Each run begins with nothing spent on its data: they are the same every time.
  DURE_DATA_LEDGERS=$(realpath "$dir")/data-ledgers
  export DURE_DATA_LEDGERS
}

# Ends what this script started, and nothing else.
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# start LOG COMMAND...: in the background.
start() {
  local log=$1
  shift
  show "$* > $log &"
  "$@" >"$log" 2>&1 &
  pids+=($!)
}
# expect_alive PID WHAT LOG: ends the example if a process that must live has died.
expect_alive() {
  if ! kill -0 "$1" 2>/dev/null; then
    echo "$example: $2 ended early; the end of $3:" >&2
    tail -n 5 "$3" >&2
    exit 1
  fi
}

# Starts the coordinator of $dir/federation and waits until it answers.
start_coordinator() {
  start "$dir/logs/coordinator.log" dure coordinator "$dir/federation"
  local coordinator=${pids[-1]}
  for _ in $(seq 100); do
    dure status "$dir/federation" --json >"$dir/logs/status.json" 2>/dev/null &&
      [ "$(jq -r .state "$dir/logs/status.json")" != stopped ] && break
    expect_alive "$coordinator" "the coordinator" "$dir/logs/coordinator.log"
    sleep 0.1
  done
}

# join NAME ROLE DATA...: one invitation, one membership, its data (arguments of `dure data add`).
# The first one's terms are shown whole.
names=()
join() {
  local name=$1 role=$2 node=$dir/nodes/$1 token
  shift 2
  show "token=\$(dure invite $dir/federation --name $name --role $role)"
  token=$(dure invite "$dir/federation" --name "$name" --role "$role" 2>>"$dir/logs/$name.log")
  show "dure join \"\$token\" --yes --node $node"
  dure join "$token" --yes --node "$node" >"$dir/logs/$name-join.log"
  if [ ${#names[@]} -eq 0 ]; then
    cat "$dir/logs/$name-join.log"
  else
    tail -n 2 "$dir/logs/$name-join.log" | head -n 1
  fi
  show dure data add "$@" --node "$node"
  dure data add "$@" --node "$node" >"$dir/logs/$name-data.log"
  sed -n '3p' "$dir/logs/$name-data.log"
  names+=("$name")
}

# take_part FLAG...: every member and evaluator takes part, with these flags of `dure client`;
# returns when the run is over.
take_part() {
  for name in "${names[@]}"; do
    start "$dir/logs/$name.log" dure client --node "$dir/nodes/$name" --threads 1 "$@"
  done
  say "How it is getting on"
  for _ in $(seq 100); do
    dure status "$dir/federation" --json >"$dir/logs/status.json"
    [ "$(jq -r .state "$dir/logs/status.json")" = waiting ] || break
    sleep 0.1
  done
  run dure status "$dir/federation"
  show dure status "$dir/federation" --watch
  # The shell hears a signal while it waits, not while a command runs before it.
  dure status "$dir/federation" --watch &
  pids+=($!)
  wait $!
  for pid in "${pids[@]}"; do wait "$pid" || true; done
  pids=()
}
