// The parameters of a model, in the order in which they are flattened. Thread-safe.
#ifndef DURE_FEDERATION_MANIFEST_H_
#define DURE_FEDERATION_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

// Most parameters of a model: 8 GiB of float32.
inline constexpr uint64_t kMaxModelParams = uint64_t{1} << 31;
// Most numbers in one record, sizes in its shape, and classes.
inline constexpr uint64_t kMaxRecordSize = uint64_t{1} << 24;
inline constexpr int kMaxRecordRank = 3;
inline constexpr uint32_t kMaxModelClasses = 1 << 12;
// Most tokens of a model of texts, which has as many classes.
inline constexpr uint32_t kMaxTokens = 1 << 16;

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

// The only entry of the manifest of a TorchScript module: the federation file says how many numbers
// are trained, the module itself, which is parsed only behind a sandbox, what they are called.
inline constexpr char kOpaqueEntry[] = "parameters";

// Whether `named`, the manifest of a file or of a trainer, is what `wanted` asks for: the same
// names and shapes, or for a TorchScript module as many numbers.
bool FitsManifest(const ParamManifest& named, const ParamManifest& wanted);

// Sizes of the layers of mlp, and of gru and lstm, with their defaults where the section has none.
std::vector<uint32_t> HiddenSizes(const ModelSection& model);
struct RecurrentSizes {
  uint32_t embedding = 0;
  uint32_t units = 0;
  uint32_t layers = 0;
};
RecurrentSizes SizesOfRecurrent(const ModelSection& model);

// Pictures whose smaller side is below this have the small stem of resnet18: a convolution of 3x3,
// stride 1, and no pooling.
inline constexpr uint32_t kSmallStemBelow = 64;
// Groups of the group normalisation of resnet18; each of its widths is a multiple.
inline constexpr uint32_t kNormGroups = 32;

// The manifest of an architecture, from the spec alone (no LibTorch), so that coordinator and
// client know d. The learner's models are tested against it.
//
//   cnn                  conv1 16 of 8x8, stride 2, padding 3; tanh; max-pool 2, stride 1;
//                        conv2 32 of 4x4, stride 2; tanh; max-pool 2, stride 1; fc1 to 32; tanh;
//                        fc2
//   cnn_mcmahan          conv1 32 of 5x5, padding 2; ReLU; max-pool 2, stride 2; conv2 64 of 5x5,
//                        padding 2; ReLU; max-pool 2, stride 2; fc1 to 512; ReLU; fc2
//   mlp                  fc1 to the first size of model.hidden, ReLU, ..., and one more fc
//   logistic_regression  fc
//   resnet18             conv1 64 of 7x7, stride 2, padding 3; norm1; ReLU; max-pool 3, stride 2,
//                        padding 1 (small pictures: conv1 64 of 3x3, padding 1; norm1; ReLU);
//                        layer1 to layer4, each of two blocks, 64, 128, 256 and 512 wide, the first
//                        block of the last three with stride 2 and a shortcut of 1x1; mean over
//                        the picture; fc. Convolutions have no bias.
//   gru, lstm            embedding, rnn (as LibTorch names its parameters), fc
//
// Each layer has NAME.weight (as LibTorch lays it out: outputs first) and, but for those named
// above, NAME.bias. mlp and logistic_regression take a record of any shape, flattened.
// FailedPrecondition if the input shape does not fit the architecture, with both, or for anything
// above its limit.
absl::StatusOr<ParamManifest> BuiltInManifest(const ModelSection& model);

}  // namespace dure

#endif  // DURE_FEDERATION_MANIFEST_H_
