#!/usr/bin/env bash
# Files that travel with a federation, and data of every format, typed into the real programs: what
# is fetched, compared and registered, and one clear line for what is not.
#
#   tests/data_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=60
. "$(dirname "$0")/support/commands.sh"

# federation NAME MODEL-LINES [MORE]: a small federation file.
federation() {
  mkdir -p "$1"
  cat >"$1/federation.toml" <<TOML
[federation]
name = "$1"
purpose = "A test of data"
address = "127.0.0.1:0"
[model]
$2
[rounds]
count = 1
cohort = 3
[local]
mode = "epochs"
[privacy]
unit = "none"
${3:-}
TOML
}
# start_coordinator FOLDER [FLAG]
start_coordinator() {
  rm -f coordinator.log
  dure coordinator "$@" >coordinator.log 2>&1 &
  coordinator=$!
  pids+=("$coordinator")
  wait_for "the coordinator of $1" grep -q 'listening on' coordinator.log
}
stop_coordinator() {
  kill "$coordinator"
  wait "$coordinator" || fail "the coordinator ended with $?"
}
# invited FOLDER NAME: a token.
invited() {
  must dure invite "$1" --name "$2"
  cat out
}
sha() { sha256sum "$1" | cut -d' ' -f1; }

# ---- a schema that travels ----
printf 'age,ward,outcome\n50,north,no\n61,south,yes\n33,south,no\n' >clinic.csv
must dure data schema clinic.csv --label outcome
cp out clinic.schema
table='architecture = "logistic_regression"
input.shape = [3]
input.classes = 2'
federation tables "$table" '[data]
schema = "clinic.schema"'
expect 2 'tables/federation.toml:17:10: data.schema: there is no file tables/clinic.schema: put it beside' \
  dure check tables/federation.toml
cp clinic.schema tables/
must dure check tables/federation.toml
sed 's/shape = \[3\]/shape = [7]/' tables/federation.toml >tables/wide.toml
expect 2 'model.input.shape is [7], and records of tables/clinic.schema have 3 features: set it to [3]' \
  dure check tables/wide.toml
sed 's/classes = 2/classes = 5/' tables/federation.toml >tables/many.toml
expect 2 'the model has 5 classes, and the label of tables/clinic.schema has 2' dure check tables/many.toml
must dure init run --from tables/federation.toml
cmp -s run/clinic.schema clinic.schema || fail "init did not copy the schema"
grep -q "schema_sha256 = \"$(sha clinic.schema)\"" run/federation.toml || fail "init did not write the digest"
echo '# other' >>run/clinic.schema
expect 2 'run/clinic.schema is not the file of data.schema_sha256: if it has changed on purpose, remove that key' \
  dure coordinator run
cp clinic.schema run/
start_coordinator run
token=$(invited run clinic-1)
dure join "$token" --yes --node one >out 2>err || fail "join failed: $(cat err)"
grep -q 'data.schema  clinic.schema' out && grep -q "SHA-256 $(sha clinic.schema)" out ||
  fail "join does not show the file: $(cat out)"
cmp -s "one/files/$(sha clinic.schema)" clinic.schema || fail "join did not fetch the schema"

# ---- tables are compared with it before anything is registered ----
must dure data add clinic.csv --node one
grep -qxF 'column "ward" categorical "north" "south"' one/data-1/records.schema ||
  fail "the schema is $(cat one/data-1/records.schema)"
cp one/data.json before.json
printf 'age,ward,outcome\nold,east,no\n' >other.csv
expect 1 '2 differences: column "age": numeric there, categorical here; column "ward": category "east" here' \
  dure data add other.csv --node one
