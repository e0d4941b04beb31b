// `dure model personalize`: tunes a released model on one's own data, on one's own machine. Nothing
// leaves it. Not thread-safe.
#ifndef DURE_LEARNER_PERSONALIZE_H_
#define DURE_LEARNER_PERSONALIZE_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "learner/trainable_model.h"

namespace dure {

struct PersonalizeCommand {
  std::string model;   // a safetensors file
  std::string folder;  // a data folder; its held-out part, if it has one, is what is measured on
  std::string out;     // the safetensors file to write
  uint32_t epochs = 5;
  double learning_rate = 0.05;
  uint32_t batch_size = 32;
  uint64_t seed = 1;              // of the order of the records
  std::vector<std::string> only;  // patterns of the parameters that are tuned; empty: all
  std::string vocabulary;         // file of the words of a model of words
};

// Trains, writes the model with metadata that says so, and prints how it measures before and after.
// AlreadyExists if `out` is there; InvalidArgument, with the names that there are, if a pattern
// matches no parameter, and for numbers that CheckPlan refuses; FailedPrecondition if training
// diverges or the data do not fit the model (CheckDataset).
absl::Status RunPersonalize(const PersonalizeCommand& command, bool json, std::ostream& out);

// A model of which some parameters do not move: their directions are zero.
class PartlyFrozenModel final : public TrainableModel {
 public:
  // `frozen`: one for each parameter of base.manifest(). `base` is borrowed.
  PartlyFrozenModel(TrainableModel* base, std::vector<bool> frozen);

  const ParamManifest& manifest() const override { return base_.manifest(); }
  size_t dim() const override { return base_.dim(); }
  Loss loss() const override { return base_.loss(); }
  uint32_t classes() const override { return base_.classes(); }
  std::unique_ptr<ModelWorkspace> MakeWorkspace() const override;
  void SetParams(std::span<const float> params) override { base_.SetParams(params); }
  std::span<const float> Direction(FeatureView record, float label,
                                   ModelWorkspace& workspace) const override;
  size_t block_records() const override { return base_.block_records(); }
  std::span<const float> Outputs(FeatureView record, ModelWorkspace& workspace) const override;
  std::string trouble() const override { return base_.trouble(); }

 private:
  TrainableModel& base_;
  std::vector<bool> frozen_;
};

}  // namespace dure

#endif  // DURE_LEARNER_PERSONALIZE_H_
