#!/usr/bin/env bash
# Mistakes that people make while they set up a federation, typed into the real programs: each must
# get one clear line on standard error and the right exit code, and leave nothing half-made behind.
#
#   tests/mistakes_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=20
. "$(dirname "$0")/support/commands.sh"
examples=$build/share/dure/examples

# edited SED-SCRIPT: the federation file small.toml with a mistake in it, as wrong.toml.
edited() { sed -e "$1" small.toml >wrong.toml; }
# start_coordinator FOLDER [ARGUMENT...]: its process is in $coordinator, its port in $port.
start_coordinator() {
  rm -f coordinator.log
  dure coordinator "$@" >coordinator.log 2>&1 &
  coordinator=$!
  pids+=("$coordinator")
  wait_for "the coordinator of $1" grep -q 'listening on' coordinator.log
  port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' coordinator.log)
}
stop_coordinator() {
  kill "$coordinator"
  wait "$coordinator" || fail "the coordinator ended with $?"
}

# ---- the command line ----
expect 2 'a command is missing; see dure --help' dure
expect 2 'there is no command "inti": did you mean "init"?' dure inti
expect 2 'there is no command "partiton": did you mean "partition"?' dure data partiton
expect 2 'there is no command "stauts": did you mean "status"?' dure client stauts
expect 2 'there is no command "predct": did you mean "predict"?' dure model predct
expect 2 'a command is missing; see dure model --help' dure model
expect 2 '"--nope" was not expected' dure --nope
expect 2 'DIR is required; see dure init --help' dure init
expect 2 'an argument is empty' dure init ''
expect 2 'MODEL is required; see dure model predict --help' dure model predict
must dure model export --help
expect 2 '"-1" is no whole number' dure privacy epsilon --noise-multiplier 1 --steps -1 --delta 1e-5
expect 2 'delta = nan is outside (0, 1)' dure privacy epsilon --noise-multiplier 1 --steps 9 --delta nan
expect 2 'there is no built-in model "cnnn": did you mean "cnn"?' dure model describe cnnn

# ---- the federation file ----
sed -e 's/^count = .*/count = 2/; s/^cohort = .*/cohort = 4/; s/^minimum = .*/minimum = 3/' \
  -e 's/^max_attempts = .*/max_attempts = 10/; s/^total_records = .*/total_records = 100/' \
  -e 's/^max_records_per_member = .*/max_records_per_member = 25/' \
  -e 's/^max_epsilon = .*/max_epsilon = 50/; s/^sampling_rate = .*/sampling_rate = 0.1/' \
  -e 's/^address = .*/address = "127.0.0.1:0"/' "$examples/fashion.toml" >small.toml
must dure check small.toml
expect 2 '--target-epsilon is nan and must be a number above 0' \
  dure check small.toml --target-epsilon nan
expect 2 '--target-epsilon is 0 and must be a number above 0' \
  dure check small.toml --target-epsilon 0
must dure check small.toml --target-epsilon 2 --json
expect 1 'cannot open missing.toml' dure check missing.toml
expect 1 'Is a directory' dure check .
line() { grep -n "^$1" wrong.toml | cut -d: -f1; }
edited 's/^noise_multiplier/noise_multplier/'
expect 2 "wrong.toml:$(line noise_multplier):1: unknown key \"noise_multplier\" in [privacy]: did you mean \"noise_multiplier\"?" dure check wrong.toml
edited 's/^\[privacy\]/[privcy]/'
expect 2 'unknown section "privcy": did you mean "privacy"?' dure check wrong.toml
edited 's/^minimum = .*/minimum = 12/'
expect 2 "wrong.toml:$(line minimum):" dure check wrong.toml
expect 2 'rounds.minimum is 12, above the cohort of 4' dure init wrong --from wrong.toml
edited 's/^minimum = .*/minimum = 2/'
expect 2 "rounds.minimum is 2: of a sum of two each member could read the other's update" dure check wrong.toml
edited 's/^max_corrupt = .*/max_corrupt = 0.5/'
expect 2 'must be at least 0, below 0.5' dure check wrong.toml
edited 's/^noise_multiplier = .*/noise_multiplier = nan/'
expect 2 'it is nan and must be above 0' dure check wrong.toml
edited 's/^architecture = .*/architecture = "cnnn"/'
expect 2 'did you mean "cnn"?' dure check wrong.toml
edited 's/^shape = .*/shape = [1, 28]/'
expect 2 'the architecture cnn needs [channels, height, width]' dure check wrong.toml
expect 2 'the architecture cnn needs [channels, height, width]' dure init wrong --from wrong.toml
expect 2 'the architecture cnn' dure init wrong --from wrong.toml
expect 2 'needs [channels, height, width]' dure model init --federation wrong.toml --out w
edited 's/^\[rounds\]/[rounds/'
expect 2 "wrong.toml:$(line '\[rounds'):" dure check wrong.toml
expect 2 'federation.name' dure init wrong --from small.toml --name 'Bad Name'
expect 1 'there is no file or example "fashon": did you mean "fashion"?' dure init wrong --from fashon
absent wrong
absent w