printf 'age,ward,outcome\n50,north\n' >ragged.csv
expect 1 'ragged.csv:2: column 3' dure data add ragged.csv --node one
printf 'age,ward,outcome\n' >none.csv
expect 1 'none.csv holds no record' dure data add none.csv --node one
expect 1 'leave --schema out' dure data add clinic.csv --schema clinic.schema --node one
records pictures 3 0 1 3
expect 1 "pictures is no table, and the federation's data are tables" dure data add pictures --node one
expect 1 'there is no folder nowhere' dure data add nowhere --node one
cmp -s one/data.json before.json || fail "what could not be added changed data.json"
[ "$(ls -d one/data-*)" = one/data-1 ] || fail "left behind: $(ls -d one/data-*)"
# Another way to write the same table, in a folder that states a schema of its own.
mkdir semicolons
printf 'outcome;ward;age\nyes;south;70\n' >semicolons/records.csv
printf 'dure schema 1\nfile delimiter ";" header yes\ncolumn "ward" categorical "south"\ncolumn "age" numeric\nlabel "outcome" classes "yes"\n' >semicolons/records.schema
must dure data add semicolons --node one
grep -q 'file delimiter ";"' one/data-2/records.schema || fail "the format was lost"
grep -q 'classes "no" "yes"' one/data-2/records.schema || fail "the federation's classes are not used"
absent one/data-1
dure data add semicolons --node one >out 2>err || fail "again: $(cat err)"
grep -q 'every record here has the label 1' err || fail "no note on the only class: $(cat err)"
stop_coordinator

# ---- pictures ----
grey=iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAAXNSR0IArs4c6QAAABBJREFUCJljlGVnZxFlZwcAAYwAVJfJo+cAAAAASUVORK5CYII=
photo=/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkMEQ8SEhEPERETFhwXExQaFRERGCEYGh0dHx8fExciJCIeJBweHx7/wAALCAACAAMBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AMK2ij8hP3adPSv/2Q==
federation shots 'architecture = "logistic_regression"
input.shape = [1, 2, 3]
input.classes = 2'
must dure init shots-run --from shots/federation.toml
start_coordinator shots-run
must dure join "$(invited shots-run clinic-1)" --yes --node two
absent two/files
mkdir -p album/cat album/dog
base64 -d <<<"$grey" >album/cat/1.png
base64 -d <<<"$photo" >album/dog/1.jpg
expect 1 'add --format images' dure data add album --node two
must dure data add album --format images --node two
[ "$(cat two/data-1/classes.txt)" = $'cat\ndog' ] || fail "the classes are $(cat two/data-1/classes.txt)"
must dure data list --node two --json
jq -e '.records == 2 and .shape == [2, 3] and .label_counts == [1, 1]' out >/dev/null || fail "list says $(cat out)"
must dure data add album --format images --held-out 0.5 --classes dog,cat --node two
expect 1 'records of shape 4 x 4, the model takes 1 x 2 x 3' \
  dure data add album --format images --size 4x4 --node two
expect 1 '--size "4": it must be HEIGHTxWIDTH' dure data add album --format images --size 4 --node two
head -c 60 album/cat/1.png >album/cat/2.png
expect 1 'album/cat/2.png: not a sound PNG file' dure data add album --format images --node two
head -c 300 album/dog/1.jpg >album/cat/2.png
expect 1 'album/cat/2.png: not a sound JPEG file' dure data add album --format images --node two
echo text >album/cat/2.png
expect 1 'album/cat/2.png: no picture: neither PNG nor JPEG' dure data add album --format images --node two
rm album/cat/2.png
mkdir album/bird
expect 1 'album has 3 class folders, the model has 2 classes: name all of them' \
  dure data add album --format images --node two
expect 1 'album/bird is the folder of no class' \
  dure data add album --format images --classes cat,dog --node two
expect 1 'album/bird holds no picture: fill it, or remove it' \
  dure data add album --format images --classes cat,dog,bird --node two
rmdir album/bird
rm -r album/dog
expect 1 'has one class folder' dure data add album --format images --node two
dure data add album --format images --classes cat,dog --node two >out 2>err || fail "one class: $(cat err)"
grep -q 'every record here has the label 0' err || fail "no note on the only class: $(cat err)"
[ "$(ls -d two/data-* | wc -l)" -eq 1 ] || fail "left behind: $(ls -d two/data-*)"
stop_coordinator

