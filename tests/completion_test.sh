#!/usr/bin/env bash
# Completion in a real bash and a real zsh, and the manual pages: what they say is what --help says.
#
#   tests/completion_test.sh BUILD_FOLDER
set -euo pipefail

build=$(cd "$1" && pwd)
export PATH=$build/bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir clinics "two words"
touch model.pt notes.toml

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

dure completion bash >dure.bash
dure completion zsh >_dure
dure manual --date 2026-01-31 --out man1

# offered WORD...: what a bash without any start-up file offers for the last word.
offered() {
  bash --norc --noprofile -c '
    set -u
    source ./dure.bash
    complete -p dure | grep -q -- "-F _dure dure" || exit 1
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
    _dure
    printf "%s\n" "${COMPREPLY[@]-}"' bash "$@"
}
# offers WANTED... -- WORD...; refuses UNWANTED -- WORD...
offers() {
  local wanted=() word got
  while [ "$1" != -- ]; do wanted+=("$1"); shift; done
  shift
  got=$(offered "$@")
  for word in "${wanted[@]}"; do
    grep -qxF -- "$word" <<<"$got" || fail "after \"$*\" bash does not offer $word: ${got//$'\n'/ }"
  done
}
refuses() {
  local got
  got=$(offered "${@:3}")
  if grep -qxF -- "$1" <<<"$got"; then fail "after \"${*:3}\" bash offers $1"; fi
}

offers init coordinator client model simulate -- dure ''
offers invite init -- dure in
offers --name --org --role --help -- dure invite --
refuses --name -- dure status --
offers member evaluator -- dure invite clinics --role ''
offers evaluator -- dure invite --role = ev
offers --role=evaluator -- dure invite --role=ev
offers --json -- dure invite --role=member --j
offers clinics "two words" -- dure status ''
refuses model.pt -- dure status ''
offers status -- dure client --node clinics ''
offers --json -- dure client status --
offers notes.toml -- dure check n
offers epsilon calibrate -- dure privacy ''
offers bash zsh -- dure completion ''
# Programs of their own.
offers --filter --quick -- dure bench --
if [ -x "$build/libexec/dure/dure-simulate" ]; then
  offers exact off -- dure simulate notes.toml --privacy ''
  offers export predict personalize -- dure model ''
  offers --epochs --only -- dure model personalize --
  offers safetensors -- dure model export clinics --format sa
fi
refuses manual -- dure ''

# With the package bash-completion, which loads it by name when it is first wanted.
loader=/usr/share/bash-completion/bash_completion
if [ -r "$loader" ]; then
  mkdir -p data/bash-completion/completions
  cp dure.bash data/bash-completion/completions/dure
  XDG_DATA_HOME=$work/data bash --norc --noprofile -c '
    . "$1"
    _completion_loader dure || [ $? -eq 124 ]
    complete -p dure' bash "$loader" | grep -q -- '-F _dure dure' ||
    fail "bash-completion does not load it"
else
  echo "skipped: bash-completion is not installed"
fi

if command -v zsh >/dev/null; then
  zsh -n _dure || fail "zsh does not read _dure"
  # A terminal of zsh: what it lists for each line.
  cat >ask.zsh <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "stty -echo; TERM=dumb; PROMPT=; fpath=($PWD \$fpath); autoload -Uz compinit; \
compinit -u -d $PWD/dump; LISTMAX=10000; LINES=1000; COLUMNS=300; bindkey '^X' list-choices; \
bindkey -s '^Y' '^U\nprint -r -- E\"\"ND\n'; print -r -- REA\"\"DY"
zpty -r -m shell unused '*READY*'
zpty -w -n shell "$1"$'\C-X\C-Y'
zpty -r -m shell answer '*END*'
print -r -- "$answer"
zpty -d shell
ZSH
  # zsh_offers LINE WANTED...
  zsh_offers() {
    local got word
    got=$(timeout 60 zsh -f ask.zsh "$1" </dev/null | tr -d '\r')
    for word in "${@:2}"; do
      grep -qF -- "$word" <<<"$got" || fail "after \"$1\" zsh does not offer $word: $got"
    done
  }
  zsh_offers 'dure ' coordinator 'Lists who has joined'
  zsh_offers 'dure invite --' --role --expires
  zsh_offers 'dure invite clinics --role ' evaluator
  zsh_offers 'dure client ' status
  zsh_offers 'dure model ' predict
else
  echo "skipped: zsh is not installed"
fi

# ---- manual pages ----

# Every command of --help has a page, and every option of it is in there.
check_page() {
  local page help
  page=man1/$(tr ' ' - <<<"$*").1
  [ -s "$page" ] || fail "$* has no manual page"
  help=$("$@" --help)
  while read -r option; do
    grep -qF -- "${option//-/\\-}" "$page" || fail "$page does not say what $option is"
  done < <(grep -oE '^  (-[a-zA-Z],)?--[a-z-]+' <<<"$help" | grep -oE -- '--[a-z-]+')
  pages=$((pages + 1))
  local below
  while read -r below; do
    [ -z "$below" ] || check_page "$@" "$below"
  done < <(sed -n '/^Subcommands:/,/^Example/p' <<<"$help" | sed -nE 's/^  ([a-z][a-z-]*).*/\1/p')
}
pages=0
check_page dure
[ "$pages" -ge 20 ] || fail "only $pages commands were found"
for page in man1/*.1; do
  grep -q '^\.SH EXIT STATUS' "$page" || fail "$page says nothing of exit codes"
  if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$page" >lint || fail "$page: $(head -n 3 lint)"
  fi
  if command -v man >/dev/null && man --help 2>/dev/null | grep -q -- --warnings; then
    LC_ALL=C.UTF-8 man --warnings -l "$page" 2>warnings >rendered || fail "man cannot show $page"
    [ ! -s warnings ] || fail "$page: $(head -n 3 warnings)"
  fi
done
echo "completion of bash and zsh; $pages manual pages"
