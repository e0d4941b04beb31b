#include "learner/architecture.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/suggest.h"

namespace dure {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::vector<Layer> CnnLayers(uint32_t classes) {
  return {Conv2dLayer{.name = "conv1", .out = 16, .kernel = 8, .stride = 2, .padding = 3},
          TanhLayer{},
          MaxPoolLayer{.kernel = 2, .stride = 1},
          Conv2dLayer{.name = "conv2", .out = 32, .kernel = 4, .stride = 2, .padding = 0},
          TanhLayer{},
          MaxPoolLayer{.kernel = 2, .stride = 1},
          LinearLayer{.name = "fc1", .out = 32},
          TanhLayer{},
          LinearLayer{.name = "fc2", .out = classes}};
}

std::vector<Layer> McMahanLayers(uint32_t classes) {
  return {Conv2dLayer{.name = "conv1", .out = 32, .kernel = 5, .stride = 1, .padding = 2},
          ReluLayer{},
          MaxPoolLayer{.kernel = 2, .stride = 2},
          Conv2dLayer{.name = "conv2", .out = 64, .kernel = 5, .stride = 1, .padding = 2},
          ReluLayer{},
          MaxPoolLayer{.kernel = 2, .stride = 2},
          LinearLayer{.name = "fc1", .out = 512},
          ReluLayer{},
          LinearLayer{.name = "fc2", .out = classes}};
}

std::vector<Layer> MlpLayers(const std::vector<uint32_t>& hidden, uint32_t classes) {
  std::vector<Layer> layers;
  size_t number = 0;
  for (uint32_t size : hidden) {
    layers.emplace_back(LinearLayer{.name = absl::StrCat("fc", ++number), .out = size});
    layers.emplace_back(ReluLayer{});
  }
  layers.emplace_back(LinearLayer{.name = absl::StrCat("fc", ++number), .out = classes});
  return layers;
}

// Places of a window along one axis; nothing if it does not fit.
std::optional<uint32_t> Places(uint64_t length, uint32_t kernel, uint32_t stride) {
  if (length < kernel) return std::nullopt;
  return static_cast<uint32_t>((length - kernel) / stride + 1);
}

std::optional<Extent> Window(const Extent& in, uint32_t channels, uint32_t kernel, uint32_t stride,
                             uint32_t padding) {
  auto height = Places(uint64_t{in.height} + 2 * padding, kernel, stride);
  auto width = Places(uint64_t{in.width} + 2 * padding, kernel, stride);
  if (!height || !width) return std::nullopt;
  return Extent{channels, *height, *width};
}

std::optional<Extent> After(const Layer& layer, const Extent& in) {
  return std::visit(
      Overloaded{
          [&](const Conv2dLayer& l) { return Window(in, l.out, l.kernel, l.stride, l.padding); },
          [&](const MaxPoolLayer& l) { return Window(in, in.channels, l.kernel, l.stride, 0); },
          [&](const LinearLayer& l) { return std::optional(Extent{.channels = l.out}); },
          [&](const auto&) { return std::optional(in); }},
      layer);
}

// Whether records go in as pictures, and not as a row of numbers.
bool TakesPictures(const std::string& name) {
  return name == "cnn" || name == "cnn_mcmahan" || name == "resnet18";
}

absl::Status FillExtents(bool pictures, Architecture* architecture) {
  const std::vector<uint32_t>& shape = architecture->shape;
  uint64_t size = 1;
  for (uint32_t side : shape) size *= side;
  Extent extent = pictures ? Extent{shape[0], shape[1], shape[2]}
                           : Extent{.channels = static_cast<uint32_t>(size)};
  architecture->extents = {extent};
  for (const Layer& layer : architecture->layers) {
    std::optional<Extent> next = After(layer, extent);
    if (!next) {
      return absl::FailedPreconditionError(
          absl::StrCat("model \"", architecture->name, "\" does not take records of shape ",
                       absl::StrJoin(shape, " x "), ": pictures of ", extent.height, " x ",
                       extent.width, " are too small for ", DescribeLayer(layer)));
    }
    extent = *next;
    architecture->extents.push_back(extent);
  }
  return absl::OkStatus();
}

ParamManifest ManifestOfLayers(const Architecture& architecture) {
  ParamManifest manifest;
  for (size_t i = 0; i < architecture.layers.size(); ++i) {
    const Extent& in = architecture.extents[i];
    if (const auto* conv = std::get_if<Conv2dLayer>(&architecture.layers[i])) {
      manifest.params.push_back({absl::StrCat(conv->name, ".weight"),
                                 {conv->out, in.channels, conv->kernel, conv->kernel}});
      manifest.params.push_back({absl::StrCat(conv->name, ".bias"), {conv->out}});
    } else if (const auto* linear = std::get_if<LinearLayer>(&architecture.layers[i])) {
      manifest.params.push_back({absl::StrCat(linear->name, ".weight"), {linear->out, in.size()}});
      manifest.params.push_back({absl::StrCat(linear->name, ".bias"), {linear->out}});
    }
  }
  return manifest;
}

std::vector<Layer> LayersOf(const ModelSection& model) {
  const uint32_t classes = model.input().classes();
  switch (model.architecture()) {
    case ModelSection::CNN:
      return CnnLayers(classes);
    case ModelSection::CNN_MCMAHAN:
      return McMahanLayers(classes);
    case ModelSection::MLP:
      return MlpLayers(HiddenSizes(model), classes);
    case ModelSection::LOGISTIC_REGRESSION:
      return {LinearLayer{.name = "fc", .out = classes}};
    default:
      return {};
  }
}

Loss LossOf(const ModelSection& model) {
  if (model.has_loss()) return model.loss();
  const bool text =
      model.architecture() == ModelSection::GRU || model.architecture() == ModelSection::LSTM;
  return text ? ModelSection::NEXT_TOKEN : ModelSection::CROSS_ENTROPY;
}

std::vector<std::string> DescribeResNet18(const Architecture& architecture) {
  const Extent& in = architecture.input();
  const bool small = std::min(in.height, in.width) < kSmallStemBelow;
  const std::string norm = absl::StrCat("group normalisation in ", kNormGroups, " groups");
  std::vector<std::string> lines = {
      small ? absl::StrCat("conv 64 of 3x3, stride 1, padding 1; ", norm, "; ReLU")
            : absl::StrCat("conv 64 of 7x7, stride 2, padding 3; ", norm,
                           "; ReLU; max-pool 3x3, stride 2, padding 1")};
  for (int stage = 1; stage <= 4; ++stage) {
    lines.push_back(absl::StrCat("two residual blocks of two conv ", 32 << stage, " of 3x3 with ",
                                 norm, stage == 1 ? "" : ", the first with stride 2"));
  }
  lines.push_back("mean over the picture");
  lines.push_back(absl::StrCat("linear ", architecture.classes));
  return lines;
}

}  // namespace