# ---- data ----
records good 20 3 28 28
records wide 20 3 28 30
records mislabelled 20 12 28 28
records many 26 3 28 28
mkdir empty cut
cp good/labels-idx1-ubyte cut
head -c 500 good/images-idx3-ubyte >cut/images-idx3-ubyte
expect 1 'there is no folder nowhere' dure data show nowhere
expect 1 'empty holds no images-idx3-ubyte' dure data show empty
expect 1 'is cut short' dure data show cut
expect 1 'is cut short' dure data partition cut --clients 2 --partition iid --out parts
expect 1 'there is no folder nowhere' dure data partition nowhere --clients 2 --partition iid --out parts
expect 2 'partition "iif": unknown kind' dure data partition good --clients 2 --partition iif --out parts
expect 2 '20 records are too few for 21 clients' dure data partition good --clients 21 --partition iid --out parts
expect 2 '--seed' dure data partition good --clients 2 --partition iid --out parts --seed -1
absent parts

# ---- the organiser ----
must dure init fed --from small.toml
must dure init other --from small.toml
expect 1 'fed has a federation already' dure init fed
expect 1 'there is no federation in nowhere: make one with `dure init nowhere`' dure coordinator nowhere
expect 1 'there is no federation in nowhere' dure status nowhere
expect 1 'no coordinator has run with fed yet: start it with `dure coordinator fed`' dure status fed
expect 4 'no coordinator is running in fed: start it with `dure coordinator fed`' dure pause fed
expect 1 'federation.address has port 0' dure invite fed --name a
expect 1 'no round of the federation in fed has been released yet' dure model export fed --out model.pt
expect 2 'is not HOST:PORT' dure coordinator fed --listen nonsense
cp -r fed damaged
echo nonsense >damaged/private/ca.key
expect 1 'damaged/private/ca.key: not an Ed25519 private key' dure coordinator damaged
sed 's/^minimum = .*/minimum = 12/' fed/federation.toml >damaged/federation.toml
expect 2 'above the cohort of 4' dure coordinator damaged
sed 's/^max_epsilon = .*/max_epsilon = 0.01/' fed/federation.toml >damaged/federation.toml
expect 2 'does not pay for a single round' dure coordinator damaged
cp fed/federation.toml damaged
cp -r fed/private damaged
head -c 100 fed/model/initial.safetensors >damaged/model/initial.safetensors
expect 1 'remove that file, then make them with `dure model init' dure coordinator damaged

start_coordinator fed
expect 1 'a coordinator is running with fed already: `dure stop fed` ends it' dure coordinator fed
expect 1 "cannot listen at 127.0.0.1:$port: the address is in use" dure coordinator other --listen "127.0.0.1:$port"
expect 2 "the name of a member has 1 to 48 letters" dure invite fed --name 'a b'
expect 2 'has control characters' dure invite fed --name a --org $'City\nHospital'
expect 2 'is no duration' dure invite fed --name a --expires tomorrow
expect 2 'an invitation may hold from 1m to 720h' dure invite fed --name a --expires 1s
expect 1 'no member is named "nobody", and no open invitation' dure revoke fed nobody
invite() { dure invite fed --name "$1" 2>/dev/null; }
token_a=$(invite a)
token_b=$(invite b)
expect 1 'an open invitation named "a"' dure invite fed --name a

