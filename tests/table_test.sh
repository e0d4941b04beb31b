#!/usr/bin/env bash
# CSV files typed into the real programs: what is printed of a good one, and one clear line for each
# that is not.
#
#   tests/table_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
patience_s=20
. "$(dirname "$0")/support/commands.sh"

printf 'id,age,bmi,ward,outcome\n1,50,27.5,"north, old",1\n2,61,?,south,0\n3,33,22.25,south,1\n' >clinic.csv

# ---- what is there ----
must dure data show clinic.csv --label outcome --ignore id --missing constant:25 --json
jq -e '.records == 3 and .shape == [4] and .label_counts == [1, 2] and
       (.columns | map(.kind)) == ["ignored", "numeric", "numeric", "categorical"] and
       .columns[2].missing == 1 and .columns[3].counts == [1, 2]' out >/dev/null ||
  fail "data show --json says $(cat out)"
must dure data show clinic.csv --label outcome --ignore id --missing mean
grep -q 'north, old: 1, south: 2' out || fail "data show says $(cat out)"
must dure data schema clinic.csv --label outcome --ignore id --missing constant:25
cp out clinic.schema
grep -qxF 'column "ward" categorical "north, old" "south" missing constant 0' out ||
  fail "data schema says $(cat out)"
must dure data show clinic.csv --schema clinic.schema

# ---- what is wrong ----
expect 1 'clinic.csv is a file: if it is a table, name the column to predict with --label' dure data show clinic.csv
expect 1 'clinic.csv has no column "outcom": did you mean "outcome"?' dure data show clinic.csv --label outcom
expect 1 'clinic.csv:3: column 3 ("bmi"): a value is missing here' dure data show clinic.csv --label outcome
expect 1 '--missing "zero": it must be error, mean or constant:NUMBER' dure data show clinic.csv --label outcome --missing zero
expect 1 'say which with --delimiter' dure data show clinic.csv --label outcome --delimiter ';'
expect 1 'there is no file nowhere.csv' dure data show nowhere.csv --label outcome
printf 'a,b,y\n1,2,0\n3,4\n' >ragged.csv
expect 1 'ragged.csv:3: column 3 ("y"): missing: this line has 2 fields' dure data show ragged.csv --label y
printf 'a,y\n1,0\n"2,0\n' >open.csv
expect 1 'open.csv:3: column 1: a quote opens here and is never closed' dure data show open.csv --label y
printf 'a,y\n1,0\n2.5kg,0\n' >mixed.csv
expect 1 'mixed.csv:3: column 1 ("a"): "2.5kg" is no number' dure data show mixed.csv --label y
printf 'a,y\n' >none.csv
expect 1 'none.csv holds no record' dure data show none.csv --label y
: >empty.csv
expect 1 'empty.csv is empty' dure data show empty.csv --label y
printf 'age,bmi,ward,outcome\nold,1,east,1\n' >other.csv
expect 1 '2 differences: column "age": numeric there, categorical here; column "ward": category "east" here' \
  dure data show other.csv --schema clinic.schema
printf 'age,ward\n1,south\n' >short.csv
expect 1 'column "bmi" is missing; the label, column "outcome", is missing' dure data show short.csv --schema clinic.schema
expect 1 'clinic.csv:1: a schema begins with the line' dure data show short.csv --schema clinic.csv
mkdir folder
cp clinic.csv folder/records.csv
expect 1 'folder/records.schema is missing' dure data show folder
cp clinic.schema folder/records.schema
must dure data show folder

echo "table_test: $checks faults in $SECONDS s"
