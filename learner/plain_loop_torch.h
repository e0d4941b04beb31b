// Local training as anybody would write it with LibTorch: what learner/batch_sgd.h is measured
// against, and in tests compared with. A copy of the model for every member, the forward pass by
// LibTorch's own functions, its autograd, a step of plain SGD. No LibTorch in this header. Each
// thread that calls Train computes by itself; Train is thread-safe.
#ifndef DURE_LEARNER_PLAIN_LOOP_TORCH_H_
#define DURE_LEARNER_PLAIN_LOOP_TORCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "learner/architecture.h"
#include "learner/data/dataset.h"

namespace dure {

class PlainLoop {
 public:
  // Copies `data` into one tensor of floats. The loss is any but next_token.
  PlainLoop(const Architecture& architecture, const Dataset& data);
  ~PlainLoop();

  // One pass over the records of the dataset at `order`, in batches of `batch_size`, beginning at
  // `params`; writes the change of the parameters. Internal if LibTorch fails.
  absl::Status Train(std::span<const uint32_t> order, size_t batch_size, double learning_rate,
                     std::span<const float> params, std::span<float> change) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dure

#endif  // DURE_LEARNER_PLAIN_LOOP_TORCH_H_
