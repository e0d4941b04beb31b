#include "learner/architecture.h"

#include <optional>

#include "absl/status/status.h"
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

std::vector<Layer> MlpLayers(uint32_t classes) {
  return {LinearLayer{.name = "fc1", .out = 200}, ReluLayer{},
          LinearLayer{.name = "fc2", .out = 200}, ReluLayer{},
          LinearLayer{.name = "fc3", .out = classes}};
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

absl::Status Misfit(const Architecture& architecture, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("model \"", architecture.name, "\" does not take records of shape ",
                   absl::StrJoin(architecture.shape, " x "), ": ", why));
}

absl::Status FillExtents(Architecture* architecture) {
  const bool pictures = architecture->name == "cnn";
  const std::vector<uint32_t>& shape = architecture->shape;
  uint64_t size = 1;
  for (uint32_t dim : shape) {
    if (dim == 0 || __builtin_mul_overflow(size, dim, &size) || size > kMaxRecordSize) {
      return Misfit(*architecture,
                    absl::StrCat("each size at least 1, their product at most ", kMaxRecordSize));
    }
  }
  if (pictures && shape.size() != 3) {
    return Misfit(*architecture, "it needs [channels, height, width]");
  }
  Extent extent = pictures ? Extent{shape[0], shape[1], shape[2]}
                           : Extent{.channels = static_cast<uint32_t>(size)};
  architecture->extents = {extent};
  for (const Layer& layer : architecture->layers) {
    std::optional<Extent> next = After(layer, extent);
    if (!next) {
      return Misfit(*architecture, absl::StrCat("pictures of ", extent.height, " x ", extent.width,
                                                " are too small for ", DescribeLayer(layer)));
    }
    extent = *next;
    architecture->extents.push_back(extent);
  }
  const uint64_t dim = ManifestOf(*architecture).dim();
  if (dim > kMaxModelParams) {
    return Misfit(*architecture, absl::StrCat(dim, " parameters, limit ", kMaxModelParams));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<ArchitectureInfo> BuiltInArchitectures() {
  return {{"cnn", "two convolutions with tanh and max-pooling; pictures of 14 x 14 and more"},
          {"mlp", "two hidden layers of 200 with ReLU; any record"},
          {"logistic_regression", "one linear layer; any record"}};
}

absl::StatusOr<Architecture> MakeArchitecture(const std::string& name,
                                              const std::vector<uint32_t>& shape,
                                              uint32_t classes) {
  Architecture architecture{.name = name, .shape = shape, .classes = classes};
  if (name == "cnn") {
    architecture.layers = CnnLayers(classes);
  } else if (name == "mlp") {
    architecture.layers = MlpLayers(classes);
  } else if (name == "logistic_regression") {
    architecture.layers = {LinearLayer{.name = "fc", .out = classes}};
  } else {
    std::vector<std::string> names;
    for (const ArchitectureInfo& info : BuiltInArchitectures()) names.push_back(info.name);
    return absl::InvalidArgumentError(NoSuchWord("built-in model", name, names));
  }
  if (shape.empty() || shape.size() > kMaxRecordRank) {
    return absl::InvalidArgumentError(absl::StrCat("a record's shape has 1 to ", kMaxRecordRank,
                                                   " sizes, this one has ", shape.size()));
  }
  if (classes < 2 || classes > kMaxClasses) {
    return absl::InvalidArgumentError(absl::StrCat(classes, " classes (2 to ", kMaxClasses, ")"));
  }
  DURE_RETURN_IF_ERROR(FillExtents(&architecture));
  return architecture;
}

absl::StatusOr<Architecture> MakeArchitecture(const ModelSection& model) {
  const std::vector<uint32_t> shape(model.input().shape().begin(), model.input().shape().end());
  std::string name;
  switch (model.architecture()) {
    case ModelSection::CNN:
      name = "cnn";
      break;
    case ModelSection::MLP:
      name = "mlp";
      break;
    case ModelSection::LOGISTIC_REGRESSION:
      name = "logistic_regression";
      break;
    default:
      break;
  }
  return MakeArchitecture(name, shape, model.input().classes());
}

ParamManifest ManifestOf(const Architecture& architecture) {
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
