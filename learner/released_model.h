// A model file that says itself what it is: safetensors with metadata, or TorchScript with the same
// metadata as extra files. What is needed to run it, and to write it in another format.
//
// Keys: dure.architecture ("cnn"), dure.input ("1,28,28"), dure.classes ("10"). Others are passed
// on as they are; the model card (learner/model_card.h) knows dure.federation, dure.purpose,
// dure.license, dure.rounds, dure.privacy_unit, dure.mode, dure.secure_aggregation, dure.epsilon
// and dure.delta. Not thread-safe.
#ifndef DURE_LEARNER_RELEASED_MODEL_H_
#define DURE_LEARNER_RELEASED_MODEL_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "federation/model_file.h"
#include "learner/architecture.h"
#include "learner/data/dataset.h"
#include "learner/model_torch.h"

namespace dure {

inline constexpr uint64_t kMaxModelFileBytes = uint64_t{4} << 30;

// The three keys above for `architecture`.
std::map<std::string, std::string> ArchitectureMetadata(const Architecture& architecture);

// What the metadata of `model` says it is, with its parameters checked against it.
// InvalidArgument, naming `file`, if keys are missing or do not fit the parameters.
absl::StatusOr<Architecture> ArchitectureOf(const ModelFile& model, const std::string& file);

// Reads and decodes a safetensors file.
absl::StatusOr<ModelFile> ReadModelFile(const std::string& file);

enum class ModelFormat { kSafetensors, kTorchScript, kHuggingFace };

// Writes `model` to `out`: a file, or for kHuggingFace a folder with model.safetensors, config.json
// and README.md, a model card. `file` is where it was read from, for messages.
absl::Status ExportModel(const ModelFile& model, const std::string& file, ModelFormat format,
                         const std::string& out);

// A model that can be run, of either kind.
class RunnableModel {
 public:
  static absl::StatusOr<RunnableModel> Load(const std::string& file);

  // Shape of one record, if the file says.
  const std::vector<uint32_t>& shape() const { return shape_; }
  // Logits of `count` records of `shape`, features from 0 to 255: count rows of equal length.
  absl::StatusOr<std::vector<float>> Logits(FeatureView records, uint64_t count,
                                            const std::vector<uint32_t>& shape);

 private:
  using Model = std::variant<TorchModel, ScriptModel>;
  RunnableModel(Model model, std::vector<uint32_t> shape);

  Model model_;
  std::vector<uint32_t> shape_;
};

// Probabilities from logits.
std::vector<double> Softmax(std::span<const float> logits);

}  // namespace dure

#endif  // DURE_LEARNER_RELEASED_MODEL_H_
