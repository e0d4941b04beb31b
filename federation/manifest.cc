#include "federation/manifest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/spec_fields.h"

namespace dure {

namespace {

std::string ShapeText(const ModelSection& model) {
  return absl::StrCat("model.input.shape is [", absl::StrJoin(model.input().shape(), ", "), "]");
}

void AddLayer(const std::string& name, std::vector<uint64_t> weight, ParamManifest* manifest) {
  const uint64_t outputs = weight.front();
  manifest->params.push_back({name + ".weight", std::move(weight)});
  manifest->params.push_back({name + ".bias", {outputs}});
}

// The numbers of one record, at most kMaxRecordSize.
absl::StatusOr<uint64_t> InputSize(const ModelSection& model) {
  if (model.input().shape().empty()) {
    return absl::FailedPreconditionError("model.input.shape is empty");
  }
  if (model.input().shape_size() > kMaxRecordRank) {
    return absl::FailedPreconditionError(
        absl::StrCat(ShapeText(model), "; it must be 1 to ", kMaxRecordRank, " sizes"));
  }
  uint64_t size = 1;
  for (uint64_t side : model.input().shape()) {
    if (side == 0 || side > kMaxRecordSize / size) {
      return absl::FailedPreconditionError(
          absl::StrCat(ShapeText(model), "; a record must have 1 to ", kMaxRecordSize, " numbers"));
    }
    size *= side;
  }
  return size;
}

// Convolution or pooling: floor((size + 2 padding - kernel) / stride) + 1, or 0 if it does not fit.
uint64_t Slide(uint64_t size, uint64_t kernel, uint64_t stride, uint64_t padding) {
  return size + 2 * padding < kernel ? 0 : (size + 2 * padding - kernel) / stride + 1;
}

// What is left of a side after the two convolutions, each with its pooling.
uint64_t CnnSide(uint64_t side) {
  side = Slide(side, 8, 2, 3);
  side = Slide(side, 2, 1, 0);
  side = Slide(side, 4, 2, 0);
  return Slide(side, 2, 1, 0);
}

// What the two poolings of cnn_mcmahan leave.
uint64_t McMahanSide(uint64_t side) { return side / 2 / 2; }

absl::Status NeedPictures(const ModelSection& model, const char* architecture) {
  if (model.input().shape_size() == 3) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      ShapeText(model), "; the architecture ", architecture, " needs [channels, height, width]"));
}

absl::Status TooSmall(const ModelSection& model, const char* architecture, uint64_t height,
                      uint64_t width, uint32_t smallest) {
  return absl::FailedPreconditionError(absl::StrCat(
      ShapeText(model), "; after its convolutions the architecture ", architecture, " would have ",
      height, "x", width, " left: it needs pictures of at least ", smallest, "x", smallest,
      "; choose mlp or logistic_regression, or enlarge the pictures"));
}

constexpr uint32_t kSmallestCnnSide = 14;
constexpr uint32_t kSmallestMcMahanSide = 4;

absl::StatusOr<ParamManifest> Cnn(const ModelSection& model, uint64_t classes) {
  DURE_RETURN_IF_ERROR(NeedPictures(model, "cnn"));
  const auto& shape = model.input().shape();
  const uint64_t height = CnnSide(shape[1]), width = CnnSide(shape[2]);
  if (height < 1 || width < 1) return TooSmall(model, "cnn", height, width, kSmallestCnnSide);
  ParamManifest manifest;
  AddLayer("conv1", {16, shape[0], 8, 8}, &manifest);
  AddLayer("conv2", {32, 16, 4, 4}, &manifest);
  AddLayer("fc1", {32, 32 * height * width}, &manifest);
  AddLayer("fc2", {classes, 32}, &manifest);
  return manifest;
}

