#include "learner/first_model.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/spec_fields.h"
#include "learner/initial_weights.h"

namespace dure {

std::map<std::string, std::string> ArchitectureMetadata(const Architecture& architecture) {
  std::map<std::string, std::string> metadata = {
      {kArchitectureKey, architecture.name},
      {kInputKey, absl::StrJoin(architecture.shape, ",")},
      {kClassesKey, absl::StrCat(architecture.classes)}};
  if (architecture.loss != ModelSection::CROSS_ENTROPY) {
    metadata[kLossKey] = ChoiceName(*ModelSection::Loss_descriptor(), architecture.loss);
  }
  if (architecture.name == "mlp") {
    std::vector<uint32_t> hidden;
    for (const Layer& layer : architecture.layers) {
      if (const auto* linear = std::get_if<LinearLayer>(&layer)) hidden.push_back(linear->out);
    }
    hidden.pop_back();
    metadata[kHiddenKey] = absl::StrJoin(hidden, ",");
  }
  if (architecture.name == "gru" || architecture.name == "lstm") {
    metadata[kEmbeddingKey] = absl::StrCat(architecture.recurrent.embedding);
    metadata[kUnitsKey] = absl::StrCat(architecture.recurrent.units);
    metadata[kLayersKey] = absl::StrCat(architecture.recurrent.layers);
  }
  return metadata;
}

absl::StatusOr<ModelFile> FirstBuiltInModel(const FederationSpec& spec, uint64_t seed) {
  DURE_ASSIGN_OR_RETURN(const Architecture architecture, MakeArchitecture(spec.model()));
  ModelFile model = {.manifest = ManifestOf(architecture),
                     .params = InitialWeights(ManifestOf(architecture), seed),
                     .metadata = ArchitectureMetadata(architecture)};
  model.metadata["dure.seed"] = absl::StrCat(seed);
  if (spec.model().tokens() == ModelSection::WORDS) {
    model.metadata[kTokensKey] = kWordTokens;
    model.metadata["dure.vocabulary_sha256"] = spec.model().vocabulary_sha256();
  }
  return model;
}

}  // namespace dure
