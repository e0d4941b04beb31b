#!/usr/bin/env bash
# examples/literature/run --quick: the page it writes has every table, plot and figure.
#
#   tests/literature_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
patience_s=250
. "$(dirname "$0")/support/commands.sh"
if [ ! -d /usr/share/datasets/fashion-mnist ]; then
  echo "literature_test: left out: there is no /usr/share/datasets/fashion-mnist"
  exit 0
fi

timeout "$patience_s" "$root/examples/literature/run" --quick --installed --out "$PWD/out" >log 2>&1 ||
  fail "the example ended with $?: $(tail -n 5 log)"
page=out/results.md
[ "$(grep -c '^## ' "$page")" = 4 ] || fail "the page has $(grep '^## ' "$page")"
if grep -n 'null\|NaN\|| |' "$page"; then fail "the page has holes"; fi
# Twenty runs, each with its digest and at its end.
[ "$(grep -c '`[0-9a-f]\{16\}` | finished |$' "$page")" = 20 ] || fail "not all runs are on the page"
grep -q 'gave \*\*the same models in every bit\*\*' "$page" || fail "no straggler is no difference"
while read -r plot; do
  grep -q '^<svg ' "out/$plot" || fail "there is no $plot"
done < <(sed -n 's/^!\[.*](\(.*\))$/\1/p' "$page")
[ "$(find out/results -name '*.svg' | wc -l)" = 8 ] || fail "plots: $(ls out/results)"

# The page once more is the same page.
cp "$page" first.md
timeout "$patience_s" "$root/examples/literature/run" --quick --page-only --installed \
  --out "$PWD/out" >log 2>&1 || fail "--page-only ended with $?: $(tail -n 5 log)"
cmp "$page" first.md || fail "--page-only wrote another page"
if "$root/examples/literature/run" --page-only --installed --out "$PWD/none" >log 2>&1; then
  fail "--page-only without runs went on"
fi
grep -q 'has no runs of this example' log || fail "--page-only says $(cat log)"

echo "literature_test: done in $SECONDS s"
