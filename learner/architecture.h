// The built-in networks: the one description from which parameters, kernels
// (learner/per_example.h), LibTorch modules and TorchScript are made. Those that the kernels run
// are lists of layers; resnet18, gru and lstm are written down in learner/forward_torch.h.
// Thread-safe: values.
#ifndef DURE_LEARNER_ARCHITECTURE_H_
#define DURE_LEARNER_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/manifest.h"
#include "learner/loss.h"
#include "proto/federation.pb.h"

namespace dure {

// Shape of what flows between layers; tables and flattened pictures are [features, 1, 1].
struct Extent {
  uint32_t channels = 0;
  uint32_t height = 1;
  uint32_t width = 1;
  uint64_t size() const { return uint64_t{channels} * height * width; }
  bool operator==(const Extent&) const = default;
};

// Parameters name.weight [out, in, kernel, kernel] and name.bias [out].
struct Conv2dLayer {
  std::string name;
  uint32_t out = 0;
  uint32_t kernel = 0;
  uint32_t stride = 1;
  uint32_t padding = 0;
};
// Parameters name.weight [out, in] and name.bias [out]; flattens its input, channels first.
struct LinearLayer {
  std::string name;
  uint32_t out = 0;
};
// No padding; of equal values the first counts, row by row.
struct MaxPoolLayer {
  uint32_t kernel = 0;
  uint32_t stride = 1;
};
struct TanhLayer {};
struct ReluLayer {};
using Layer = std::variant<Conv2dLayer, LinearLayer, MaxPoolLayer, TanhLayer, ReluLayer>;

struct Architecture {
  std::string name;             // "cnn"
  std::vector<uint32_t> shape;  // of one record: [channels, height, width] or [features]
  uint32_t classes = 0;
  Loss loss = ModelSection::CROSS_ENTROPY;
  std::vector<Layer> layers;  // the last gives `classes` logits; empty without kernels
  // extents[i] goes into layers[i]; one more than layers.
  std::vector<Extent> extents;
  RecurrentSizes recurrent;  // of gru and lstm
  ParamManifest manifest;    // layer by layer, weight before bias

  const Extent& input() const { return extents.front(); }
  // Whether learner/per_example.h runs it; otherwise LibTorch does.
  bool has_kernels() const { return !layers.empty(); }
};

// Names that a federation file can use, with one line on each.
struct ArchitectureInfo {
  std::string name;
  std::string summary;
};
std::vector<ArchitectureInfo> BuiltInArchitectures();

// FailedPrecondition as BuiltInManifest (federation/manifest.h). What `model` leaves out has the
// defaults of the federation file. Of a TorchScript module the record, the classes, the loss and
// the number of parameters are known here, and no layer.
absl::StatusOr<Architecture> MakeArchitecture(const ModelSection& model);
// With everything else as the defaults are. InvalidArgument for a name that is none.
absl::StatusOr<Architecture> MakeArchitecture(const std::string& name,
                                              const std::vector<uint32_t>& shape, uint32_t classes);
absl::StatusOr<Architecture> MakeArchitecture(const std::string& name,
                                              const std::vector<uint32_t>& shape, uint32_t classes,
                                              Loss loss);
// The section of a federation file for a built-in model of this name.
absl::StatusOr<ModelSection> SectionOf(const std::string& name, const std::vector<uint32_t>& shape,
                                       uint32_t classes);

// A list of layers that somebody else has put together, with what flows between them.
// FailedPrecondition if a picture is too small for a layer.
absl::StatusOr<Architecture> ArchitectureOfLayers(const std::string& name,
                                                  const std::vector<uint32_t>& shape,
                                                  std::vector<Layer> layers);

// architecture.manifest.
const ParamManifest& ManifestOf(const Architecture& architecture);

// One line for people: "conv 16 of 8x8, stride 2, padding 3".
std::string DescribeLayer(const Layer& layer);
// A line a layer.
std::vector<std::string> DescribeLayers(const Architecture& architecture);

}  // namespace dure

#endif  // DURE_LEARNER_ARCHITECTURE_H_
