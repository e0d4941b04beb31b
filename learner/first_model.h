// The model that a run begins with, and what its file says of itself (learner/released_model.h has
// the keys). Without LibTorch: an organiser's machine needs none for a built-in architecture.
// Thread-safe.
#ifndef DURE_LEARNER_FIRST_MODEL_H_
#define DURE_LEARNER_FIRST_MODEL_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "federation/model_file.h"
#include "learner/architecture.h"
#include "proto/federation.pb.h"

namespace dure {

inline constexpr char kArchitectureKey[] = "dure.architecture";
inline constexpr char kInputKey[] = "dure.input";
inline constexpr char kClassesKey[] = "dure.classes";
inline constexpr char kLossKey[] = "dure.loss";
inline constexpr char kHiddenKey[] = "dure.hidden";
inline constexpr char kEmbeddingKey[] = "dure.embedding";
inline constexpr char kUnitsKey[] = "dure.units";
inline constexpr char kLayersKey[] = "dure.layers";
// Of the metadata of a model of text.
inline constexpr char kTokensKey[] = "dure.tokens";
inline constexpr char kWordTokens[] = "words";

// The keys for `architecture`, but for dure.torchscript_sha256.
std::map<std::string, std::string> ArchitectureMetadata(const Architecture& architecture);

// The first weights of a built-in architecture. FailedPrecondition as MakeArchitecture; not for a
// TorchScript module, which brings its own.
absl::StatusOr<ModelFile> FirstBuiltInModel(const FederationSpec& spec, uint64_t seed);

}  // namespace dure

#endif  // DURE_LEARNER_FIRST_MODEL_H_
