// Models that LibTorch differentiates, for what trains and measures: no LibTorch in this header.
#ifndef DURE_LEARNER_TORCH_MODELS_H_
#define DURE_LEARNER_TORCH_MODELS_H_

#include <memory>

#include "learner/architecture.h"
#include "learner/trainable_model.h"

namespace dure {

// A built-in network: resnet18, gru and lstm, which have no kernels, and in tests any other.
std::unique_ptr<TrainableModel> MakeTorchModel(Architecture architecture);

}  // namespace dure

#endif  // DURE_LEARNER_TORCH_MODELS_H_
