# Writes docs/results.md from the runs in $dir. Sourced by examples/literature/run, which sets $dir,
# $page, $sims, $parts, $data and $threads. Words say what to look for; every figure, and whether what
# a paper found is seen, comes out of page.jq.
# shellcheck shell=bash disable=SC2154

# collect NAME LOW HIGH FOLDER...: $made/NAME.json, the series with what page.jq needs; what the first
# run was set to; their plots.
collect() {
  local name=$1 low=$2 high=$3
  shift 3
  dure report "$@" --json --target "$low" --plots "$made/plots/$name" --out "$made/$name.html" \
    >"$made/$name.low" 2>>"$made/notes"
  dure report "$@" --json --target "$high" --out "$made/$name.html" >"$made/$name.high" 2>>"$made/notes"
  jq -r '.series[].runs[]' "$made/$name.low" | while read -r folder; do
    jq -s -L "$sims" --arg folder "$folder" 'include "page"; {($folder): run_figures}' \
      "$folder/metrics.jsonl"
  done | jq -s add >"$made/$name.runs"
  jq -n -L "$sims" --slurpfile low "$made/$name.low" --slurpfile high "$made/$name.high" \
    --slurpfile runs "$made/$name.runs" \
    'include "page"; series($low[0]; $high[0]; $runs[0])' >"$made/$name.json"
  jq -r '.series[0].runs[0]' "$made/$name.low" >"$made/$name.first"
}

