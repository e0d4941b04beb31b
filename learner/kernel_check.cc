#include "learner/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/data/dataset.h"
#include "learner/initial_weights.h"
#include "learner/kernels.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"

namespace dure {

absl::Status CheckKernels(const Architecture& architecture) {
  Network network(architecture);
  TorchModel torch_model(architecture);
  const std::vector<float> params = InitialWeights(network.manifest(), 1);
  network.SetParams(params);
  torch_model.SetParams(params);
  std::vector<uint8_t> record(architecture.input().size());
  uint32_t state = 1;
  for (uint8_t& value : record) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes; any spread of values will do
    value = static_cast<uint8_t>(state >> 24);
  }
  std::vector<float> floats(record.size());
  std::transform(record.begin(), record.end(), floats.begin(), ByteToFloat);
  const auto workspace = network.MakeWorkspace();
  std::vector<float> ours(network.dim());
  network.ToManifestOrder(network.Direction(record, 1, *workspace), std::span(ours));
  DURE_ASSIGN_OR_RETURN(std::vector<float> theirs, torch_model.Direction(floats, 1));
  float largest = 0, difference = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    largest = std::max(largest, std::abs(theirs[i]));
    difference = std::max(difference, std::abs(theirs[i] - ours[i]));
  }
  if (difference <= kKernelTolerance * largest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "gradients by the ", kernels::InstructionSet(), " kernels and by LibTorch ", TorchVersion(),
      " differ by ", difference, " of ", largest,
      " on this processor; if OpenBLAS does not know it, OPENBLAS_CORETYPE=Haswell may help"));
}

}  // namespace dure
