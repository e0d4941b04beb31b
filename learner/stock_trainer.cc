#include "learner/stock_trainer.h"

#include <utility>

#include "base/status_macros.h"
#include "learner/architecture.h"
#include "learner/data/text.h"
#include "learner/kernel_check.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"

namespace dure {
namespace {

absl::StatusOr<std::unique_ptr<TrainableModel>> MakeModel(const ModelSection& section,
                                                          int threads) {
  SetTorchThreads(threads);
  DURE_ASSIGN_OR_RETURN(Architecture architecture, MakeArchitecture(section));
  DURE_RETURN_IF_ERROR(CheckKernels(architecture));
  return std::make_unique<Network>(std::move(architecture));
}

}  // namespace

absl::Status PrepareStockTrainer() {
  SetTorchThreads(1);
  DURE_ASSIGN_OR_RETURN(const Architecture smallest, MakeArchitecture("cnn", {1, 14, 14}, 2));
  return CheckKernels(smallest);
}

TrainerParts StockTrainer() {
  TrainerParts parts;
  parts.make_model = MakeModel;
  parts.read_data = ReadDatasetFor;
  return parts;
}

}  // namespace dure
