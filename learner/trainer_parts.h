// What a trainer program brings to the service that answers the client: which models it trains,
// which data it reads, what it measures besides. `dure-trainer` brings learner/stock_trainer.h; a
// program of your own brings its own (docs/extending.md). Thread-safe: a value.
#ifndef DURE_LEARNER_TRAINER_PARTS_H_
#define DURE_LEARNER_TRAINER_PARTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "learner/metrics.h"
#include "learner/trainable_model.h"
#include "proto/federation.pb.h"

namespace dure {

struct TrainerParts {
  // The model that `section` describes, on so many threads. FailedPrecondition or InvalidArgument,
  // with what a person can do, if this program cannot train it.
  std::function<absl::StatusOr<std::unique_ptr<TrainableModel>>(const ModelSection& section,
                                                                int threads)>
      make_model;
  // The same for a module that the terms name (model.torchscript), in the file `module`, which is
  // borrowed and open for reading only. Absent: modules are refused.
  std::function<absl::StatusOr<std::unique_ptr<TrainableModel>>(const ModelSection& section,
                                                                int threads, int module)>
      make_module;
  // All records of `files`, of the shape that the model takes. Errors as ReadDataset.
  std::function<absl::StatusOr<Dataset>(const DataFiles& files, const ModelSection& section)>
      read_data;
  // Weights that a run begins with. Absent: learner/initial_weights.h by the manifest.
  std::function<std::vector<float>(const TrainableModel& model, uint64_t seed)> initial;
  // Written into the file of the first weights, and from there into every released model.
  std::map<std::string, std::string> metadata;
  // May have no name: then there is none.
  OwnMetric metric;
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_PARTS_H_
