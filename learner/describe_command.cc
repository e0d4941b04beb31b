// `dure model list` and `dure model describe`.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "learner/model_commands.h"

namespace dure {
namespace {

using Json = nlohmann::ordered_json;

void PrintJson(const Json& object, std::ostream& out) {
  out << object.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

// What is told of a model, of whatever kind.
struct Description {
  std::string name;
  std::vector<uint32_t> shape;  // empty: the file does not say
  uint32_t classes = 0;
  ParamManifest travels;
  std::vector<std::string> layers;
  std::map<std::string, std::string> metadata;
  uint64_t activations = 0;            // numbers between the layers for one record; 0: not known
  std::optional<ModuleReport> module;  // of a TorchScript file
  std::string sha256;
};

std::string ShapeText(const ParamEntry& param) {
  return absl::StrCat(param.name, " [", absl::StrJoin(param.shape, ", "), "]");
}

std::string Bytes(uint64_t bytes) {
  if (bytes < 10'000) return absl::StrCat(bytes, " bytes");
  if (bytes < 10'000'000) return absl::StrFormat("%.1f kB", static_cast<double>(bytes) / 1e3);
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

uint64_t ActivationsOf(const Architecture& architecture) {
  uint64_t sum = 0;
  for (const Extent& extent : architecture.extents) sum += extent.size();
  if (architecture.name == "gru" || architecture.name == "lstm") {
    const RecurrentSizes& sizes = architecture.recurrent;
    const uint64_t gates = architecture.name == "gru" ? 3 : 4;
    // Of each token: what is embedded, the gates and states of each layer, and the outputs.
    return architecture.input().size() *
           (sizes.embedding + uint64_t{2} * (gates + 2) * sizes.units * sizes.layers +
            2 * uint64_t{architecture.classes});
  }
  if (architecture.name == "resnet18") {
    const Extent& in = architecture.input();
    const bool small = std::min(in.height, in.width) < kSmallStemBelow;
    const uint64_t area = uint64_t{in.height} * in.width / (small ? 1 : 16);
    // Of each stage 4 convolutions, 4 normalisations and 4 ReLU; each stage has half the numbers
    // of the one before it.
    return in.size() + 64 * area * 13 * 15 / 8;
  }
  return sum;
}

// Bytes that a trainer holds beyond LibTorch itself: the parameters as they came, as they are used,
// their direction, the update of 8 bytes each, and in each thread a direction more.
uint64_t TrainingBytes(const Description& about) {
  const uint64_t dim = about.travels.dim();
  return (4 + 8 + 8 + 8 + 8 + 4 * 3) * dim + 2 * 4 * about.activations +
         (about.module ? 2 * about.module->bytes : 0);
}

absl::StatusOr<Description> DescribeFile(const std::string& file) {
  DURE_ASSIGN_OR_RETURN(const std::string bytes, BlameFile(ReadFile(file, kMaxModelFileBytes)));
  if (bytes.substr(0, 4) == "PK\x03\x04") {
    DURE_ASSIGN_OR_RETURN(const ModuleFile module, BlameFile(ReadModuleFile(file)));
    DURE_ASSIGN_OR_RETURN(ModuleReport report, BlameFile(InspectModule(module, file)));
    Description about{.name = "torchscript", .travels = report.trained, .sha256 = module.sha256};
    about.module = std::move(report);
    return about;
  }
  DURE_ASSIGN_OR_RETURN(ModelFile model, BlameFile(DecodeSafetensors(bytes, file)));
  DURE_ASSIGN_OR_RETURN(const Architecture architecture, BlameFile(ArchitectureOf(model, file)));
  return Description{.name = architecture.name,
                     .shape = architecture.shape,
                     .classes = architecture.classes,
                     .travels = std::move(model.manifest),
                     .layers = DescribeLayers(architecture),
                     .metadata = std::move(model.metadata),
                     .activations = ActivationsOf(architecture)};
}

absl::StatusOr<Description> Describe(const DescribeCommand& command) {
  if (!FileIsMissing(command.model)) return DescribeFile(command.model);
  const bool text = command.model == "gru" || command.model == "lstm";
  const std::vector<uint32_t> shape = !command.shape.empty() ? command.shape
                                      : text                 ? std::vector<uint32_t>{80}
                                                             : std::vector<uint32_t>{1, 28, 28};
  const uint32_t classes = command.classes != 0 ? command.classes : text ? 256 : 10;
  absl::StatusOr<Architecture> architecture = MakeArchitecture(command.model, shape, classes);
  if (!architecture.ok()) return absl::InvalidArgumentError(architecture.status().message());
  return Description{.name = architecture->name,
                     .shape = architecture->shape,
                     .classes = architecture->classes,
                     .travels = ManifestOf(*architecture),
                     .layers = DescribeLayers(*architecture),
                     .activations = ActivationsOf(*architecture)};
}

Json ToJson(const ParamManifest& manifest) {
  Json list = Json::array();
  for (const ParamEntry& param : manifest.params) {
    list.push_back({{"name", param.name}, {"shape", param.shape}});
  }
  return list;
}

struct Traffic {
  uint64_t down = 0, up = 0;
  std::string how;  // how `up` was counted
};

void PrintText(const Description& about, const Traffic& traffic, std::ostream& out) {
  out << about.name << ": ";
  if (!about.shape.empty()) {
    out << "records of " << absl::StrJoin(about.shape, " x ") << ", " << about.classes
        << (about.classes == 1 ? " number, " : " classes, ");
  }
  out << about.travels.dim() << " parameters\n";
  for (const std::string& layer : about.layers) out << "  " << layer << "\n";
  if (about.module) {
    out << "  SHA-256 " << about.sha256 << "\n  trained, and travels:\n";
  }
  for (const ParamEntry& param : about.travels.params) out << "  " << ShapeText(param) << "\n";
  if (about.module) {
    out << "  stays as it is in the file: " << about.module->frozen.dim()
        << " numbers that require no gradient, " << about.module->buffers.dim() << " in buffers\n";
    for (const ParamEntry& param : about.module->frozen.params) {
      out << "  " << ShapeText(param) << "\n";
    }
    for (const ParamEntry& param : about.module->buffers.params) {
      out << "  " << ShapeText(param) << ", a buffer\n";
    }
    for (const std::string& name : about.module->batch_norms) {
      out << "  " << name << ": batch normalisation, which no federation takes that protects "
          << "records or members\n";
    }
  }
  for (const auto& [key, value] : about.metadata) out << "  " << key << " = " << value << "\n";
  out << "a round: " << Bytes(traffic.down) << " down, " << Bytes(traffic.up) << " up ("
      << traffic.how << ")\nmemory for training: about " << Bytes(TrainingBytes(about))
      << " on one thread, beside the data and the 200 MB of LibTorch\n";
}

}  // namespace

absl::Status RunList(const ListCommand&, bool json, std::ostream& out) {
  std::vector<ArchitectureInfo> all = BuiltInArchitectures();
  all.push_back(
      {"torchscript", "a module of your own from PyTorch: model.torchscript = \"FILE.pt\""});
  for (const ArchitectureInfo& info : all) {
    if (json) {
      PrintJson({{"name", info.name}, {"summary", info.summary}}, out);
    } else {
      out << absl::StrFormat("%-20s %s\n", info.name, info.summary);
    }
  }
  return absl::OkStatus();
}

absl::Status RunDescribe(const DescribeCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(const Description about, Describe(command));
  const uint64_t dim = about.travels.dim();
  Traffic traffic{.down = 4 * dim, .up = 4 * dim, .how = "4 bytes a parameter"};
  if (command.ring_bits > 0) {
    traffic.up = (dim * command.ring_bits + 7) / 8;
    traffic.how = absl::StrCat(command.ring_bits, " bits a parameter under secure aggregation");
  }
  if (!json) {
    PrintText(about, traffic, out);
    return absl::OkStatus();
  }
  Json object = {{"architecture", about.name},
                 {"input_shape", about.shape},
                 {"classes", about.classes},
                 {"parameters", dim},
                 {"layers", about.layers},
                 {"tensors", ToJson(about.travels)},
                 {"bytes_down", traffic.down},
                 {"bytes_up", traffic.up},
                 {"training_bytes", TrainingBytes(about)},
                 {"metadata", about.metadata}};
  if (about.module) {
    object["sha256"] = about.sha256;
    object["frozen"] = ToJson(about.module->frozen);
    object["buffers"] = ToJson(about.module->buffers);
    object["batch_norms"] = about.module->batch_norms;
  }
  PrintJson(object, out);
  return absl::OkStatus();
}

}  // namespace dure