# ---- members ----
expect 2 'does not begin with "dure1:"' dure join nonsense
expect 2 'is cut off' dure join "${token_a:0:100}"
expect 2 'is cut off or damaged' dure join "${token_a}AAAA"
expect 3 'not joined; the token still works' dure join "$token_a" --node a
expect 1 'cannot make the folder' dure join "$token_a" --yes --node /proc/nowhere
must dure join "$token_a" --yes --node a
expect 1 'a is a member'"'"'s folder already' dure join "$token_b" --yes --node a
expect 1 'this token has been used already' dure join "$token_a" --yes --node again
absent again
absent home
expect 1 'nowhere is not a member'"'"'s folder' dure client --node nowhere
expect 1 'no data is registered' dure client --node a
expect 1 'nowhere: name one with images-idx3-ubyte' dure data add nowhere --node a
expect 1 'wide holds records of shape 28 x 30, the model takes 1 x 28 x 28' dure data add wide --node a
expect 1 'record 0 has label 12, the model has 10 classes (0 to 9)' dure data add mislabelled --node a
expect 1 'max_records_per_member is 25' dure data add many --node a
cp -r good shifting
must dure data add shifting --node a
records relabelled 20 4 28 28
cp relabelled/labels-idx1-ubyte shifting
expect 1 'shifting has changed since it was registered: `dure data add' dure client --node a
must dure data add shifting --node a
expect 1 'must be an absolute path' env DURE_DATA_LEDGERS=ledgers dure data add good --node a
expect 1 'set DURE_DATA_LEDGERS to a folder' env -u HOME dure data add good --node a
must dure data add good --node a
touch good/*  # the same records all the same
expect 4 'no client is running in a, the last one ended on ' dure client status --node a
expect 4 'start it with `dure client --node a`' dure client status --node a
dure client --node a >client.log 2>&1 &
client=$!
pids+=("$client")
wait_for 'the client' grep -q '^connected' client.log
expect 1 'a client is running in a already' dure client --node a
kill "$client"
wait "$client" || fail "the client ended with $?"
cp -r a damaged-node
echo nonsense >damaged-node/private/member.key
expect 1 'damaged-node/private/member.key: not an Ed25519 private key' dure client --node damaged-node
echo nonsense >damaged-node/membership.json
expect 1 'damaged-node/membership.json is damaged' dure data list --node damaged-node
# A token that another coordinator gave, whose certificate comes from another CA.
stop_coordinator
start_coordinator other --listen "127.0.0.1:$port"
expect 1 'it has no certificate of the enrolment CA' dure join "$token_b" --yes --node b
# A client says so and goes on trying: whoever opens its connections may stop doing that.
dure client --node a >client.log 2>&1 &
client=$!
pids+=("$client")
wait_for 'the client says who answers' grep -q 'or another server is at .*: expected a certificate of the enrolment CA' client.log
checks=$((checks + 1))
kill "$client"
wait "$client" || fail "the client ended with $?"
stop_coordinator
expect 4 'cannot reach the coordinator' dure join "$token_b" --yes --node b
absent b

# ---- models ----
model=fed/model/initial.safetensors
expect 1 'cannot open nowhere' dure model predict nowhere good/images-idx3-ubyte
expect 1 'the model takes 1 x 28 x 28' dure model predict "$model" wide/images-idx3-ubyte
expect 1 'is cut short' dure model predict "$model" cut/images-idx3-ubyte
expect 2 'is beyond its end' dure model predict "$model" good/images-idx3-ubyte --index 20
expect 2 'is no whole number' dure model predict "$model" good/images-idx3-ubyte --index -1
expect 1 'record 0 has label 12' dure model evaluate "$model" mislabelled
expect 1 'is there already' dure model init --federation small.toml --out "$model"

# ---- folders that a normal user may not look into ----
if [ "$(id -u)" -ne 0 ]; then
  mkdir locked
  chmod 000 locked
  expect 1 'Permission denied' dure init locked/fed
  expect 1 'Permission denied' dure status locked/fed
  expect 1 'Permission denied' dure data show locked/data
  expect 1 'Permission denied' dure client --node locked/node
  chmod 700 locked
fi

echo "mistakes_test: $checks mistakes in $SECONDS s"