std::vector<ArchitectureInfo> BuiltInArchitectures() {
  return {{"cnn", "two convolutions with tanh and max-pooling; pictures of 14 x 14 and more"},
          {"cnn_mcmahan",
           "two convolutions with ReLU (McMahan et al. 2017); pictures of 4 x 4 and "
           "more"},
          {"mlp", "hidden layers with ReLU, two of 200 unless model.hidden says else; any record"},
          {"logistic_regression", "one linear layer; any record"},
          {"resnet18", "ResNet-18 with group normalisation (He et al. 2016); pictures"},
          {"gru", "next token of a text: embedding, gated recurrent units, linear layer"},
          {"lstm", "next token of a text: embedding, long short-term memory, linear layer"}};
}

absl::StatusOr<ModelSection> SectionOf(const std::string& name, const std::vector<uint32_t>& shape,
                                       uint32_t classes) {
  std::vector<std::string> names;
  for (const ArchitectureInfo& info : BuiltInArchitectures()) names.push_back(info.name);
  const auto* value =
      ModelSection::Architecture_descriptor()->FindValueByName(absl::AsciiStrToUpper(name));
  if (value == nullptr || std::find(names.begin(), names.end(), name) == names.end()) {
    return absl::InvalidArgumentError(NoSuchWord("built-in model", name, names));
  }
  ModelSection model;
  model.set_architecture(static_cast<ModelSection::Architecture>(value->number()));
  model.mutable_input()->mutable_shape()->Add(shape.begin(), shape.end());
  model.mutable_input()->set_classes(classes);
  return model;
}

