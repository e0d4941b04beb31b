#include "learner/packed_outputs.h"

#include "base/check.h"

namespace dure {

PackedOutputs::PackedOutputs(const Architecture& architecture, std::span<const float> params,
                             const kernels::TileKernels& tile_kernels)
    : network_(architecture, tile_kernels),
      classes_(architecture.classes),
      weights_(network_.layout().size()) {
  DURE_CHECK(params.size() == architecture.manifest.dim());
  network_.layout().Pack(tile_kernels, params, weights_.data());
}

void PackedOutputs::Run(const Dataset& data, std::span<const uint32_t> records) {
  outputs_ = network_.Outputs(weights_.data(), data, records, scratch_);
}

std::span<const float> PackedOutputs::Of(size_t i) const {
  return {outputs_ + i * network_.output_stride(), classes_};
}

}  // namespace dure
