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

constexpr uint32_t kSmallestCnnSide = 14;

absl::StatusOr<ParamManifest> Cnn(const ModelSection& model, uint64_t classes) {
  const auto& shape = model.input().shape();
  if (shape.size() != 3) {
    return absl::FailedPreconditionError(
        absl::StrCat(ShapeText(model), "; the architecture cnn needs [channels, height, width]"));
  }
  const uint64_t height = CnnSide(shape[1]), width = CnnSide(shape[2]);
  if (height < 1 || width < 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        ShapeText(model), "; after its convolutions the architecture cnn would have ", height, "x",
        width, " left: it needs pictures of at least ", kSmallestCnnSide, "x", kSmallestCnnSide,
        "; choose mlp or logistic_regression, or enlarge the pictures"));
  }
  ParamManifest manifest;
  AddLayer("conv1", {16, shape[0], 8, 8}, &manifest);
  AddLayer("conv2", {32, 16, 4, 4}, &manifest);
  AddLayer("fc1", {32, 32 * height * width}, &manifest);
  AddLayer("fc2", {classes, 32}, &manifest);
  return manifest;
}

absl::StatusOr<ParamManifest> Layers(const ModelSection& model, uint64_t inputs, uint64_t classes) {
  ParamManifest manifest;
  switch (model.architecture()) {
    case ModelSection::CNN:
      return Cnn(model, classes);
    case ModelSection::MLP:
      AddLayer("fc1", {200, inputs}, &manifest);
      AddLayer("fc2", {200, 200}, &manifest);
      AddLayer("fc3", {classes, 200}, &manifest);
      return manifest;
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

absl::StatusOr<ParamManifest> BuiltInManifest(const ModelSection& model) {
  const uint64_t classes = model.input().classes();
  if (classes < 2 || classes > kMaxClasses) {
    return absl::FailedPreconditionError(
        absl::StrCat("model.input.classes is ", classes, "; it must be 2 to ", kMaxClasses));
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
