#!/usr/bin/env bash
# A coordinator that lies, and lists of members, with the real programs: whoever is shown two rosters,
# two sets of dealers or two of survivors leaves, and its file proves it to others; a list of members
# that was agreed on keeps out who is not in it, whatever the coordinator's CA says; who was revoked
# is out at once and does not come back.
#
#   tests/evidence_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
dir=$(cd "$(mktemp -d)" && pwd -P)
federation=
. "$(dirname "$0")/support/faulty_federation.sh"
finish() {
  local code=$?
  end_processes
  if [ "$code" -ne 0 ]; then tail -n 4 "$dir"/*-logs/{coordinator,member-?}.log >&3 || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' TERM INT

# run CODE COMMAND...: it ends with that code; what it says is in $dir/out and $dir/err.
run() {
  local want=$1
  shift
  code=0
  timeout "$patience_s" "$@" >"$dir/out" 2>"$dir/err" </dev/null || code=$?
  [ "$code" -eq "$want" ] || fail "\"$*\" ended with $code instead of $want: $(cat "$dir/out" "$dir/err")"
}
says() { grep -qF -- "$1" "$dir/out" "$dir/err" || fail "\"$1\" is not said: $(cat "$dir/out" "$dir/err")"; }
u32() { printf "$(printf '\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
# give_data NAME: 100 pictures of 2 by 2 pixels.
give_data() {
  mkdir "$dir/data-$1"
  { printf '\0\0\x08\x03' && u32 100 && u32 2 && u32 2 && head -c 400 /dev/urandom; } >"$dir/data-$1/images-idx3-ubyte"
  { printf '\0\0\x08\x01' && u32 100 && head -c 100 /dev/zero; } >"$dir/data-$1/labels-idx1-ubyte"
  run 0 dure data add "$dir/data-$1" --node "$nodes/$1"
}
# refused NAME WORDS: the client has left with 3, for this reason.
refused() {
  end_of "$1"
  [ "$code" -eq 3 ] || fail "$1 ended with $code: $(tail -n 2 "$logs/$1.log")"
  grep -qF -- "$2" "$logs/$1.log" || fail "$1 did not say \"$2\": $(tail -n 3 "$logs/$1.log")"
}

port=0
use_federation "$dir/fed"
make_terms "$federation.toml" 400 2s
dure init "$federation" --from "$federation.toml" >"$logs/init.log"
start_coordinator
for i in 0 1 2 3 4; do join "member-$i"; done
give_data member-1
stop_program coordinator

# ---- a coordinator that lies ----
honest() { for i in 0 2 3 4; do start_member "member-$i"; done; }
lies=0
for kind in roster dealt survivors; do
  start_coordinator "$faulty" coordinator "$federation" --listen "127.0.0.1:$port" \
    --contradict "$kind" --to member-1
  honest
  start member-1 dure client --node "$nodes/member-1"
  refused member-1 'the coordinator contradicted itself under its own signature'
  lies=$((lies + 1))
  file=$(ls -t "$nodes/member-1/evidence"/*.evidence | head -n 1)
  grep -qF "$file; anybody can check it: dure audit evidence" "$logs/member-1.log" || fail "$kind: the path is not said"
  [ "$(stat -c %a "$file")" = 600 ] || fail "$file is not private"
  [ "$(ls "$nodes/member-1/evidence" | wc -l)" -eq "$lies" ] || fail "$kind: $(ls "$nodes/member-1/evidence")"
  run 0 dure audit evidence "$file" --ca "$nodes/member-2/ca.pem"
  says 'PROVED: the coordinator signed two different'
  says 'certified by the enrolment CA that you gave'
  run 0 dure audit evidence "$file" --json
  jq -e '.proved and .reasons == [] and .signer.role == "coordinator" and .federation == "faults"
    and .round >= 1 and .attempt >= 1 and (.session | length) == 64' "$dir/out" >/dev/null || fail "$kind: $(cat "$dir/out")"
  says "$({ printf '"kind":"'; case $kind in roster) printf rosters ;; dealt) printf dealers ;; *) printf survivors ;; esac; })"
  # Nobody else saw anything, and nobody is accused of it.
  for i in 0 2 3 4; do
    stop_program "member-$i"
    [ ! -e "$nodes/member-$i/evidence" ] || fail "member-$i has evidence"
  done
  [ ! -e "$federation/private/evidence" ] || fail "the coordinator has evidence"
  stop_program coordinator
done

# ---- what proves nothing ----
head -c 700 "$file" >"$dir/cut.evidence"
run 1 dure audit evidence "$dir/cut.evidence"
says 'NOT PROVED'
size=$(stat -c %s "$file")
for at in 40 900 $((size / 2)) $((size - 3)); do
  cp "$file" "$dir/bent.evidence"
  byte=$(od -An -tu1 -j "$at" -N 1 "$file")
  printf "$(printf '\\x%02x' $((byte ^ 4)))" | dd of="$dir/bent.evidence" bs=1 seek="$at" conv=notrunc 2>/dev/null
  run 1 dure audit evidence "$dir/bent.evidence" --json
  jq -e '.proved == false and (.reasons | length) > 0' "$dir/out" >/dev/null || fail "byte $at: $(cat "$dir/out")"
done
run 0 dure init "$dir/other" --from "$federation.toml"
run 1 dure audit evidence "$file" --ca "$dir/other/private/ca.pem"
says 'another enrolment CA than the given one'
run 1 dure audit evidence "$dir/nothing"
run 2 dure audit evidence "$file" --ca "$federation.toml"
run 2 dure audit evidence
run 2 dure audit evidense "$file"
says 'did you mean "evidence"?'

# ---- a list of members ----
start_coordinator
run 0 dure members "$federation" --export "$dir/list"
says "$(sha256sum "$dir/list" | cut -d' ' -f1)"
says '5 members and 0 revoked ones'
[ "$(grep -c $'\tmember$' "$dir/list")" -eq 5 ] || fail "the list: $(cat "$dir/list")"
node=$nodes/member-0
run 0 dure policy show --node "$node"
says 'list of members: none'
run 0 dure policy set members "$dir/list" --node "$node"
says 'added member-3'
says "members = 5 members, sha256 $(sha256sum "$dir/list" | cut -d' ' -f1)"
run 0 dure policy set members "$dir/list" --node "$node"
grep -q '^added' "$dir/out" && fail "added twice: $(cat "$dir/out")"
run 0 dure policy show --node "$node" --json
jq -e '.member_list.members == 5 and .member_list.revoked == 0 and (.limits.members.origin | startswith("set here"))' \
  "$dir/out" >/dev/null || fail "$(cat "$dir/out")"
for i in 0 1 2 3 4; do start_member "member-$i"; done
wait_for 'a round of the five' all_take_part
grep -qF 'no list of members is set' "$logs/member-1.log" || fail "member-1 is not told whom it relies on"
grep -qF 'no list of members is set' <(tail -n 3 "$logs/member-0.log") && fail "member-0 has a list"

# Somebody that the CA certifies, and that nobody has agreed on.
stop_program member-4
join member-5
start_member member-5
refused member-0 'member-5 ('
grep -qF "is in the roster but not in this member's list of members" "$logs/member-0.log" || fail "$(tail -n 2 "$logs/member-0.log")"
run 0 dure members "$federation" --export "$dir/list2"
run 0 dure policy set members "$dir/list2" --node "$node"
says 'added member-5'
grep -q 'added member-0' "$dir/out" && fail "what was there is new: $(cat "$dir/out")"
[ "$(ls "$node" | grep -c '^members-.*\.list$')" -eq 1 ] || fail "lists are left behind: $(ls "$node")"
start_member member-0
wait_for 'a round with member-5' is '.history[-1] | .cohort == 5 and .survivors == 5'

# ---- the member's own word on organisations and revocation ----
stop_program member-0
sed $'s/member-\\([12]\\)\t[^\t]*\t/member-\\1\tTwo of one\t/' "$dir/list2" >"$dir/list3"
run 0 dure policy set members "$dir/list3" --node "$node"
says 'changed member-1'
run 0 dure policy set max_per_organisation 1 --node "$node"
start_member member-0
refused member-0 'more members of Two of one than the 1'
run 0 dure policy set max_per_organisation none --node "$node"
sed $'s/\\(member-2\t.*\\)\tmember$/\\1\trevoked/' "$dir/list2" >"$dir/list4"
run 0 dure policy set members "$dir/list4" --node "$node"
says 'revoked member-2'
start_member member-0
refused member-0 "is revoked in this member's list of members"
run 2 dure policy set members "$federation.toml" --node "$node"
says 'a list of members begins with'
for file in "$node"/members-*.list; do echo '# more' >>"$file"; sed -i '$d; s/Two/Too/; 3d' "$file"; done
run 1 dure policy show --node "$node"
says 'not the list that policy.json names'

# ---- revoked by the organiser ----
for i in 1 2 3; do runs "member-$i" || start_member "member-$i"; done
run 0 dure revoke "$federation" member-5
for _ in 1 2; do
  end_of member-5
  [ "$code" -eq 1 ] || fail "a revoked member ended with $code"
  tail -n 1 "$logs/member-5.log" | grep -qF 'this membership was ended by the organiser' ||
    fail "a revoked member is told: $(tail -n 1 "$logs/member-5.log")"
  start_member member-5
done
end_of member-5
run 1 dure invite "$federation" --name member-5
run 0 dure members "$federation" --export "$dir/list5"
grep -q $'^[0-9a-f]\\{64\\}\tmember-5\t.*\trevoked$' "$dir/list5" || fail "member-5 is not marked: $(cat "$dir/list5")"
before=$(jq '.history | length' "$federation.status")
start_member member-4
wait_for 'a round without member-5' is ".history | length > $before and (last | .cohort == 4)"

echo "evidence_test: all held in $SECONDS s"
