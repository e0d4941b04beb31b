#include "learner/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/batch_network.h"
#include "learner/data/dataset.h"
#include "learner/initial_weights.h"
#include "learner/kernels.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"

namespace dure {
namespace {

// One record with label 1.
Dataset MadeUpRecord(const Architecture& architecture) {
  Dataset data{.shape = architecture.shape, .labels = {1}};
  data.features.resize(architecture.input().size());
  uint32_t state = 1;
  for (uint8_t& value : data.features) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes; any spread of values will do
    value = static_cast<uint8_t>(state >> 24);
  }
  return data;
}

// By the kernels for mini-batches.
std::vector<float> BatchDirection(const Architecture& architecture,
                                  const std::vector<float>& params, const Dataset& data) {
  const kernels::TileKernels& tile_kernels = kernels::BestTileKernels();
  const BatchNetwork network(architecture, tile_kernels);
  AlignedFloats weights(network.layout().size()), sum(network.layout().size());
  network.layout().Pack(tile_kernels, params, weights.data());
  BatchScratch scratch;
  const uint32_t record = 0;
  network.Backpropagate(weights.data(), data, {&record, 1}, {.to = sum.data()}, scratch);
  std::vector<float> direction(params.size());
  network.layout().Unpack(tile_kernels, sum.data(), direction);
  return direction;
}

absl::Status Compare(std::span<const float> ours, std::span<const float> theirs,
                     const std::string& which) {
  float largest = 0, difference = 0;
  for (const float value : theirs) largest = std::max(largest, std::abs(value));
  bool agree = true;
  for (size_t i = 0; i < ours.size(); ++i) {
    const float apart = std::abs(theirs[i] - ours[i]);
    // What is not a number agrees with nothing.
    agree &= apart <= kKernelTolerance * largest;
    difference = std::max(difference, apart);
  }
  if (agree) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "gradients by the ", kernels::InstructionSet(), " kernels", which, " and by LibTorch ",
      TorchVersion(), " differ by ", difference, " of ", largest,
      " on this processor; if OpenBLAS does not know it, OPENBLAS_CORETYPE=Haswell may help"));
}

}  // namespace

absl::Status CheckKernels(const Architecture& architecture) {
  Network network(architecture);
  TorchModel torch_model(architecture);
  const std::vector<float> params = InitialWeights(network.manifest(), 1);
  network.SetParams(params);
  torch_model.SetParams(params);
  const Dataset data = MadeUpRecord(architecture);
  const auto workspace = network.MakeWorkspace();
  std::vector<float> ours(network.dim());
  network.ToManifestOrder(network.Direction(data.Record(0), data.labels[0], *workspace),
                          std::span(ours));
  DURE_ASSIGN_OR_RETURN(const std::vector<float> theirs,
                        torch_model.Direction(data.Record(0).ToFloats(), data.labels[0]));
  DURE_RETURN_IF_ERROR(Compare(ours, theirs, ""));
  return Compare(BatchDirection(architecture, params, data), theirs, " for mini-batches");
}

}  // namespace dure
