// Which parameters of a model travel, and which stay with each member (model.personal: FedPer,
// Arivazhagan et al. 2019; FedBN, Li et al. 2021). Coordinator, clients and `dure check` derive it
// here alike. Thread-safe: constant once created.
#ifndef DURE_FEDERATION_MODEL_PARTS_H_
#define DURE_FEDERATION_MODEL_PARTS_H_

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/manifest.h"
#include "proto/federation.pb.h"

namespace dure {

// Whether `name` is what `pattern` says, in which each * stands for any characters, or none.
bool MatchesPattern(std::string_view pattern, std::string_view name);

class ModelParts {
 public:
  // Everything travels.
  explicit ModelParts(ParamManifest whole);

  // What does not match model.personal travels. FailedPrecondition, with the names that there are,
  // if a pattern matches none of them, or if nothing would travel.
  static absl::StatusOr<ModelParts> Create(ParamManifest whole, const ModelSection& model);

  const ParamManifest& whole() const { return whole_; }
  // In the order of the whole.
  const ParamManifest& travelling() const { return travelling_; }
  const ParamManifest& personal() const { return personal_; }
  bool has_personal() const { return !personal_.params.empty(); }

  // Values in the order of the whole manifest, of one part and of both. Preconditions (DURE_CHECK):
  // as many as the manifest has.
  std::vector<float> Travelling(std::span<const float> whole) const;
  std::vector<float> Personal(std::span<const float> whole) const;
  std::vector<float> Join(std::span<const float> travelling, std::span<const float> personal) const;

 private:
  std::vector<float> Part(std::span<const float> whole, bool personal) const;

  ParamManifest whole_, travelling_, personal_;
  std::vector<bool> is_personal_;  // by parameter
};

// Of the model of a federation file. FailedPrecondition as BuiltInManifest and Create.
absl::StatusOr<ModelParts> PartsOf(const ModelSection& model);

}  // namespace dure

#endif  // DURE_FEDERATION_MODEL_PARTS_H_