# ---- text ----
printf 'the\nwhale\n' >words.txt
federation tales 'architecture = "gru"
tokens = "words"
vocabulary = "words.txt"
input.shape = [4]'
printf 'the\nThe\n' >tales/words.txt
expect 2 'tales/words.txt:2: "The" is no word' dure check tales/federation.toml
cp words.txt tales/
must dure check tales/federation.toml
must dure init tales-run --from tales/federation.toml
grep -q 'classes = 3' tales-run/federation.toml || fail "input.classes was not filled in"
start_coordinator tales-run
must dure join "$(invited tales-run clinic-1)" --yes --node three
printf 'The whale!\n' >short.txt
expect 1 'holds 2 words of text, and a record needs 5' dure data add short.txt --node three
: >empty.txt
expect 1 'holds 0 words of text' dure data add empty.txt --node three
printf 'the\n\377\n' >latin.txt
expect 1 ':2: this line is not UTF-8' dure data add latin.txt --node three
printf 'The whale and the whale, the whale.\nCall me.\n' >tale.txt
must dure data add tale.txt --node three
must dure data list --node three --json
jq -e '.words == 9 and .different_words == 5' out >/dev/null || fail "list says $(cat out)"
stop_coordinator

# ---- splitting ----
must dure data partition clinic.csv --label outcome --partition by:ward --out wards
[ "$(cat wards/member-02/records.csv)" = $'age,ward,outcome\n61,south,yes\n33,south,no' ] ||
  fail "south has $(cat wards/member-02/records.csv)"
expect 2 'has no column "wrad"' dure data partition clinic.csv --label outcome --partition by:wrad --out no
printf 'one\ntwo\nthree\nfour\n' >lines.txt
must dure data partition lines.txt --partition contiguous --clients 2 --out pieces
cat pieces/member-0*/records.txt | cmp -s - lines.txt || fail "the pieces are not the text"
expect 2 '--partition contiguous' dure data partition lines.txt --partition iid --clients 2 --out no

# ---- splits that are drawn only ----
{ printf 'age,ward,outcome\n'; for i in $(seq 200); do echo "$i,w$((i % 7)),$((i % 4))"; done; } >many.csv
must dure data show many.csv --label outcome --partition dirichlet:0.2 --clients 20 --seed 3
grep -q 'dirichlet:0.2 among 20 clients, seed 3' out || fail "no split in $(cat out)"
grep -q 'records of a client' out || fail "no sizes in $(cat out)"
[ "$(LC_ALL=C.UTF-8 wc -L <out)" -le 80 ] || fail "lines of more than 80 columns: $(cat out)"
cp out drawn
must dure data show many.csv --label outcome --partition dirichlet:0.2 --clients 20 --seed 3
cmp -s out drawn || fail "the same seed drew another split"
must dure data show many.csv --label outcome --partition by:ward --json
grep -q '"clients":7' out || fail "not a client for each ward: $(cat out)"
seq 0 199 | awk '{ print $1 % 5 }' >owners
must dure data show many.csv --label outcome --partition file:owners --json
grep -q '"clients":5' out && grep -q '"label_skew":0' out || fail "not as the file says: $(cat out)"
sed -i 3s/.*/x/ owners
expect 2 'owners:3: "x" is no number of a client' dure data show many.csv --label outcome --partition file:owners
expect 2 'needs --clients N' dure data show many.csv --label outcome --partition iid
expect 2 '200 records are too few for 201 clients' dure data show many.csv --label outcome --clients 201
expect 2 'it must be 1 to 1000000' dure data show many.csv --label outcome --clients 1000001
expect 2 'cut into records by a model' dure data show lines.txt --clients 2
must dure data show many.csv --label outcome --numeric outcome --partition quantity:0.5 --clients 9
expect 2 'its labels are no classes' dure data show many.csv --label outcome --numeric outcome --partition shards:2 --clients 9
absent no

echo "data_test: $checks faults in $SECONDS s"
