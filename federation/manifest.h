// The parameters of a model, in the order in which they are flattened. Thread-safe.
#ifndef DURE_FEDERATION_MANIFEST_H_
#define DURE_FEDERATION_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

// Most parameters of a model: 1 GiB of float32.
inline constexpr uint64_t kMaxModelParams = uint64_t{1} << 28;
// Most numbers in one record, sizes in its shape, and classes.
inline constexpr uint64_t kMaxRecordSize = uint64_t{1} << 24;
inline constexpr int kMaxRecordRank = 3;
inline constexpr uint32_t kMaxClasses = 1 << 12;

struct ParamEntry {
  std::string name;             // as in a state dict: "conv1.weight"
  std::vector<uint64_t> shape;  // row-major
  uint64_t size() const;        // product of the shape
  bool operator==(const ParamEntry&) const = default;
};

// Trainable parameters; each is float32.
struct ParamManifest {
  std::vector<ParamEntry> params;
  // Number of coordinates: the model's dimension d.
  uint64_t dim() const;
  bool operator==(const ParamManifest&) const = default;
};

// The manifest of a built-in architecture, from the spec alone (no LibTorch), so that coordinator
// and client know d. The learner's models are tested against it.
//
//   cnn                  conv1 16 of 8x8, stride 2, padding 3; tanh; max-pool 2, stride 1;
//                        conv2 32 of 4x4, stride 2; tanh; max-pool 2, stride 1; fc1 to 32; tanh;
//                        fc2
//   mlp                  fc1 to 200, ReLU, fc2 to 200, ReLU, fc3
//   logistic_regression  fc
//
// Each layer has NAME.weight (as LibTorch lays it out: outputs first) and NAME.bias. mlp and
// logistic_regression take a record of any shape, flattened.
// FailedPrecondition if the input shape does not fit the architecture, with both, or for anything
// above its limit.
absl::StatusOr<ParamManifest> BuiltInManifest(const ModelSection& model);

}  // namespace dure

#endif  // DURE_FEDERATION_MANIFEST_H_