absl::StatusOr<Architecture> MakeArchitecture(const std::string& name,
                                              const std::vector<uint32_t>& shape,
                                              uint32_t classes) {
  DURE_ASSIGN_OR_RETURN(ModelSection model, SectionOf(name, shape, classes));
  return MakeArchitecture(model);
}

absl::StatusOr<Architecture> MakeArchitecture(const std::string& name,
                                              const std::vector<uint32_t>& shape, uint32_t classes,
                                              Loss loss) {
  DURE_ASSIGN_OR_RETURN(ModelSection model, SectionOf(name, shape, classes));
  model.set_loss(loss);
  return MakeArchitecture(model);
}

absl::StatusOr<Architecture> MakeArchitecture(const ModelSection& model) {
  if (model.architecture() == ModelSection::OWN) {
    return absl::FailedPreconditionError(
        absl::StrCat("model.own is \"", model.own(),
                     "\", which a trainer program of one's own brings: name that program with "
                     "--trainer"));
  }
  DURE_ASSIGN_OR_RETURN(ParamManifest manifest, BuiltInManifest(model));
  Architecture architecture{
      .name = absl::AsciiStrToLower(ModelSection::Architecture_Name(model.architecture())),
      .shape = {model.input().shape().begin(), model.input().shape().end()},
      .classes = model.input().classes(),
      .loss = LossOf(model),
      .layers = LayersOf(model),
      .recurrent = SizesOfRecurrent(model),
      .manifest = std::move(manifest)};
  DURE_RETURN_IF_ERROR(FillExtents(TakesPictures(architecture.name), &architecture));
  return architecture;
}

absl::StatusOr<Architecture> ArchitectureOfLayers(const std::string& name,
                                                  const std::vector<uint32_t>& shape,
                                                  std::vector<Layer> layers) {
  Architecture architecture{.name = name, .shape = shape, .layers = std::move(layers)};
  DURE_RETURN_IF_ERROR(FillExtents(shape.size() == 3, &architecture));
  architecture.classes = static_cast<uint32_t>(architecture.extents.back().size());
  architecture.manifest = ManifestOfLayers(architecture);
  return architecture;
}

const ParamManifest& ManifestOf(const Architecture& architecture) { return architecture.manifest; }

std::vector<std::string> DescribeLayers(const Architecture& architecture) {
  if (architecture.name == "resnet18") return DescribeResNet18(architecture);
  if (architecture.name == "gru" || architecture.name == "lstm") {
    const RecurrentSizes& sizes = architecture.recurrent;
    std::vector<std::string> lines = {
        absl::StrCat("embedding of ", architecture.classes, " tokens in ", sizes.embedding)};
    for (uint32_t i = 0; i < sizes.layers; ++i) {
      lines.push_back(absl::StrCat(architecture.name, " ", sizes.units));
    }
    lines.push_back(absl::StrCat("linear ", architecture.classes));
    return lines;
  }
  std::vector<std::string> lines;
  for (const Layer& layer : architecture.layers) lines.push_back(DescribeLayer(layer));
  return lines;
}

std::string DescribeLayer(const Layer& layer) {
  return std::visit(
      Overloaded{[](const Conv2dLayer& l) {
                   return absl::StrCat("conv ", l.out, " of ", l.kernel, "x", l.kernel, ", stride ",
                                       l.stride, ", padding ", l.padding);
                 },
                 [](const LinearLayer& l) { return absl::StrCat("linear ", l.out); },
                 [](const MaxPoolLayer& l) {
                   return absl::StrCat("max-pool ", l.kernel, "x", l.kernel, ", stride ", l.stride);
                 },
                 [](const TanhLayer&) { return std::string("tanh"); },
                 [](const ReluLayer&) { return std::string("ReLU"); }},
      layer);
}

}  // namespace dure
