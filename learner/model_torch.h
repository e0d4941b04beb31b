// A built-in network in LibTorch: what runs released models, what is exported as TorchScript, and
// the autograd that the kernels of learner/per_example.h are checked against, in tests and at every
// start of a trainer. This header needs no LibTorch; errors of LibTorch come back as Internal with
// its first line. Not thread-safe.
#ifndef DURE_LEARNER_MODEL_TORCH_H_
#define DURE_LEARNER_MODEL_TORCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/architecture.h"

namespace dure {

// How many threads LibTorch uses within one operation, in the whole process. Call it first.
void SetTorchThreads(int threads);
// "1.13.1".
std::string TorchVersion();

class TorchModel {
 public:
  explicit TorchModel(Architecture architecture);
  ~TorchModel();
  TorchModel(TorchModel&&) noexcept;
  TorchModel& operator=(TorchModel&&) noexcept;

  const Architecture& architecture() const;

  // Copies `params`: manifest order, size dim() (DURE_CHECK).
  void SetParams(std::span<const float> params);

  // Logits of `count` records, each input().size() floats in [0, 1]: count * classes floats.
  absl::StatusOr<std::vector<float>> Logits(std::span<const float> records, uint64_t count) const;

  // Minus the gradient of one record's cross-entropy, by autograd, in the manifest's order.
  absl::StatusOr<std::vector<float>> Direction(std::span<const float> record, uint32_t label) const;

  // A self-contained TorchScript module: forward(x) takes [N, shape...] floats in [0, 1] and gives
  // [N, classes] logits. `metadata` travels as extra files of the archive.
  absl::Status SaveTorchScript(const std::string& path,
                               const std::map<std::string, std::string>& metadata) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A TorchScript file, ours or another's that maps a batch of pictures to logits.
class ScriptModel {
 public:
  // `metadata_keys` are the extra files to look for. InvalidArgument if LibTorch cannot read it.
  static absl::StatusOr<ScriptModel> Load(const std::string& path,
                                          const std::vector<std::string>& metadata_keys);
  ~ScriptModel();
  ScriptModel(ScriptModel&&) noexcept;
  ScriptModel& operator=(ScriptModel&&) noexcept;

  // Only keys that were found.
  const std::map<std::string, std::string>& metadata() const;

  // Logits of `count` records of `shape`: count * classes floats. InvalidArgument if the module
  // does not take them, or gives something else than a row of numbers a record.
  absl::StatusOr<std::vector<float>> Logits(std::span<const float> records, uint64_t count,
                                            const std::vector<uint32_t>& shape);

 private:
  struct State;
  explicit ScriptModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dure

#endif  // DURE_LEARNER_MODEL_TORCH_H_
