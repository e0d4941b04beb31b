// The parameters of a model, in the order in which they are flattened. Thread-safe.
#ifndef DURE_FEDERATION_MANIFEST_H_
#define DURE_FEDERATION_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

struct ParamEntry {
  std::string name;             // as in a state dict: "conv1.weight"
  std::vector<uint64_t> shape;  // row-major
  uint64_t size() const;        // product of the shape
};

// Trainable parameters; each is float32.
struct ParamManifest {
  std::vector<ParamEntry> params;
  // Number of coordinates: the model's dimension d.
  uint64_t dim() const;
  bool operator==(const ParamManifest&) const;
};

// The manifest of a built-in architecture, from the spec alone (no LibTorch), so that coordinator
// and client know d. The learner's models are tested against it.
// FailedPrecondition if the input shape does not fit the architecture, with both.
absl::StatusOr<ParamManifest> BuiltInManifest(const ModelSection& model);

}  // namespace dure

#endif  // DURE_FEDERATION_MANIFEST_H_
