// A model file that says itself what it is: safetensors with metadata, or TorchScript with the same
// metadata as extra files. What is needed to run it, and to write it in another format.
//
// Keys: dure.architecture ("cnn"), dure.input ("1,28,28"), dure.classes ("10"); where they are not
// what they usually are dure.loss, dure.hidden, dure.embedding, dure.units and dure.layers; for a
// TorchScript module dure.torchscript_sha256, the file that its parameters belong to. Others are
// passed on as they are; the model card (learner/model_card.h) knows dure.federation, dure.purpose,
// dure.license, dure.rounds, dure.best_of_rounds, dure.evaluation_loss, dure.privacy_unit,
// dure.mode, dure.schema, dure.secure_aggregation, dure.epsilon and dure.delta. Not thread-safe.
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
#include "learner/first_model.h"
#include "learner/model_torch.h"

namespace dure {

inline constexpr uint64_t kMaxModelFileBytes = uint64_t{4} << 30;

// What the metadata of `model` says it is, with its parameters checked against it.
// InvalidArgument, naming `file`, if keys are missing or do not fit the parameters.
absl::StatusOr<Architecture> ArchitectureOf(const ModelFile& model, const std::string& file);

// Reads and decodes a safetensors file.
absl::StatusOr<ModelFile> ReadModelFile(const std::string& file);

enum class ModelFormat { kSafetensors, kTorchScript, kHuggingFace };

// Writes `model` to `out`: a file, or for kHuggingFace a folder with model.safetensors, config.json
// and README.md, a model card. `file` is where it was read from, for messages. `module` is the
// TorchScript file of a model that is one, of which kTorchScript makes a copy with the parameters
// of `model` in their places.
absl::Status ExportModel(const ModelFile& model, const std::string& file, ModelFormat format,
                         const std::string& module, const std::string& out);

// A TorchScript file as it is, with its digest in hexadecimal. Not parsed.
struct ModuleFile {
  std::string bytes;
  std::string sha256;
};
absl::StatusOr<ModuleFile> ReadModuleFile(const std::string& file);

// What is in a TorchScript file, found out behind a sandbox (learner/confined.h).
struct ModuleReport {
  ParamManifest trained, frozen, buffers;
  uint64_t bytes = 0;
  std::vector<std::string> batch_norms;  // learner/script_torch.h
  std::vector<float> params;             // the trained ones
};
absl::StatusOr<ModuleReport> InspectModule(const ModuleFile& module, const std::string& file);

// A model that can be run: a built-in one here, a TorchScript module behind a sandbox.
class RunnableModel {
 public:
  static absl::StatusOr<RunnableModel> Load(const std::string& file);

  // Shape of one record, if the file says.
  const std::vector<uint32_t>& shape() const { return shape_; }
  Loss loss() const { return loss_; }
  // By which a raw table becomes its features (dure.schema); "" if the file does not say.
  const std::string& schema() const { return schema_; }
  // Whether its tokens are words of a vocabulary (dure.tokens).
  bool of_words() const { return of_words_; }
  // What it gives for `count` records of `shape`, computed a few hundred at a time: `count` rows of
  // equal length. Calls are dear for TorchScript: better one for all records.
  absl::StatusOr<std::vector<float>> Logits(FeatureView records, uint64_t count,
                                            const std::vector<uint32_t>& shape);

 private:
  using Model = std::variant<TorchModel, ModuleFile>;
  RunnableModel(Model model, std::string file, std::vector<uint32_t> shape, Loss loss);

  Model model_;
  std::string file_;
  std::vector<uint32_t> shape_;
  Loss loss_;
  std::string schema_;
  bool of_words_ = false;
};

// Probabilities from logits.
std::vector<double> Softmax(std::span<const float> logits);

}  // namespace dure

#endif  // DURE_LEARNER_RELEASED_MODEL_H_
