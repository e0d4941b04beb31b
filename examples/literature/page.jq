# From what `dure report --json` says to the tables and sentences of docs/results.md: every figure of
# that page goes through here. Included by examples/literature/run.

def digits($n): if . == null then "–" else
  (. * pow(10; $n) | round) as $whole | if $n == 0 then "\($whole)"
  else ($whole | fabs | tostring) as $text
    | (if ($text | length) <= $n then ("0" * ($n + 1 - ($text | length))) + $text else $text end)
    | "\(if $whole < 0 then "-" else "" end)\(.[:-$n]).\(.[-$n:])" end end;
def percent: if . == null then "–" else . * 100 | digits(1) end;
def time: if . == null then "–" elif . < 90 then "\(digits(0)) s"
  elif . < 5400 then "\(. / 60 | digits(1)) min" else "\(. / 3600 | digits(1)) h" end;
def minutes: . / 60 | digits(1);
def whole: digits(0);

def spread: map(select(. != null)) | if length == 0 then null else (add / length) as $mean
  | {mean: $mean, least: min, most: max, runs: length, deviation: (if length > 1
     then map((. - $mean) * (. - $mean)) | add / (length - 1) | sqrt else null end)} end;

# A mean with the sample standard deviation; how many seeds, if not all `$of`.
def cell(f; $of): if . == null then "not reached" else "\(.mean | f)"
  + (if .deviation != null then " ± \(.deviation | f)" else "" end)
  + (if .runs < $of then " (\(.runs) of \($of))" else "" end) end;

def row: "| \(join(" | ")) |";
def table($heads): "", ($heads | row), ($heads | map("---") | row), .[], "";

# Series with what belongs to them: `$low` and `$high` are reports with one target each, `$runs` an
# object of what each run's metrics say by its folder.
def series($low; $high; $runs): [range($low.series | length)] | map(. as $i | $low.series[$i]
  + {low: $low.series[$i], high: $high.series[$i]}
  | . + {n: (.seeds | length), tail: (.runs | map($runs[.].tail) | spread),
         tail_loss: (.runs | map($runs[.].tail_loss) | spread),
         jump: (.runs | map($runs[.].jump) | spread),
         digests: (.runs | map($runs[.].digest))});

# What the lines of one metrics.jsonl come to: accuracy and loss over the last ten evaluations, the
# mean change of accuracy from one evaluation to the next, and how the run ended.
def run_figures: map(select(.type == "evaluation")) as $e | map(select(.type == "end")) as $ended
  | map(select(.type == "run"))[0] as $run
  | {tail: ($e[-10:] | map(.accuracy) | add / length), tail_loss: ($e[-10:] | map(.loss) | add / length),
     jump: ([range(1; $e | length) | ($e[.].accuracy - $e[. - 1].accuracy) | fabs]
            | if length == 0 then null else add / length end),
     accuracy: $e[-1].accuracy, seed: $run.seed, digest: $ended[-1].model_sha256[:16],
     wall: $ended[-1].wall_seconds, status: $ended[-1].status};

def setting($key; $default): (.differences[$key] // $default) | gsub("\""; "");
def epochs: setting("local.epochs"; "1");
def split: setting("simulation.clients.partition"; "") | if . == "iid" then . else "two shards" end;

# ---- rounds to an accuracy ----
def rounds_table($low; $high): map(.n as $n | [.model, split, epochs, "\($n)", (.rounds.mean | whole),
    (.low.rounds_to_target | cell(digits(1); $n)),
    (.low.virtual_seconds_to_target | cell(minutes; $n)),
    (.high.rounds_to_target | cell(digits(1); $n)),
    (.high.virtual_seconds_to_target | cell(minutes; $n)),
    (.final.accuracy | cell(percent; $n)), (.wall_seconds.mean | time)] | row)
  | table(["model", "split", "E", "seeds", "rounds run", "rounds to \($low * 100 | whole) %",
      "virtual minutes to it", "rounds to \($high * 100 | whole) %", "virtual minutes to it",
      "final accuracy, %", "real time a run"]);

# Each pair of a `first` and a `second` series with the same `same`, if all seeds of both reached it:
# in how many pairs the second needed less, and the figures.
def seen($what; is_first; is_second; same; get; f; $one; $other):
  . as $all
  | [.[] | select(is_first) | . as $a | same as $same | $all[] | select(is_second and same == $same)
     | {name: $same, a: ($a | get), b: get, na: $a.n, nb: .n}
     | select(.a != null and .b != null and .a.runs == .na and .b.runs == .nb)]
  | "- " + if length == 0 then "\($what): no two settings reached it with every seed."
    else "\($what): **in \(map(select(.b.mean < .a.mean)) | length) of \(length) pairs**. "
      + (map("\(.name): \(.a.mean | f) \($one), \(.b.mean | f) \($other)") | join("; ")) + "." end;

# ---- any table of series by their final accuracy ----
def last_table($what; $low): map(.n as $n | [.label, "\($n)", (.rounds.mean | whole),
    (.low.rounds_to_target | cell(digits(1); $n)), (.final.accuracy | cell(percent; $n)),
    (.tail | cell(percent; $n)), (.tail_loss | cell(digits(3); $n)), (.jump | cell(percent; $n)),
    (.failed_attempts.mean | digits(1)), (.wall_seconds.mean | time)] | row)
  | table([$what, "seeds", "rounds", "rounds to \($low * 100 | whole) %", "final accuracy, %",
      "accuracy, last 10 rounds, %", "loss, last 10 rounds", "change a round, points",
      "failed attempts", "real time a run"]);

def named($name): map(select(.label == $name))[0];

# "- A is above B by 1.2 points in the last ten rounds; the seeds overlap."
def against($a; $b): named($a) as $x | named($b) as $y | ($x.tail.mean - $y.tail.mean) as $d
  | "- \($a) is **\(if $d > 0 then "above" else "below" end)** \($b) by \($d | fabs | percent) points "
    + "in the last ten rounds, "
    + (if $x.n < 2 then "with one seed." elif $x.tail.least > $y.tail.most or $y.tail.least > $x.tail.most
       then "every seed of the one beyond every seed of the other." else "with seeds that overlap." end);

def calmer($a; $b): named($a) as $x | named($b) as $y
  | if $x.jump == null or $y.jump == null then "- No change from round to round was measured."
    else "- The accuracy of \($a) changes by \($x.jump.mean | percent) points a round, that of \($b) by "
      + "\($y.jump.mean | percent): **\(if $x.jump.mean < $y.jump.mean then "steadier" else "not steadier" end)**."
    end;

def same($a; $b): named($a) as $x | named($b) as $y
  | "- \($a) and \($b), which are one and the same method, gave **"
    + (if $x.digests == $y.digests then "the same models in every bit" else "different models" end) + "**.";
