// What a built-in network gives for a few records at once (learner/batch_network.h).
// Not thread-safe.
#ifndef DURE_LEARNER_PACKED_OUTPUTS_H_
#define DURE_LEARNER_PACKED_OUTPUTS_H_

#include <cstdint>
#include <span>

#include "learner/aligned_floats.h"
#include "learner/architecture.h"
#include "learner/batch_network.h"
#include "learner/trainable_model.h"

namespace dure {

class PackedOutputs final : public BatchOutputs {
 public:
  // A list of layers; `params` in the manifest's order.
  PackedOutputs(const Architecture& architecture, std::span<const float> params,
                const kernels::TileKernels& kernels = kernels::BestTileKernels());

  size_t most() const override { return network_.most_records(); }
  void Run(const Dataset& data, std::span<const uint32_t> records) override;
  std::span<const float> Of(size_t i) const override;

 private:
  BatchNetwork network_;
  uint32_t classes_;
  AlignedFloats weights_;
  BatchScratch scratch_;
  const float* outputs_ = nullptr;
};

}  // namespace dure

#endif  // DURE_LEARNER_PACKED_OUTPUTS_H_
