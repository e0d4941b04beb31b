#!/usr/bin/env bash
# The coordinator's web page, metrics and JSON logs of a real run, asked as a person's tools would.
#
#   tests/web_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=60
. "$(dirname "$0")/support/commands.sh"

# ask PORT PATH [HOST] [METHOD]: the answer with its headers is in "answer", what follows them in "body".
ask() {
  exec 8<>"/dev/tcp/127.0.0.1/$1"
  printf '%s %s HTTP/1.1\r\nHost: %s\r\n\r\n' "${4-GET}" "$2" "${3-localhost}" >&8
  cat <&8 >answer
  exec 8>&-
  sed '1,/^\r$/d' answer >body
  code=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' answer)
}
gets() {
  ask "$web" "$1"
  [ "$code" -eq 200 ] || fail "$1 is answered with $code"
}
is() { gets /status.json && jq -e "$1" body >/dev/null; }
has_line() { grep -q -- "$1" "$2" 2>/dev/null; }

# ---- a federation of four ----
records data 20 1 2 2 9
cat >small.toml <<TOML
[federation]
name    = "seen"
purpose = "See what can be seen"
license = "Apache-2.0"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 2, 2]
classes = 3
[rounds]
count = 2000
cohort = 4
minimum = 3
max_attempts = 4000
deadline = "1m"
[local]
sampling_rate = 0.1
[server]
optimizer = "fedadam"
learning_rate = 0.01
[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 1000.0
total_records = 80
max_records_per_member = 20
[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.1
[evaluation]
every = 1
TOML
must dure init fed --from small.toml
cp -r fed other

# ---- addresses ----
expect 2 '--web "nowhere" is no address' dure coordinator fed --web nowhere
expect 2 '--web "127.0.0.1:65536" is no address' dure coordinator fed --web 127.0.0.1:65536
expect 2 'text' dure coordinator fed --log xml

dure coordinator fed --web 0 --log json >coordinator.out 2>coordinator.log &
coordinator=$!
pids+=("$coordinator")
wait_for 'the page' has_line '^web page: http://127.0.0.1:[0-9]*/$' coordinator.out
web=$(sed -n 's|^web page: http://127.0.0.1:\([0-9]*\)/$|\1|p' coordinator.out)
expect 1 "the web page cannot be at 127.0.0.1:$web (--web): another program listens there" \
  dure coordinator other --web "$web"

# ---- nobody is here ----
gets /
grep -q '<script src="page.js" defer></script>' body || fail "no page: $(head -n 3 body)"
grep -qi "^Content-Security-Policy: default-src 'none'; script-src 'self';" answer || fail "no policy: $(head -n 20 answer)"
ask "$web" /status.json evil.example
[ "$code" -eq 403 ] || fail "another name is answered with $code"
ask "$web" /status.json localhost POST
[ "$code" -eq 405 ] || fail "POST is answered with $code"
is '.state == "waiting" and .round == 0 and .members == [] and .federation.purpose == "See what can be seen"' ||
  fail "before the run: $(cat body)"

# ---- a run ----
for name in a b c d eva; do
  role=member
  [ "$name" != eva ] || role=evaluator
  must dure join "$(dure invite fed --name "$name" --role "$role" --org "House of $name" 2>/dev/null)" --yes --node "$name"
  must dure data add data --node "$name"
done
must dure pause fed
for name in eva b c d a; do
  dure client --node "$name" --threads 1 --log json >"$name.out" 2>"$name.log" &
  pids+=("$!")
done
wait_for 'all are here' is '.members_connected == 4 and .evaluators_connected == 1'
is '.state == "paused" and ([.members[].state] | all(. == "here")) and (.members | length) == 5 and
    (.members[0] | .name == "a" and .organisation == "House of a" and .doing == "ready")' || fail "paused: $(cat body)"
gets /metrics
grep -q '^dure_members_connected{role="member"} 4$' body || fail "metrics: $(grep members body)"
grep -q '^dure_run_state{state="paused"} 1$' body || fail "metrics: $(grep state body)"
if command -v promtool >/dev/null; then promtool check metrics <body || fail "promtool finds faults"; fi
dure status fed >text
grep -q 'paused' text || fail "dure status says $(cat text)"
must dure resume fed
wait_for 'rounds' is '.round >= 3'
is '.history[0].round == 1 and .history[0].survivors >= 3 and .bytes_received > 0 and .privacy.epsilon > 0' ||
  fail "after a round: $(cat body)"
gets /metrics
grep -qE '^dure_rounds_total [1-9]' body || fail "metrics: $(grep rounds body)"
grep -qE '^dure_evaluation_loss [0-9]' body || fail "metrics: $(grep evaluation body)"
must dure backup fed running.tar
must dure coordinator fed --check
must dure stop fed
wait "$coordinator" || fail "the coordinator ended with $?: $(tail -n 3 coordinator.log)"

# ---- what was logged ----
for name in coordinator a eva; do
  [ -s "$name.log" ] || fail "$name logged nothing"
  while IFS= read -r line; do
    jq -e '(.ts | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3}Z$")) and (.level | type == "string") and
           (.msg | type == "string")' <<<"$line" >/dev/null || fail "$name logged something else: $line"
  done <"$name.log"
done
jq -es 'any(.msg == "a is here" and .member == "a" and .federation == "seen")' coordinator.log >/dev/null ||
  fail "the coordinator's log has no member: $(head -n 5 coordinator.log)"
jq -es 'any(.round >= 3 and .attempt >= 3)' a.log >/dev/null || fail "no entry knows its round"
jq -es 'any(.member == "a" and .federation == "seen")' a.log >/dev/null || fail "a's log: $(head -n 3 a.log)"

# ---- and kept ----
must dure coordinator fed --check
[ "$(grep -c '^PASS  ' out)" -ge 10 ] || fail "--check says $(cat out)"
must dure coordinator fed --check --json
jq -e '.passed and (.checks | length) >= 10' out >/dev/null || fail "--check --json says $(cat out)"
must dure backup fed fed.tar
expect 1 'fed.tar is there already' dure backup fed fed.tar
must dure restore fed.tar back
must dure restore running.tar earlier
must dure coordinator back --check
expect 1 'back is there already' dure restore fed.tar back
[ "$(dure status back --json | jq -c .history)" = "$(dure status fed --json | jq -c .history)" ] ||
  fail "the restored run has another history"

echo "web_test: $SECONDS s"
