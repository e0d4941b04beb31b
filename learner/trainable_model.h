// What training and measuring need of a model, whatever it is made of: parameters in, the direction
// of one record or of a few out. learner/per_example.h has the built-in networks of kernels of our
// own, learner/*_torch.h what LibTorch differentiates.
//
// A Direction is a function of (model, record, label) alone: no batch mate, no thread and no
// earlier record changes a bit of it (docs/secure-aggregation.md section 2.4). Reading (everything
// const) is thread-safe with a workspace a thread; SetParams is not.
#ifndef DURE_LEARNER_TRAINABLE_MODEL_H_
#define DURE_LEARNER_TRAINABLE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "federation/manifest.h"
#include "learner/data/dataset.h"
#include "learner/loss.h"

namespace dure {

// One thread's buffers, of the model that made them. Holds a record's values: nothing in it is
// shared.
class ModelWorkspace {
 public:
  virtual ~ModelWorkspace() = default;
};

// Plain SGD on whole mini-batches, where a model has a faster way than to add up directions. The
// number of threads changes no bit. Not thread-safe.
class BatchSteps {
 public:
  // A step moves the parameters by learning_rate times: the mean direction of its records, less
  // `correction`, less proximal_mu times the way from where they began.
  struct Rule {
    double learning_rate = 0;
    double proximal_mu = 0;
    std::span<const float> correction;  // empty: nothing
  };
  virtual ~BatchSteps() = default;
  // Begins anew at `params`. Precondition (DURE_CHECK): dim() values, in the manifest's order.
  virtual void Begin(std::span<const float> params, const Rule& rule) = 0;
  // One step on the records at `records`, at least one, each below data.records().
  virtual void Step(const Dataset& data, std::span<const uint32_t> records) = 0;
  // Writes the parameters as they are by now.
  virtual void Params(std::span<float> params) const = 0;
};

// What a model gives for a few records at once. Holds the parameters that the model had when it was
// made. Not thread-safe.
class BatchOutputs {
 public:
  virtual ~BatchOutputs() = default;
  // Most records at once.
  virtual size_t most() const = 0;
  // For the records at `records`, at most most(), each below data.records(). A record's outputs
  // have the same bits whatever else goes through with it.
  virtual void Run(const Dataset& data, std::span<const uint32_t> records) = 0;
  // Those of the i-th of them: as TrainableModel::Outputs, to rounding.
  virtual std::span<const float> Of(size_t i) const = 0;
};

class TrainableModel {
 public:
  virtual ~TrainableModel() = default;

  // The parameters that are trained and travel.
  virtual const ParamManifest& manifest() const = 0;
  virtual size_t dim() const = 0;
  virtual Loss loss() const = 0;
  // Numbers that it gives for a record, or for a token of a text.
  virtual uint32_t classes() const = 0;
  virtual std::unique_ptr<ModelWorkspace> MakeWorkspace() const = 0;

  // Precondition (DURE_CHECK): params.size() == dim(), in the manifest's order.
  virtual void SetParams(std::span<const float> params) = 0;

  // The direction to add: minus the gradient of one record's loss. dim() floats in the model's own
  // order, inside `workspace`. Not finite if the model is not, or if it cannot be computed.
  // Precondition (DURE_CHECK): the record has the size that the model takes.
  virtual std::span<const float> Direction(FeatureView record, float label,
                                           ModelWorkspace& workspace) const = 0;

  // Adds the directions of `count` records to `sum`, which has dim() floats in the model's own
  // order: those at `records`, each below data.records(). In the place of that many calls of
  // Direction where a batch at once is faster.
  virtual void AddDirections(const Dataset& data, std::span<const uint32_t> records,
                             std::span<float> sum, ModelWorkspace& workspace) const;
  // The most records that one AddDirections is given. Part of what local training means: another
  // number gives other bits.
  virtual size_t block_records() const { return 4; }

  // What takes steps of plain SGD by itself, with parameters of its own; null: nothing does.
  virtual std::unique_ptr<BatchSteps> MakeBatchSteps(int /*threads*/) const { return nullptr; }

  // Null: nothing is faster than Outputs. Must not outlive the model.
  virtual std::unique_ptr<BatchOutputs> MakeBatchOutputs() const { return nullptr; }

  // What the model gives for one record, inside `workspace`: a number for each class, one number,
  // or for a text a row of numbers for each token.
  virtual std::span<const float> Outputs(FeatureView record, ModelWorkspace& workspace) const = 0;

  // Why a direction could not be computed, the first time; "" if each could.
  virtual std::string trouble() const { return ""; }

  // The manifest's order of what is in the model's own; T is float, double or int64_t. Both have
  // dim() values and do not overlap.
  template <typename T>
  void ToManifestOrder(std::span<const T> own, std::span<T> out) const {
    const std::span<const uint32_t> index = own_index();
    if (index.empty()) {
      for (size_t i = 0; i < own.size(); ++i) out[i] = own[i];
    } else {
      for (size_t i = 0; i < index.size(); ++i) out[i] = own[index[i]];
    }
  }

 private:
  // Where each parameter of the manifest is in the model's own order; empty: at the same place.
  virtual std::span<const uint32_t> own_index() const { return {}; }
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINABLE_MODEL_H_
