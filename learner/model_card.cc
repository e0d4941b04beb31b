#include "learner/model_card.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace dure {
namespace {

using Metadata = std::map<std::string, std::string>;

// An epsilon above this says nothing to anybody (federation/terms/terms.h).
constexpr double kMeaninglessEpsilon = 10;

std::string Value(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

// JSON strings are YAML strings: nothing in a name can end the front matter.
std::string JsonString(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Whoever computed the gradients, whose noise it was and what the coordinator saw.
std::string WhoseNoise(const Metadata& metadata) {
  if (Value(metadata, "dure.mode") == "dp_sgd") {
    return " Each member added the noise itself, in every step of its own training.";
  }
  const std::string secure_aggregation = Value(metadata, "dure.secure_aggregation");
  if (secure_aggregation == "true") {
    return " The noise was added by the members together, before any sum of theirs was opened: "
           "the coordinator saw noised sums only.";
  }
  if (secure_aggregation == "false") {
    return " The noise was added by the coordinator, which saw every member's update and was "
           "trusted with it.";
  }
  return "";
}

std::string WithoutNoise(const Metadata& metadata) {
  return absl::StrCat(
      "None: no noise was added, so whoever has this model may learn about records that it was "
      "trained on. ",
      Value(metadata, "dure.secure_aggregation") == "true"
          ? "The coordinator saw sums of the members' updates only."
          : "The coordinator saw each member's update.");
}

std::string PrivacyText(const Metadata& metadata) {
  const std::string unit = Value(metadata, "dure.privacy_unit");
  if (unit == "none") return WithoutNoise(metadata);
  double epsilon = 0;
  if (!absl::SimpleAtod(Value(metadata, "dure.epsilon"), &epsilon) || !std::isfinite(epsilon) ||
      epsilon < 0) {
    return "The model file states no privacy guarantee.";
  }
  const bool client = unit == "client";
  const std::string delta = Value(metadata, "dure.delta");
  // Rounded up, so that nothing smaller than the truth is claimed.
  std::string text = absl::StrFormat(
      "%s differential privacy: epsilon = %.2f at delta = %s, for one %s.",
      client ? "Member-level" : "Record-level", std::ceil(epsilon * 100 - 1e-9) / 100,
      delta.empty() ? "(not stated)" : delta, client ? "member" : "record");
  if (epsilon > kMeaninglessEpsilon) {
    absl::StrAppendFormat(&text, " An epsilon above %g promises next to nothing.",
                          kMeaninglessEpsilon);
  } else {
    absl::StrAppend(&text,
                    client ? " What any single member contributed, all its records together,"
                           : " Whether any single record took part",
                    " changes little about this model.");
  }
  return absl::StrCat(text, WhoseNoise(metadata));
}

}  // namespace

std::string ModelCard(const Metadata& metadata, const Architecture& architecture, uint64_t dim) {
  const std::string name = Value(metadata, "dure.federation");
  const std::string license = Value(metadata, "dure.license");
  const std::string purpose = Value(metadata, "dure.purpose");
  const std::string rounds = Value(metadata, "dure.rounds");
  const std::string best_of = Value(metadata, "dure.best_of_rounds");
  std::string card = "---\nlibrary_name: dure\n";
  if (!license.empty()) {
    absl::StrAppend(&card, "license: ", JsonString(license), "\n");
  }
  absl::StrAppend(&card, "tags:\n- federated-learning\n",
                  Value(metadata, "dure.privacy_unit") == "none" ? "" : "- differential-privacy\n",
                  "---\n\n# ", name.empty() ? architecture.name : name, "\n\n");
  if (!purpose.empty()) absl::StrAppend(&card, purpose, "\n\n");
  absl::StrAppend(&card, "A ", architecture.name, " of ", dim, " parameters for records of shape ",
                  absl::StrJoin(architecture.shape, " x "), " in ", architecture.classes,
                  " classes, trained by federated learning with dure: the data stayed with those "
                  "who took part.\n\n## Privacy\n\n",
                  PrivacyText(metadata), "\n");
  if (!rounds.empty()) absl::StrAppend(&card, "\nRounds of training: ", rounds, ".\n");
  if (!best_of.empty()) {
    absl::StrAppend(&card, "Of the ", best_of,
                    " rounds trained so far, whose privacy is what is stated above, this one had "
                    "the lowest loss at the evaluators, ",
                    Value(metadata, "dure.evaluation_loss"), ": their data chose it.\n");
  }
  absl::StrAppend(&card, "\n## Layers\n\n");
  for (const Layer& layer : architecture.layers) {
    absl::StrAppend(&card, "- ", DescribeLayer(layer), "\n");
  }
  absl::StrAppend(&card,
                  "\nInput values lie between 0 and 1 (bytes divided by 255). The tensors in "
                  "`model.safetensors` have the names and shapes of a PyTorch state dict.\n");
  return card;
}

}  // namespace dure
