#!/usr/bin/env bash
# The batch file for Slurm, under a Slurm and a dure that are played by scripts: what is run, that it
# goes on where it stopped, and that it stops and goes back into the queue when the time is up.
#
#   tests/slurm_test.sh BUILD_FOLDER
set -euo pipefail
umask 022

build=$(cd "$1" && pwd)
batch=$(cd "$(dirname "$0")/.." && pwd)/deploy/slurm/dure-simulate.sbatch
patience_s=30
. "$(dirname "$0")/support/commands.sh"

mkdir played
# Runs what it is given, as a job step that scancel can signal.
cat >played/srun <<'PLAYED'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
echo $$ >step
exec "$@"
PLAYED
cat >played/scancel <<'PLAYED'
#!/usr/bin/env bash
[ "$*" = '--signal=TERM 17' ] && kill -TERM "$(cat step)"
PLAYED
cat >played/scontrol <<'PLAYED'
#!/usr/bin/env bash
echo "$*" >>scontrol.calls
PLAYED
# Says what it was asked; with a file "slow" it goes on until it is asked to stop.
cat >played/dure <<'PLAYED'
#!/usr/bin/env bash
echo "$*" >>dure.calls
[ -e slow ] || exit "$(cat code 2>/dev/null || echo 0)"
trap 'echo stopped >>dure.calls; exit 143' TERM
echo here >"$PWD/running"
while :; do read -r -t 1 <>pipe || true; done
PLAYED
chmod +x played/*
mkfifo pipe
export PATH=$dir/played:$PATH SLURM_JOB_ID=17 SLURM_CPUS_PER_TASK=4

calls() {
  [ "$(cat dure.calls 2>/dev/null)" = "$1" ] || fail "dure was called so: $(cat dure.calls); not so: $1"
  rm -f dure.calls
  checks=$((checks + 1))
}

expect 2 'say what to simulate' "$batch"
expect 2 '--out FOLDER is missing' "$batch" f.toml --data d
expect 2 'there is no program nothing' env DURE=nothing "$batch" f.toml --out o
expect 2 'this is a batch file' env -u SLURM_JOB_ID "$batch" f.toml --out o

must "$batch" f.toml --data 'my data' --out o
calls 'simulate f.toml --data my data --out o --threads 4'
echo 1 >code
code=0
"$batch" f.toml --out=o >out 2>err || code=$?
[ "$code" -eq 1 ] || fail "a run that failed ended with $code"
[ ! -e scontrol.calls ] || fail "a run that failed went back into the queue"
rm code dure.calls

# ---- started again ----
mkdir -p o
touch o/checkpoint.bin o/metrics.jsonl
must "$batch" f.toml --out=o
calls 'simulate f.toml --out=o --resume --threads 4'
rm o/checkpoint.bin
printf '{"type":"run"}\n{"type":"end","status":"finished"}\n' >o/metrics.jsonl
must "$batch" f.toml --out o
grep -q 'the run in o is over' out || fail "a run that is over: $(cat out)"
[ ! -e dure.calls ] || fail "a run that is over was run again"
printf '{"type":"run"}\n' >o/metrics.jsonl
must "$batch" f.toml --out o
calls 'simulate f.toml --out o --threads 4'
[ -e o.before-17-0/metrics.jsonl ] || fail "a run without a checkpoint was not kept"
absent o
mkdir -p sweep/001-seed1
touch sweep/001-seed1/metrics.jsonl
must "$batch" f.toml --out sweep
calls 'simulate f.toml --out sweep --resume --threads 4'

# ---- the time is up ----
touch slow
"$batch" f.toml --out o >out 2>err &
job=$!
pids+=("$job")
wait_for 'the run' test -e running
kill -USR1 "$job"
code=0
wait "$job" || code=$?
[ "$code" -eq 0 ] || fail "the batch file ended with $code: $(cat err)"
grep -qx 'requeue 17' scontrol.calls || fail "the job did not go back into the queue: $(cat out err)"
calls 'simulate f.toml --out o --threads 4
stopped'

echo "slurm_test: $checks checks in $SECONDS s"