# setting NAME KEY: a key of the first run of NAME, or what its first line says of it.
setting() {
  jq -r --arg key "$2" 'select(.type == "run")
    | (.configuration[$key] // .[$key] | tostring | gsub("\""; "") | sub("^(?<whole>[0-9]+)\\.0$"; .whole))' \
    "$(<"$made/$1.first")/metrics.jsonl" | head -n 1
}
# cohorts NAME: "1000 clients of 60 records, cohorts of 50" and so on.
cohorts() {
  local clients records
  clients=$(setting "$1" clients)
  records=$(setting "$1" simulation.clients.records)
  [ "$records" != 0 ] || records=$(($(setting "$1" records) / clients))
  echo "$clients clients of $records records, cohorts of $(setting "$1" rounds.cohort)"
}

# figures NAME PROGRAM: text, from the series of NAME.
figures() {
  jq -r -L "$sims" "include \"page\"; $2" "$made/$1.json"
}

# plot NAME CHART WORDS: one plot beside the page.
plot() {
  cp "$made/plots/$1/$2.svg" "$page/results/$1-$2.svg"
  printf '%s:\n\n![%s](results/%s-%s.svg)\n\n' "$3" "$3" "$1" "$2"
}

intro() {
  local when model cores kernel before after
  { read -r when; read -r model; read -r cores; read -r kernel; read -r before; read -r after; } \
    <"$dir/machine"
  cat <<END
# Results of the literature

What three papers found, run again with \`dure simulate\` on Fashion-MNIST (Xiao, Rasul and Vollgraf 2017). This page is written by \`examples/literature/run\`, and every figure on it comes from what the runs left. The papers used other data, so their numbers
are not set beside these: what is compared is which way things go.

dure $(setting rounds-2nn version), $when; $model, $cores processors, $kernel; $(setting rounds-2nn records) records for training, accuracy on $(jq -r 'select(.type == "evaluation").records' "$(<"$made/rounds-2nn.first")/metrics.jsonl" | head -n 1) others. \`dure simulate\` had $(<"$dir/threads") threads. The load of the machine was $before
when the runs began and $after when they ended: where that is more than the threads, other work was going on, and real times are longer than they need be; the processor time in the last section is what the runs cost. Virtual time is that of the
simulated clients and their networks, and depends on neither.

Means are over the seeds, ± the sample standard deviation. The seed decides who has which records, who is in which cohort and who is slow; the first model is the same in all runs. Learning rates, and μ of those
above 0, are the best of small sweeps with one seed (\`examples/literature/run --tune\`), by accuracy on the same records as here; the CNN has the rate of the 2NN.
END
}

rounds() {
  collect rounds-cnn 0.6 0.8 "$dir/mcmahan-cnn" "$dir/mcmahan-cnn-5"
  for model in 2nn cnn; do
    figures "rounds-$model" "map(. + {model: \"${model^^}\"})" >"$made/rounds-$model.named"
    mv "$made/rounds-$model.named" "$made/rounds-$model.json"
  done
  jq -s add "$made/rounds-2nn.json" "$made/rounds-cnn.json" >"$made/rounds.json"
  cat <<END

## Rounds to an accuracy

McMahan, Moore, Ramage, Hampson and Agüera y Arcas (2017), "Communication-Efficient Learning of Deep Networks from Decentralized Data", found that more local work (E local epochs a round, in small batches) takes fewer rounds to reach an accuracy, that a
split in which each client has few classes takes more rounds than an equal one, and that averaging learns under such a split all the same.

Here: $(cohorts rounds-2nn), batches of $(setting rounds-2nn local.batch_size), FedAvg with learning rate $(setting rounds-2nn local.learning_rate). "iid" deals records out at random; "two shards" sorts them by label, cuts them into two pieces for each client and deals those.
The networks are those of the paper: the 2NN has two hidden layers, the CNN two convolutions. The CNN is run with one seed and in fewer rounds, for the sake of time. Training speeds and networks of the clients differ (log-normal, see
[simulation.md](simulation.md#how-clients-behave)). Simulation files: [2NN](../examples/literature/mcmahan-2nn.toml), CNN with [one](../examples/literature/mcmahan-cnn.toml) and [five](../examples/literature/mcmahan-cnn-5.toml) epochs.
END
  figures rounds-2nn 'rounds_table(0.75; 0.82)'
  figures rounds-cnn 'rounds_table(0.6; 0.8)'
  cat <<END
"Not reached" is within the rounds run; "(2 of 3)" is the number of seeds that did, over which the mean is. The CNN was measured every second round with one epoch and every round with five: that is the grain of its rounds.

END
  figures rounds '
    seen("Fewer rounds to the lower accuracy with five epochs than with one"; epochs == "1";
      epochs == "5"; "\(.model), \(split)"; .low.rounds_to_target; digits(1); "with one";
      "with five"),
    seen("Fewer rounds to the lower accuracy with the iid split than with two shards"; split != "iid";
      split == "iid"; "\(.model), E = \(epochs)"; .low.rounds_to_target; digits(1);
      "with two shards"; "with iid"),
    seen("Less virtual time to the lower accuracy with five epochs than with one"; epochs == "1";
      epochs == "5"; "\(.model), \(split)"; .low.virtual_seconds_to_target; "\(minutes) min";
      "with one"; "with five")'
  cat <<END

The paper counts rounds, because communication is what costs. Virtual time counts training as well: there the answer depends on how fast clients train beside how fast they send.

END
  plot rounds-2nn accuracy-against-rounds "Accuracy of the 2NN against rounds"
  plot rounds-2nn accuracy-against-virtual-time "Accuracy of the 2NN against virtual time"
  plot rounds-cnn accuracy-against-rounds "Accuracy of the CNN against rounds; the first two curves have one epoch"
  plot rounds-cnn accuracy-against-virtual-time "Accuracy of the CNN against virtual time; the first two curves have one epoch"
}

optimisers() {
  collect server 0.7 0.75 "$dir/server-fedavg" "$dir/server-fedavgm" "$dir/server-fedadam"
  figures server 'map(. + {label: ({fedavg: "FedAvg", fedavgm: "FedAvgM", fedadam: "FedAdam"}
                                   [.differences["federation.name"] | gsub("\""; "")])})' \
    >"$made/server.named"
  mv "$made/server.named" "$made/server.json"
  find "$dir/server-fedavgm" -name metrics.jsonl -printf '%h\n' | head -n 1 >"$made/server-m.first"
  find "$dir/server-fedadam" -name metrics.jsonl -printf '%h\n' | head -n 1 >"$made/server-a.first"
  cat <<END

## Server optimisers

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar and McMahan (2021), "Adaptive Federated Optimization", found that optimisers with momentum and adaptive step sizes at the server do better than the plain mean of updates on most of their tasks, with clients
whose data differ, and are easier to tune.

Here: the 2NN, $(cohorts server), two shards each, E = $(setting server local.epochs), learning rate $(setting server local.learning_rate). FedAvg takes the mean update; FedAvgM (Hsu, Qi and Brown 2019) has momentum $(setting server-m server.beta1) and server learning
rate $(setting server-m server.learning_rate); FedAdam has β₁ = $(setting server-a server.beta1), β₂ = $(setting server-a server.beta2), τ = $(setting server-a server.tau) and server learning rate $(setting server-a server.learning_rate).
Simulation files: [FedAvg](../examples/literature/server-fedavg.toml), [FedAvgM](../examples/literature/server-fedavgm.toml), [FedAdam](../examples/literature/server-fedadam.toml).
END
  figures server 'last_table("server"; 0.7)'
  cat <<END
With two classes a client the accuracy jumps from round to round with the classes of the cohort; the mean of the last ten rounds says more than the last one, and "change a round" how much it jumps.

END
  figures server 'against("FedAdam"; "FedAvg"), against("FedAvgM"; "FedAvg"), against("FedAdam"; "FedAvgM"), calmer("FedAdam"; "FedAvg"), calmer("FedAvgM"; "FedAvg")'
  echo
  plot server accuracy-against-rounds "Accuracy of three server optimisers against rounds"
  plot server loss-against-rounds "Loss of three server optimisers against rounds"
}

stragglers() {
  collect fedprox 0.7 0.75 "$dir/fedprox-dropped" "$dir/fedprox-partial"
  figures fedprox 'map(. + {label: "\(if setting("simulation.behaviour.straggler_work"; "") == "dropped"
      then "FedAvg" else "FedProx, μ = \(setting("local.proximal_mu"; "0") | tonumber)" end), \(
      setting("simulation.behaviour.stragglers"; "0") | tonumber * 100 | digits(0)) % stragglers"})' \
    >"$made/fedprox.named"
  mv "$made/fedprox.named" "$made/fedprox.json"
  cat <<END

## Stragglers

Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith (2020), "Federated Optimization in Heterogeneous Networks", found that with many stragglers, keeping the part of the work that they did is far better than dropping them, as FedAvg does, and that a proximal term
makes training steadier and better still where clients differ.

Here: logistic regression, $(cohorts fedprox), two shards each, E = $(setting fedprox local.epochs), batches of $(setting fedprox local.batch_size), learning rate $(setting fedprox local.learning_rate). A straggler does 1, 2, … or all of its epochs, each number as likely, in the time that the
others take for all of them; FedAvg throws that away, FedProx keeps it, without (μ = 0) and with its proximal term. Cohorts are larger than the paper's, because most of them are dropped and no sum of fewer than $(setting fedprox rounds.minimum) updates is opened: where fewer
are left, the attempt fails and is made again.
Simulation files: [FedAvg](../examples/literature/fedprox-dropped.toml), [FedProx](../examples/literature/fedprox-partial.toml).
END
  figures fedprox 'sort_by(.label | capture("(?<s>[0-9]+) %").s | tonumber) | last_table("method"; 0.7)'
  for share in 50 90; do
    figures fedprox "against(\"FedProx, μ = 0, $share % stragglers\"; \"FedAvg, $share % stragglers\"),
      calmer(\"FedProx, μ = 0, $share % stragglers\"; \"FedAvg, $share % stragglers\"),
      against(\"FedProx, μ = 0.1, $share % stragglers\"; \"FedProx, μ = 0, $share % stragglers\"),
      calmer(\"FedProx, μ = 0.1, $share % stragglers\"; \"FedProx, μ = 0, $share % stragglers\")"
  done
  figures fedprox 'same("FedAvg, 0 % stragglers"; "FedProx, μ = 0, 0 % stragglers")'
  echo
  for share in 0.5 0.9; do
    collect "fedprox-$share" 0.7 0.75 "$dir"/fedprox-*/*stragglers="$share"*
    plot "fedprox-$share" accuracy-against-rounds "Accuracy with a share of $share stragglers: FedAvg (dropped) and FedProx (partial)"
  done
}

all_runs() {
  local part wall user system
  cat <<END

## Every run

The time of each simulation file: real, and of the processor.

| file | runs | real time | processor time |
| --- | --- | --- | --- |
END
  for part in "${parts[@]}"; do
    read -r wall user system < <(tail -n 1 "$dir/$part.time")
    jq -nr -L "$sims" --arg part "$part" --argjson wall "$wall" --argjson user "$user" \
      --argjson system "$system" --argjson runs "$(find "$dir/$part" -name metrics.jsonl | wc -l)" \
      'include "page"; [$part, "\($runs)", ($wall | time), ($user + $system | time)] | row'
  done
  for part in "${parts[@]}"; do tail -n 1 "$dir/$part.time"; done |
    jq -Rrs -L "$sims" 'include "page"; split("\n") | map(select(. != "") | split(" ") | map(tonumber))
      | ["all", "", (map(.[0]) | add | time), (map(.[1] + .[2]) | add | time)] | row'
  cat <<END

The same files and seeds give the same models in every bit, with any number of threads; the first 16 digits of each model's SHA-256:

<details><summary>Seeds, last accuracies and models</summary>

| run | seed | accuracy, % | model | ended |
| --- | --- | --- | --- | --- |
END
  local name
  for name in rounds-2nn rounds-cnn server fedprox; do
    jq -r -L "$sims" --arg dir "$dir/" 'include "page"; to_entries[] | .key as $run | .value
      | [($run | ltrimstr($dir)), "\(.seed)", (.accuracy | percent), "`\(.digest)`", .status] | row' \
      "$made/$name.runs"
  done
  printf '\n</details>\n'
}

write_page() {
  made=$dir/page
  rm -rf "$made"
  mkdir -p "$page/results" "$made"
  collect rounds-2nn 0.75 0.82 "$dir/mcmahan-2nn"
  intro
  rounds
  optimisers
  stragglers
  all_runs
}
