#include "learner/trainable_model.h"

namespace dure {

void TrainableModel::AddDirections(const Dataset& data, std::span<const uint32_t> records,
                                   std::span<float> sum, ModelWorkspace& workspace) const {
  for (uint32_t record : records) {
    const std::span<const float> direction =
        Direction(data.Record(record), data.labels[record], workspace);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += direction[i];
  }
}

}  // namespace dure
