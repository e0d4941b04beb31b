// A TorchScript module whose forward is a chain of layers that the kernels know, run by them: the
// fast path of per-example gradients. Layers before the first that is trained are run forwards
// only; numbers that are not trained stay as they are. Reading (everything const) is thread-safe
// with a workspace a thread; SetParams is not.
#ifndef DURE_LEARNER_CHAIN_MODEL_H_
#define DURE_LEARNER_CHAIN_MODEL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/architecture.h"
#include "learner/per_example.h"
#include "learner/trainable_model.h"

namespace dure {

struct Chain {
  std::vector<Layer> layers;
  // Of layers[i]: names of parameters, or "" where the module has a constant or nothing; and their
  // values, empty for a bias that is not there.
  struct Source {
    std::string weight, bias;
    std::vector<float> weight_value, bias_value;
  };
  std::vector<Source> sources;
};

class ChainModel final : public TrainableModel {
 public:
  // Trains `trained`, in that order, which are parameters of `chain`. FailedPrecondition if the
  // chain does not fit records of `shape`, or a parameter is not in it, or twice.
  static absl::StatusOr<std::unique_ptr<ChainModel>> Create(const Chain& chain,
                                                            const std::vector<uint32_t>& shape,
                                                            const ParamManifest& trained,
                                                            Loss loss);

  const ParamManifest& manifest() const override { return manifest_; }
  size_t dim() const override { return manifest_.dim(); }
  Loss loss() const override { return rest_->loss(); }
  uint32_t classes() const override { return rest_->classes(); }
  std::unique_ptr<ModelWorkspace> MakeWorkspace() const override;
  void SetParams(std::span<const float> params) override;
  std::span<const float> Direction(FeatureView record, float label,
                                   ModelWorkspace& workspace) const override;
  std::span<const float> Outputs(FeatureView record, ModelWorkspace& workspace) const override;

 private:
  struct Workspace;
  // Where a trained parameter lies among those of rest_.
  struct Place {
    size_t offset = 0;
    size_t size = 0;
  };
  ChainModel() = default;
  FeatureView Features(FeatureView record, Workspace& workspace) const;

  ParamManifest manifest_;
  std::unique_ptr<Network> base_;  // the layers before the first that is trained; or nothing
  Extent between_;                 // what base_ gives
  std::unique_ptr<Network> rest_;
  std::vector<float> numbers_;  // of rest_, trained or not
  std::vector<Place> places_;   // of the parameters in manifest_
};

}  // namespace dure

#endif  // DURE_LEARNER_CHAIN_MODEL_H_
