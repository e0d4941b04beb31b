// TorchScript modules as models to train: what is in one, what of it travels, what it may not do.
// No LibTorch in this header; what LibTorch throws comes back as a status.
//
// The rules: parameters that require gradients are trained and travel; the others, and buffers,
// stay as they are in the file. The module always runs in evaluation mode: dropout is off, and
// batch normalisation uses the statistics of the file. Parsing a module runs code of its maker:
// only behind a sandbox (learner/sandbox.h, learner/confined.h). Not thread-safe.
#ifndef DURE_LEARNER_SCRIPT_TORCH_H_
#define DURE_LEARNER_SCRIPT_TORCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/architecture.h"
#include "learner/trainable_model.h"

namespace dure {

struct ScriptInfo {
  ParamManifest trained;
  ParamManifest frozen;
  ParamManifest buffers;
  uint64_t bytes = 0;  // of all three in memory
  // Layers that would normalise by the statistics of a batch, by name: batch normalisation that was
  // saved in training mode.
  std::vector<std::string> batch_norms;
};

class ScriptModule {
 public:
  // `metadata_keys` are the extra files to look for; `name` is for messages. InvalidArgument if
  // LibTorch cannot read it; ResourceExhausted if it asks for more memory than there may be.
  static absl::StatusOr<ScriptModule> Parse(const std::string& bytes, const std::string& name,
                                            const std::vector<std::string>& metadata_keys = {});
  ~ScriptModule();
  ScriptModule(ScriptModule&&) noexcept;
  ScriptModule& operator=(ScriptModule&&) noexcept;

  const ScriptInfo& info() const;
  // Only keys that were found.
  const std::map<std::string, std::string>& metadata() const;

  // The trained parameters, in the order of info().trained.
  std::vector<float> Params() const;
  // Puts others in their place. Precondition (DURE_CHECK): as many.
  void SetParams(std::span<const float> params);
  // The module as a file, in evaluation mode.
  absl::StatusOr<std::string> Save(const std::map<std::string, std::string>& metadata) const;

  // What it gives for `count` records of `shape`. InvalidArgument if it does not take them, or
  // gives something else than a row (of a text: rows) of numbers a record.
  absl::StatusOr<std::vector<float>> Outputs(std::span<const float> records, uint64_t count,
                                             const std::vector<uint32_t>& shape, Loss loss) const;

  struct State;
  State& state() { return *state_; }

 private:
  explicit ScriptModule(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// FailedPrecondition, with the reason and the remedy, if `info` has what no member may train: no
// trained parameter, more than a federation file can say, or batch normalisation in training mode.
absl::Status CheckTrainable(const ScriptInfo& info, const std::string& name);

struct ScriptTraining {
  std::unique_ptr<TrainableModel> model;
  // What the member should know: how fast it is, what stays as it is in the file.
  std::vector<std::string> notes;
};
// `section` says the shape of records, the loss and the classes. Tries the module on made-up
// records first: FailedPrecondition, with what it did, if it gives the wrong shape, fails, draws
// random numbers or mixes records; and as CheckTrainable, and if it has another number of
// parameters than `section` says.
absl::StatusOr<ScriptTraining> MakeScriptTraining(ScriptModule module, const ModelSection& section,
                                                  const std::string& name);

}  // namespace dure

#endif  // DURE_LEARNER_SCRIPT_TORCH_H_