absl::StatusOr<ParamManifest> CnnMcMahan(const ModelSection& model, uint64_t classes) {
  DURE_RETURN_IF_ERROR(NeedPictures(model, "cnn_mcmahan"));
  const auto& shape = model.input().shape();
  const uint64_t height = McMahanSide(shape[1]), width = McMahanSide(shape[2]);
  if (height < 1 || width < 1) {
    return TooSmall(model, "cnn_mcmahan", height, width, kSmallestMcMahanSide);
  }
  ParamManifest manifest;
  AddLayer("conv1", {32, shape[0], 5, 5}, &manifest);
  AddLayer("conv2", {64, 32, 5, 5}, &manifest);
  AddLayer("fc1", {512, 64 * height * width}, &manifest);
  AddLayer("fc2", {classes, 512}, &manifest);
  return manifest;
}

ParamManifest Mlp(const ModelSection& model, uint64_t inputs, uint64_t classes) {
  ParamManifest manifest;
  size_t number = 0;
  for (uint32_t size : HiddenSizes(model)) {
    AddLayer(absl::StrCat("fc", ++number), {size, inputs}, &manifest);
    inputs = size;
  }
  AddLayer(absl::StrCat("fc", ++number), {classes, inputs}, &manifest);
  return manifest;
}

absl::StatusOr<ParamManifest> ResNet18(const ModelSection& model, uint64_t classes) {
  DURE_RETURN_IF_ERROR(NeedPictures(model, "resnet18"));
  const auto& shape = model.input().shape();
  ParamManifest manifest;
  // A convolution without bias and the normalisation after it.
  const auto add = [&](const std::string& conv, const std::string& norm, uint64_t out, uint64_t in,
                       uint64_t kernel) {
    manifest.params.push_back({conv + ".weight", {out, in, kernel, kernel}});
    manifest.params.push_back({norm + ".weight", {out}});
    manifest.params.push_back({norm + ".bias", {out}});
  };
  add("conv1", "norm1", 64, shape[0], std::min(shape[1], shape[2]) < kSmallStemBelow ? 3 : 7);
  uint64_t in = 64;
  for (uint64_t stage = 1; stage <= 4; ++stage) {
    const uint64_t width = uint64_t{32} << stage;
    for (uint64_t block = 0; block < 2; ++block) {
      const std::string name = absl::StrCat("layer", stage, "_", block, "_");
      add(name + "conv1", name + "norm1", width, in, 3);
      add(name + "conv2", name + "norm2", width, width, 3);
      if (in != width) add(name + "shortcut", name + "shortcut_norm", width, in, 1);
      in = width;
    }
  }
  AddLayer("fc", {classes, in}, &manifest);
  return manifest;
}

// `gates` blocks of rows, as LibTorch stacks them: 3 of a GRU, 4 of an LSTM.
absl::StatusOr<ParamManifest> Recurrent(const ModelSection& model, uint64_t gates,
                                        uint64_t classes) {
  if (model.input().shape_size() != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat(ShapeText(model),
                     "; a model of texts needs one size, the tokens of a record, "
                     "such as [80]"));
  }
  const RecurrentSizes sizes = SizesOfRecurrent(model);
  const uint64_t rows = gates * sizes.units;
  ParamManifest manifest;
  manifest.params.push_back({"embedding.weight", {classes, sizes.embedding}});
  for (uint32_t layer = 0; layer < sizes.layers; ++layer) {
    const std::string suffix = absl::StrCat("_l", layer);
    const uint64_t inputs = layer == 0 ? sizes.embedding : sizes.units;
    manifest.params.push_back({"rnn.weight_ih" + suffix, {rows, inputs}});
    manifest.params.push_back({"rnn.weight_hh" + suffix, {rows, sizes.units}});
    manifest.params.push_back({"rnn.bias_ih" + suffix, {rows}});
    manifest.params.push_back({"rnn.bias_hh" + suffix, {rows}});
  }
  AddLayer("fc", {classes, sizes.units}, &manifest);
  return manifest;
}

absl::StatusOr<ParamManifest> TorchScript(const ModelSection& model) {
  if (model.torchscript_parameters() == 0) {
    return absl::FailedPreconditionError(
        "model.torchscript_parameters is not set, so nobody knows how large the model is: `dure "
        "model describe FILE.pt` says how many numbers of the module are trained");
  }
  ParamManifest manifest;
  manifest.params.push_back({kOpaqueEntry, {model.torchscript_parameters()}});
  return manifest;
}

