// What `dure-trainer` trains and reads: the built-in models, on kernels of our own where they are
// checked against LibTorch at every start, and the data formats of docs/formats/data.md.
// Thread-safe: pure functions.
#ifndef DURE_LEARNER_STOCK_TRAINER_H_
#define DURE_LEARNER_STOCK_TRAINER_H_

#include "absl/status/status.h"
#include "learner/trainer_parts.h"

namespace dure {

TrainerParts StockTrainer();

// Has LibTorch read what it wants to know of the machine, and checks the kernels on the smallest
// model. Before the sandbox is entered. FailedPrecondition as CheckKernels.
absl::Status PrepareStockTrainer();

}  // namespace dure

#endif  // DURE_LEARNER_STOCK_TRAINER_H_
