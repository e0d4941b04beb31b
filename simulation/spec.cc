#include "simulation/spec.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "federation/spec_check.h"
#include "federation/spec_fields.h"
#include "federation/spec_reference.h"

namespace dure::simulation {
namespace {

constexpr char kPrefix[] = "simulation.";
constexpr char kFileKind[] = "file:";

std::optional<SpecFault> Fault(const std::string& path, const std::string& text) {
  return SpecFault{path, absl::StrCat(path, ": ", text)};
}

std::string_view Stripped(std::string_view text) {
  const absl::string_view stripped =
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {stripped.data(), stripped.size()};
}

// A path that a file names, from where this process is.
std::string FromFile(std::string_view file, const std::string& path) {
  const std::filesystem::path named(path);
  if (named.is_absolute()) return path;
  return (std::filesystem::path(std::string(file)).parent_path() / named).string();
}

std::string PartitionFromFile(std::string_view file, const std::string& partition) {
  if (!absl::StartsWith(partition, kFileKind)) return partition;
  return kFileKind + FromFile(file, partition.substr(sizeof(kFileKind) - 1));
}

// At the commas outside brackets and quotes.
std::vector<std::string> SplitValues(std::string_view text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  for (std::string& value : values) value = std::string(Stripped(value));
  return values;
}

struct Axis {
  std::string key;
  std::vector<std::string> values;
};

// Of "KEY=VALUE,VALUE", which has a "=".
Axis AxisOf(const std::string& text) {
  const size_t equals = text.find('=');
  return {std::string(Stripped(std::string_view(text).substr(0, equals))),
          SplitValues(std::string_view(text).substr(equals + 1))};
}

void ResolvePaths(std::string_view file, const KeyPlaces& places, SimulationSpec* spec) {
  if (!places.Overridden("federation")) spec->set_federation(FromFile(file, spec->federation()));
  if (!places.Overridden("data")) spec->set_data(FromFile(file, spec->data()));
  if (!places.Overridden("clients.partition")) {
    spec->mutable_clients()->set_partition(PartitionFromFile(file, spec->clients().partition()));
  }
  if (places.Overridden("sweep.grid")) return;
  for (std::string& text : *spec->mutable_sweep()->mutable_grid()) {
    Axis axis = AxisOf(text);
    if (axis.key != "simulation.clients.partition") continue;
    for (std::string& value : axis.values) value = PartitionFromFile(file, value);
    text = absl::StrCat(axis.key, "=", absl::StrJoin(axis.values, ","));
  }
}

// What is wrong with one value of the grid, read alone: an unknown key, a wrong type.
absl::Status CheckSetting(const std::string& key, const std::string& value) {
  DURE_ASSIGN_OR_RETURN(Overrides overrides,
                        ParseOverrides({{absl::StrCat(key, "=", value)}}, "grid"));
  FederationSpec federation;
  DURE_RETURN_IF_ERROR(ReadToml("", "", overrides.federation, &federation).status());
  SimulationSpec simulation;
  return ReadToml("", "", overrides.simulation, &simulation).status();
}

std::optional<SpecFault> FaultOfGrid(const SweepSection& sweep) {
  constexpr char kPath[] = "sweep.grid";
  uint64_t runs = sweep.repeats();
  std::set<std::string> keys;
  for (const std::string& text : sweep.grid()) {
    if (text.find('=') == std::string::npos) {
      return Fault(kPath, absl::StrCat(Quoted(text),
                                       " must be KEY=VALUE,VALUE, such as "
                                       "\"server.learning_rate=0.01,0.1\""));
    }
    const Axis axis = AxisOf(text);
    if (!keys.insert(axis.key).second) {
      return Fault(kPath,
                   absl::StrCat(Quoted(axis.key), " is there twice: put its values together"));
    }
    if (absl::StartsWith(axis.key, "simulation.sweep") || axis.key == "simulation.federation" ||
        axis.key == "simulation.data" || axis.key == "simulation.clients.seed") {
      return Fault(kPath, absl::StrCat(axis.key, " cannot be in a grid: ",
                                       axis.key == "simulation.clients.seed"
                                           ? "set repeats for several seeds"
                                           : "write a simulation file for each"));
    }
    std::set<std::string> values;
    for (const std::string& value : axis.values) {
      if (value.empty() || !values.insert(value).second) {
        return Fault(kPath, absl::StrCat(axis.key, " has ",
                                         value.empty() ? "an empty value" : "the same value twice",
                                         " in ", Quoted(text), ": remove it"));
      }
      if (const absl::Status status = CheckSetting(axis.key, value); !status.ok()) {
        return Fault(kPath, std::string(status.message()));
      }
    }
    runs *= axis.values.size();
    if (runs > kMaxSweepRuns) {
      return Fault(kPath, absl::StrCat("with ", sweep.repeats(), " seeds each it has more than ",
                                       kMaxSweepRuns, " runs: take values away, or repeats"));
    }
  }
  return std::nullopt;
}

std::optional<SpecFault> FaultBetweenKeys(const SimulationSpec& spec) {
  const ClientsSection& clients = spec.clients();
  const absl::StatusOr<PartitionSpec> partition = ParsePartition(clients.partition());
  if (!partition.ok()) {
    return Fault("clients.partition", std::string(partition.status().message()));
  }
  const bool counted = std::holds_alternative<ByPartition>(*partition) ||
                       std::holds_alternative<FilePartition>(*partition);
  if (!clients.has_count() && !counted) {
    return Fault("clients.count",
                 "it is missing: set it to 1 to 1000000, or --clients; only by:COLUMN and "
                 "file:PATH say by themselves how many clients there are");
  }
  const AttackSection& attack = spec.attack();
  if (attack.has_from_label() != attack.has_to_label()) {
    return Fault(
        attack.has_from_label() ? "attack.from_label" : "attack.to_label",
        "from_label and to_label go together: set both, or none to turn all labels around");
  }
  if (attack.has_from_label() && attack.from_label() == attack.to_label()) {
    return Fault("attack.to_label", "it is the same as from_label: nothing would change");
  }
  return FaultOfGrid(spec.sweep());
}

absl::Status Together(const std::string& text) { return absl::FailedPreconditionError(text); }

}  // namespace

absl::StatusOr<Overrides> ParseOverrides(std::span<const std::string> texts,
                                         std::string_view flag) {
  Overrides overrides;
  for (const std::string& text : texts) {
    DURE_ASSIGN_OR_RETURN(KeyOverride override, ParseOverride(text, flag));
    if (absl::StartsWith(override.path, kPrefix)) {
      override.path.erase(0, sizeof(kPrefix) - 1);
      overrides.simulation.push_back(std::move(override));
    } else {
      overrides.federation.push_back(std::move(override));
    }
  }
  return overrides;
}

bool IsSimulationFile(std::string_view toml) { return HasTopLevelText(toml, "federation"); }

absl::StatusOr<SimulationSpec> ParseSimulation(std::string_view toml, std::string_view file,
                                               std::span<const KeyOverride> overrides) {
  SimulationSpec spec;
  DURE_ASSIGN_OR_RETURN(const KeyPlaces places, ReadToml(toml, file, overrides, &spec));
  FillDefaultValues(&spec);
  std::optional<SpecFault> fault = FindKeyFault(spec);
  if (!fault) fault = FaultBetweenKeys(spec);
  if (fault) {
    return absl::Status(fault->code, absl::StrCat(places.Of(fault->path), fault->text));
  }
  ResolvePaths(file, places, &spec);
  return spec;
}

std::string SimulationToToml(const SimulationSpec& spec) {
  return KeysToToml(spec,
                    "# What is simulated. Every key is explained in docs/simulation-file.md.\n");
}

absl::Status CheckTogether(const SimulationSpec& simulation, const FederationSpec& federation) {
  const BehaviourSection& behaviour = simulation.behaviour();
  const bool epochs = federation.local().mode() == LocalSection::EPOCHS;
  if (behaviour.stragglers() > 0 && behaviour.straggler_work() == BehaviourSection::PARTIAL) {
    if (!epochs) {
      return Together(
          "behaviour.straggler_work = \"partial\" goes with local.mode = \"epochs\" only: in other "
          "modes there are no epochs of which a part could be done; choose \"late\" or "
          "\"dropped\"");
    }
    if (federation.local().epochs() < 2) {
      return Together(
          "behaviour.straggler_work = \"partial\" changes nothing with local.epochs = 1: a part of "
          "one epoch is that epoch; raise local.epochs, or choose \"late\" or \"dropped\"");
    }
  }
  const AttackSection& attack = simulation.attack();
  if (attack.byzantine() > 0 && attack.kind() == AttackSection::LABEL_FLIP) {
    const ModelSection& model = federation.model();
    const bool classes = model.loss() == ModelSection::CROSS_ENTROPY ||
                         model.loss() == ModelSection::BCE_WITH_LOGITS;
    if (!classes) {
      return Together(absl::StrCat(
          "attack.kind = \"label_flip\" needs labels that are classes, and "
          "model.loss is \"",
          ChoiceName(*ModelSection::Loss_descriptor(), model.loss()), "\": choose another kind"));
    }
    const uint32_t count =
        model.loss() == ModelSection::BCE_WITH_LOGITS ? 2 : model.input().classes();
    if (std::max(attack.from_label(), attack.to_label()) >= count) {
      return Together(absl::StrCat("attack.from_label is ", attack.from_label(), " and to_label ",
                                   attack.to_label(), ": labels are 0 to ", count - 1));
    }
  }
  const LocalSection& local = federation.local();
  if (local.control_variates() && simulation.clients().has_count() &&
      local.population() != simulation.clients().count()) {
    return Together(absl::StrCat("local.population is ", local.population(), " and clients.count ",
                                 simulation.clients().count(),
                                 ": with control variates it is the number of all clients; add "
                                 "--set local.population=",
                                 simulation.clients().count()));
  }
  return absl::OkStatus();
}

absl::Status CheckClients(const Partition& clients, const FederationSpec& federation) {
  const RoundsSection& rounds = federation.rounds();
  if (rounds.has_cohort() && rounds.cohort() > clients.clients()) {
    return Together(absl::StrCat("rounds.cohort is ", rounds.cohort(), ", and there are ",
                                 clients.clients(),
                                 " clients: lower it, or simulate more clients"));
  }
  if (rounds.minimum() > clients.clients()) {
    return Together(absl::StrCat("rounds.minimum is ", rounds.minimum(), ", and there are ",
                                 clients.clients(),
                                 " clients: lower it, or simulate more clients"));
  }
  if (federation.privacy().unit() != PrivacySection::RECORD) return absl::OkStatus();
  const uint64_t most = federation.privacy().max_records_per_member();
  for (uint32_t client = 0; client < clients.clients(); ++client) {
    const uint64_t records = clients.Of(client).size();
    if (records > most) {
      return Together(absl::StrCat("client ", client, " has ", records,
                                   " records, above privacy.max_records_per_member, ", most,
                                   ": raise it, or cut clients off with clients.records = ", most));
    }
  }
  if (clients.records() > federation.privacy().total_records()) {
    return Together(absl::StrCat("the clients have ", clients.records(),
                                 " records together, above privacy.total_records, ",
                                 federation.privacy().total_records(),
                                 ": raise it, or give the clients fewer with clients.records"));
  }
  return absl::OkStatus();
}

std::vector<SweepRun> RunsOf(const SimulationSpec& spec) {
  std::vector<std::vector<std::string>> settings(1);
  for (const std::string& text : spec.sweep().grid()) {
    const Axis axis = AxisOf(text);
    std::vector<std::vector<std::string>> longer;
    for (const std::vector<std::string>& setting : settings) {
      for (const std::string& value : axis.values) {
        longer.push_back(setting);
        longer.back().push_back(absl::StrCat(axis.key, "=", value));
      }
    }
    settings = std::move(longer);
  }
  std::vector<SweepRun> runs;
  for (const std::vector<std::string>& setting : settings) {
    for (uint32_t repeat = 0; repeat < spec.sweep().repeats(); ++repeat) {
      SweepRun run{.seed = spec.clients().seed() + repeat, .settings = setting};
      // ParseSimulation has read each of them.
      run.overrides = ParseOverrides(setting, "grid").value_or(Overrides());
      run.overrides.simulation.push_back({.shown = absl::StrCat("seed ", run.seed),
                                          .path = "clients.seed",
                                          .value = absl::StrCat(run.seed)});
      runs.push_back(std::move(run));
    }
  }
  return runs;
}

}  // namespace dure::simulation
