#!/usr/bin/env bash
# An enrolment CA on a machine of its own: a folder here that the federation's folder never sees. The
# coordinator's certificate and the memberships are carried to it as requests and back as
# certificates; one ends soon and is renewed; tokens that nobody made are refused and counted; a
# member is revoked in the middle of an attempt.
#
#   tests/sign_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=200
. "$(dirname "$0")/support/commands.sh"
export DURE_DATA_LEDGERS=$dir/data-ledgers
fail() {
  echo "sign_test: $*" >&2
  tail -n 4 "$dir"/*.log >&2 || true
  exit 1
}
examples=$build/share/dure/examples

sed -e 's/^count = .*/count = 400/; s/^cohort = .*/cohort = 4/; s/^minimum = .*/minimum = 3/' \
  -e 's/^max_attempts = .*/max_attempts = 800/; s/^total_records = .*/total_records = 100/' \
  -e 's/^max_records_per_member = .*/max_records_per_member = 25/' \
  -e 's/^max_epsilon = .*/max_epsilon = 900/; s/^sampling_rate = .*/sampling_rate = 0.1/' \
  -e 's/^address = .*/address = "127.0.0.1:0"/' \
  "$examples/fashion.toml" >small.toml

# ---- the ceremony ----
must dure sign init ca --name clinics
[ "$(stat -c %a ca/ca.key)" = 600 ] || fail "the CA's key can be read by others"
expect 1 'has a CA already' dure sign init ca --name clinics
must dure sign init other --name clinics
expect 1 'is no file or example' dure init wrong --from nowhere
must dure sign init third --name others
expect 2 'is that of "others"' dure init wrong --name clinics --from small.toml --ca third/ca.pem
absent wrong/federation.toml
must dure init clinics --name clinics --from small.toml --ca ca/ca.pem
absent clinics/private/ca.key
expect 1 'has no certificate yet' dure coordinator clinics
request=$(echo clinics/private/requests/coordinator-*.request)
expect 2 'CA_DIR, REQUEST and --out are required' dure sign
expect 3 'asks another CA' dure sign other "$request" --out signed --yes
absent signed
expect 3 'nothing was signed' dure sign ca "$request" --out signed
absent signed
must dure sign ca "$request" --out signed --yes
grep -q 'Enrolment CA of "clinics"' out || fail "dure sign does not say whose CA signs"

must dure sign import clinics signed/coordinator-*.pem

start_coordinator() {
  dure coordinator clinics >coordinator.log 2>&1 &
  coordinator=$!
  pids+=("$coordinator")
  wait_for "the coordinator" grep -q 'listening on' coordinator.log
}
start_coordinator
port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' coordinator.log)

# ---- members ----
declare -A client
waits_for() { grep -q "\"name\":\"$1\".*\"state\":\"unsigned\"" <(dure members clinics --json); }
for i in 1 2 3 4; do
  must dure invite clinics --name "m$i" --org "City Hospital"
  token=$(cat out)
  [ "$i" -ne 1 ] || first=$token
  if [ "$i" -eq 1 ]; then
    # Waits, is killed, and goes on with the key that it has.
    dure join "$token" --node m1 --yes >join1.log 2>&1 &
    joining=$!
    pids+=("$joining")
    wait_for "the request of m1" waits_for m1
    wait_for "m1 says that it waits" grep -q 'signs memberships on another machine' join1.log
    kill -9 "$joining"
    expect 1 'waits for a membership with another token' dure join dure1:AAAA --node m1 --yes
  else
    must dure join "$token" --node "m$i" --yes --no-wait
  fi
  records "data$i" 25 "$i" 28 28 $((i * 50))
done
expect 1 'is not a member'"'"'s folder' dure data add data2 --node m2
must dure members clinics
[ "$(grep -c unsigned out)" -eq 4 ] || fail "not all four are shown to wait: $(cat out)"
must dure status clinics
grep -q '4 of clinics/private/requests wait for a signature' out || fail "dure status does not say so"
# One is turned down: what it asked for is gone.
must dure invite clinics --name rejected
must dure join "$(cat out)" --node rejected --yes --no-wait
must dure revoke clinics rejected
expect 1 'withdrawn' dure join --node rejected
# The first holds for a little more than two minutes only, so that it is renewed at once.
must dure sign ca clinics/private/requests/member-m1-*.request --out signed --yes --valid 2m20s
must dure sign ca clinics/private/requests/member-m[234]-*.request --out signed --yes
must dure sign import clinics signed/member-*.pem
for i in 1 2 3 4; do
  must dure join --node "m$i"
  must dure data add "data$i" --node "m$i"
done
expect 1 'is a member'"'"'s folder already' dure join "$first" --node m1 --yes

for i in 1 2 3 4; do
  dure client --node "m$i" --threads 1 >"client$i.log" 2>&1 &
  client[$i]=$!
  pids+=("${client[$i]}")
done

# ---- renewal ----
renewal_waits() { compgen -G 'clinics/private/requests/member-m1-*.request' >/dev/null; }
wait_for "m1 asks for a newer certificate" renewal_waits
must dure sign ca clinics/private/requests/member-m1-*.request --out renewed --yes
must dure sign import clinics renewed/member-m1-*.pem
cp m1/member.pem before.pem
kill "${client[1]}"
wait "${client[1]}" || fail "m1 ended with $?: $(cat client1.log)"
dure client --node m1 --threads 1 >client1.log 2>&1 &
client[1]=$!
pids+=("${client[1]}")
wait_for "m1 has its newer certificate" grep -q 'certificate was renewed' client1.log
cmp -s m1/member.pem before.pem && fail "the newer certificate was not written"
! renewal_waits || fail "the answered request is still there"

# ---- revocation takes effect in the attempt that is under way ----
round() { dure status clinics --json | sed -n 's/.*"round":\([0-9]*\).*/\1/p'; }
past() { [ "$(dure status clinics --json | jq .round)" -ge "$1" ]; }
wait_for "two rounds" past 2
kill -STOP "${client[4]}" # in the middle of whatever it does: the attempt waits for it
must dure revoke clinics m4
before=$(dure status clinics --json | jq .round)
wait_for "rounds without m4" past $((before + 2))
last=$(dure status clinics --json | jq '.history[-1].survivors')
[ "$last" -eq 3 ] || fail "the last round has $last survivors instead of 3"
kill -CONT "${client[4]}"
code=0
wait "${client[4]}" || code=$?
[ "$code" -eq 3 ] || [ "$code" -eq 1 ] || fail "the revoked client ended with $code"
grep -q 'ended by the organiser' client4.log || fail "m4 is not told: $(tail -n 2 client4.log)"
expect 1 'is a member'"'"'s folder already' dure join "$first" --node m4

# ---- tokens that nobody made ----
wrong() { # a token of the same federation with another secret
  python3 - "$first" <<'PY'
import base64, os, sys
raw = sys.argv[1].split(":", 1)[1]
data = bytearray(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
at = data.index(b"\x12\x20") + 2
data[at:at + 32] = os.urandom(32)
print("dure1:" + base64.urlsafe_b64encode(bytes(data)).decode().rstrip("="))
PY
}
if command -v python3 >/dev/null; then
  for ((i = 0; i < 10; i++)); do
    expect 1 'made no such token' dure join "$(wrong)" --node stranger --yes
  done
  expect 1 'too many tokens' dure join "$(wrong)" --node stranger --yes
fi
absent stranger/private

kill "$coordinator"
wait "$coordinator" || fail "the coordinator ended with $?"
echo "a CA elsewhere: $checks mistakes, renewal, revocation, wrong tokens"
