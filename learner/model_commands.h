// What `dure model` does, without the parsing of its command line. Each writes its results to `out`
// (as JSON, one object a line, if `json`) and returns what went wrong. Not thread-safe.
#ifndef DURE_LEARNER_MODEL_COMMANDS_H_
#define DURE_LEARNER_MODEL_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "federation/model_file.h"
#include "learner/data/dataset.h"
#include "learner/released_model.h"

namespace dure {

struct InitCommand {
  std::string federation;        // a federation file
  std::string out;               // the safetensors file to write
  std::optional<uint64_t> seed;  // instead of model.seed
};
// AlreadyExists if `out` is there.
absl::Status RunInit(const InitCommand& command, bool json, std::ostream& out);

// The model that a federation begins with: initial weights of `seed`, or the parameters of a
// TorchScript module beside the federation file at `federation`.
absl::StatusOr<ModelFile> FirstModel(const FederationSpec& spec, const std::string& federation,
                                     uint64_t seed);

struct ExportCommand {
  std::string model;
  std::string out;
  ModelFormat format = ModelFormat::kSafetensors;
  std::string module;                 // the TorchScript file of a model that is one
  std::vector<std::string> metadata;  // KEY=VALUE, added or replaced
};
absl::Status RunExport(const ExportCommand& command, bool json, std::ostream& out);

struct PredictCommand {
  std::string model;
  std::vector<std::string> inputs;  // IDX files of pictures, PNG and JPEG files
  std::string labels;               // an IDX file of labels for the only input; or nothing
  std::string classes;              // a file with a class's name a line; or nothing
  uint64_t index = 0;               // first record of an IDX file
  uint64_t count = 1;               // how many, from there
};
absl::Status RunPredict(const PredictCommand& command, bool json, std::ostream& out);

struct EvaluateCommand {
  std::string model;
  std::string folder;
  DataPart part = DataPart::kTraining;
  std::string vocabulary;  // file of the words of a model of words
};
absl::Status RunEvaluate(const EvaluateCommand& command, bool json, std::ostream& out);

struct ListCommand {};
absl::Status RunList(const ListCommand& command, bool json, std::ostream& out);

struct DescribeCommand {
  std::string model;            // a built-in architecture, a safetensors file or a TorchScript file
  std::vector<uint32_t> shape;  // of a built-in one; empty: [1, 28, 28], or [80] for texts
  uint32_t classes = 0;         // of a built-in one; 0: 10, or 256 for texts
  uint32_t ring_bits = 0;       // of a federation's secure aggregation; 0: bytes of float32
};
absl::Status RunDescribe(const DescribeCommand& command, bool json, std::ostream& out);

}  // namespace dure

#endif  // DURE_LEARNER_MODEL_COMMANDS_H_