// What the parameters of a model of one's own are called, only its trainer knows.
ParamManifest OfOwn(const ModelSection& model) {
  ParamManifest manifest;
  manifest.params.push_back({kOpaqueEntry, {model.own_parameters()}});
  return manifest;
}

bool OneOutput(const ModelSection& model) {
  return model.loss() == ModelSection::MSE || model.loss() == ModelSection::BCE_WITH_LOGITS;
}

bool OfTexts(const ModelSection& model) {
  return model.architecture() == ModelSection::GRU || model.architecture() == ModelSection::LSTM ||
         model.loss() == ModelSection::NEXT_TOKEN;
}

absl::StatusOr<ParamManifest> Layers(const ModelSection& model, uint64_t inputs, uint64_t classes) {
  ParamManifest manifest;
  switch (model.architecture()) {
    case ModelSection::CNN:
      return Cnn(model, classes);
    case ModelSection::CNN_MCMAHAN:
      return CnnMcMahan(model, classes);
    case ModelSection::RESNET18:
      return ResNet18(model, classes);
    case ModelSection::GRU:
      return Recurrent(model, 3, classes);
    case ModelSection::LSTM:
      return Recurrent(model, 4, classes);
    case ModelSection::TORCHSCRIPT:
      return TorchScript(model);
    case ModelSection::OWN:
      return OfOwn(model);
    case ModelSection::MLP:
      return Mlp(model, inputs, classes);
    case ModelSection::LOGISTIC_REGRESSION:
      AddLayer("fc", {classes, inputs}, &manifest);
      return manifest;
    default:
      break;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("model.architecture is number ", static_cast<int>(model.architecture()),
                   ", which this version does not know; it must be ",
                   absl::StrJoin(ChoiceNames(*ModelSection::Architecture_descriptor()), ", ")));
}

}  // namespace

uint64_t ParamEntry::size() const {
  uint64_t size = 1;
  for (uint64_t side : shape) size *= side;
  return size;
}

uint64_t ParamManifest::dim() const {
  uint64_t dim = 0;
  for (const ParamEntry& param : params) dim += param.size();
  return dim;
}

bool FitsManifest(const ParamManifest& named, const ParamManifest& wanted) {
  if (named == wanted) return true;
  return wanted.params.size() == 1 && wanted.params[0].name == kOpaqueEntry &&
         named.dim() == wanted.dim();
}

std::vector<uint32_t> HiddenSizes(const ModelSection& model) {
  if (model.hidden().empty()) return {200, 200};
  return {model.hidden().begin(), model.hidden().end()};
}

RecurrentSizes SizesOfRecurrent(const ModelSection& model) {
  return {.embedding = model.has_embedding() ? model.embedding() : 8,
          .units = model.has_units() ? model.units() : 128,
          .layers = model.has_layers() ? model.layers() : 1};
}

absl::StatusOr<ParamManifest> BuiltInManifest(const ModelSection& model) {
  const uint64_t classes = model.input().classes();
  const uint64_t least = OneOutput(model) ? 1 : 2;
  const uint64_t most = OneOutput(model) ? 1 : OfTexts(model) ? kMaxTokens : kMaxModelClasses;
  if (classes < least || classes > most) {
    return absl::FailedPreconditionError(
        least == most ? absl::StrCat("model.input.classes is ", classes, "; with this loss it is 1")
                      : absl::StrCat("model.input.classes is ", classes, "; it must be ", least,
                                     " to ", most));
  }
  DURE_ASSIGN_OR_RETURN(const uint64_t inputs, InputSize(model));
  DURE_ASSIGN_OR_RETURN(ParamManifest manifest, Layers(model, inputs, classes));
  if (manifest.dim() > kMaxModelParams) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the model would have ", manifest.dim(), " parameters, limit ", kMaxModelParams, "; ",
        ShapeText(model), ", model.input.classes is ", classes));
  }
  return manifest;
}

}  // namespace dure
