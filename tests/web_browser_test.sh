#!/usr/bin/env bash
# The coordinator's web page in headless Chromium: what it shows of a run, that nothing breaks the
# content security policy, and that what members call themselves stays text. Skipped without Chromium.
#
#   tests/web_browser_test.sh BUILD_FOLDER [--pictures FOLDER]
#
#   --pictures  keep screenshots there, wide and narrow, light and dark
set -euo pipefail

build=$(cd "$1" && pwd)
pictures=
[ "${2-}" != --pictures ] || pictures=$(mkdir -p "$3" && cd "$3" && pwd)
patience_s=60
. "$(dirname "$0")/support/commands.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "web_browser_test: SKIPPED, there is no Chromium (Debian: chromium)"
  exit 0
fi
charts=/usr/share/javascript/chart.js/chart.min.js

# serve [FLAG...]: the page's address is in $url.
serve() {
  rm -f address hold
  mkfifo hold
  "$build/bin/web_fixture" "$@" <hold >address &
  pids+=("$!")
  exec 9>hold
  wait_for "the page is served" test -s address
  url=$(cat address)
}
end_of_page() {
  exec 9>&-
  wait "${pids[-1]}"
}
# browse OUTPUT FLAG...: the page after a few polls; what the browser complains of is in "log".
browse() {
  local out=$1
  shift
  timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
    --user-data-dir="$dir/profile" --enable-logging=stderr --v=0 --virtual-time-budget=9000 \
    "$@" "$url" >"$out" 2>log || fail "Chromium failed: $(tail -n 3 log)"
  ! grep -iE 'Content Security Policy|Refused to|Uncaught|SyntaxError|TypeError' log ||
    fail "the page is not clean: $(grep -iE 'Content Security|Refused|Error' log | head -n 3)"
}
shows() { grep -qF -- "$1" page || fail "the page does not show \"$1\""; }
lacks() { ! grep -qF -- "$1" page || fail "the page shows \"$1\""; }

# ---- a run under way ----
serve
browse page --dump-dom --window-size=1200,1400
shows '<h1 id="name">Chest X-rays of six clinics</h1>'
shows 'Tell pneumonia from healthy lungs'
grep -qE 'Round 4[0-9] of 60, attempt [0-9]+: masked inputs; waiting for clinic-2, clinic-5' page ||
  fail "the page has no sentence: $(grep -o 'id="sentence"[^/]*' page)"
shows 'here: is awaited'
shows 'Krankenhaus Nord gGmbH'
shows '5 of 6'
shows 'of at most 8 for each record'
shows 'University Clinic'
shows 'revoked'
# Text, not markup.
shows '&lt;img src=x onerror=alert(1)&gt;'
shows "&lt;/script&gt;&lt;script&gt;document.title='broken'&lt;/script&gt;"
lacks '<title>broken'
# Polling goes on: the round moves.
first=$(grep -oE 'Round [0-9]+ of 60 is released' page | head -n 1)
browse page --dump-dom --window-size=1200,1400
[ "$first" != "$(grep -oE 'Round [0-9]+ of 60 is released' page | head -n 1)" ] || fail "the page stands still"
if [ -e "$charts" ]; then
  [ "$(grep -oE '<canvas' page | wc -l)" -eq 5 ] || fail "expected 5 curves: $(grep -c '<canvas' page)"
  grep -qE 'aria-label="Loss by round, from [0-9.]+ in round 2 to' page || fail "a curve has no words"
else
  echo "web_browser_test: NOT CHECKED, curves: there is no $charts (Debian: libjs-chart.js)"
fi
if [ -n "$pictures" ]; then
  browse /dev/null --screenshot="$pictures/wide.png" --window-size=1200,1500
  browse /dev/null --screenshot="$pictures/narrow.png" --window-size=500,3000
  browse /dev/null --screenshot="$pictures/dark.png" --window-size=1200,1500 --blink-settings=preferredColorScheme=0
fi
end_of_page

# ---- before the first round, nobody has joined ----
serve --at-start
browse page --dump-dom
shows 'Waiting: 4 of 6 members are here, and 5 are needed'
grep -qE '<p id="people-none"[^>]*>Nobody has joined yet' page || fail "nothing about nobody"
shows 'No round has been released yet.'
if [ -n "$pictures" ]; then browse /dev/null --screenshot="$pictures/start.png" --window-size=1200,1000; fi
end_of_page

# ---- without Debian's script: tables all the same ----
serve --no-charts
browse page --dump-dom
grep -qE '<p id="no-charts" class="notice">' page || fail "the page does not say why it has no curves"
lacks '<canvas'
shows 'here: is awaited'
if [ -n "$pictures" ]; then browse /dev/null --screenshot="$pictures/plain.png" --window-size=1200,1500; fi
end_of_page

echo "web_browser_test: three pages in $SECONDS s"
