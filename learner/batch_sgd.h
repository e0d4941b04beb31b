// Plain SGD on mini-batches of a built-in network (learner/batch_network.h), with weights that stay
// packed from the first step to the last. A batch goes through in chunks of most_records() of the
// network, a thread a chunk, and their sums are added up in the order of the chunks: the number of
// threads changes no bit. Where a batch is one chunk and the rule is plain, the step is taken while
// the gradient of the weights is still in registers. Not thread-safe.
#ifndef DURE_LEARNER_BATCH_SGD_H_
#define DURE_LEARNER_BATCH_SGD_H_

#include <cstdint>
#include <span>
#include <vector>

#include "learner/aligned_floats.h"
#include "learner/architecture.h"
#include "learner/batch_network.h"
#include "learner/tile_kernels.h"
#include "learner/trainable_model.h"

namespace dure {

class BatchSgd final : public BatchSteps {
 public:
  // A list of layers, some with parameters, and any loss but next_token. threads >= 1.
  BatchSgd(const Architecture& architecture, int threads,
           const kernels::TileKernels& kernels = kernels::BestTileKernels());

  void Begin(std::span<const float> params, const Rule& rule) override;
  void Step(const Dataset& data, std::span<const uint32_t> records) override;
  void Params(std::span<float> params) const override;

 private:
  // Adds up the directions of all records in sums_[0].
  void SumChunks(const Dataset& data, std::span<const uint32_t> records);
  // Adds those of the other threads, of the first `threads`, to it, in their order.
  void AddSums(size_t threads);

  BatchNetwork network_;
  size_t dim_;
  AlignedFloats weights_;
  AlignedFloats began_, correction_;  // empty while the rule has no use for them
  float learning_rate_ = 0, proximal_mu_ = 0;
  bool proximal_ = false, corrected_ = false;
  std::vector<BatchScratch> scratch_;  // one a thread
  std::vector<AlignedFloats> sums_;    // one a thread, once they are needed
};

}  // namespace dure

#endif  // DURE_LEARNER_BATCH_SGD_H_
