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
// Has LibTorch read what it wants to know of the machine: before a sandbox forbids it.
void WarmUpTorch();
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

  // What it gives for `count` records, each input().size() floats (of a text: its tokens):
  // count * classes floats, or for each token of a text but the last.
  absl::StatusOr<std::vector<float>> Logits(std::span<const float> records, uint64_t count) const;

  // Minus the gradient of one record's loss, by autograd, in the manifest's order.
  absl::StatusOr<std::vector<float>> Direction(std::span<const float> record, float label) const;

  // A self-contained TorchScript module: forward(x) takes [N, shape...] floats (of texts
  // [N, L] tokens) and gives [N, classes] (or [N, L, classes]). `metadata` travels as extra files of the archive.
  absl::Status SaveTorchScript(const std::string& path,
                               const std::map<std::string, std::string>& metadata) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dure

#endif  // DURE_LEARNER_MODEL_TORCH_H_
