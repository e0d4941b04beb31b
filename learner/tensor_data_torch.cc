#include "learner/tensor_data_torch.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/manifest.h"
#include "learner/guarded_torch.h"

namespace dure {
namespace {

// Whole numbers up to here are floats of the same value.
constexpr float kLargestWhole = 1 << 24;

struct Tensors {
  at::Tensor records;
  std::optional<at::Tensor> labels;
};

absl::Status Wrong(const std::string& name, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", why));
}

constexpr char kNeeded[] =
    "a tuple (records, labels) or a dict with \"records\" and \"labels\" (or \"x\" and \"y\") of "
    "tensors is needed";

std::string DtypeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kHalf:
      return "float16";
    case at::kLong:
      return "int64";
    case at::kInt:
      return "int32";
    case at::kByte:
      return "uint8";
    default:
      return c10::toString(tensor.scalar_type());
  }
}

std::optional<at::Tensor> Named(const c10::Dict<c10::IValue, c10::IValue>& dict,
                                std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = dict.find(c10::IValue(std::string(name)));
    if (found != dict.end() && found->value().isTensor()) return found->value().toTensor();
  }
  return std::nullopt;
}

absl::StatusOr<Tensors> Take(const c10::IValue& value, const std::string& name, bool text) {
  std::optional<at::Tensor> records, labels;
  if (value.isTuple() && value.toTuple()->elements().size() == 2) {
    const auto& elements = value.toTuple()->elements();
    if (elements[0].isTensor()) records = elements[0].toTensor();
    if (elements[1].isTensor()) labels = elements[1].toTensor();
  } else if (value.isGenericDict()) {
    records = Named(value.toGenericDict(), {"records", "x"});
    labels = Named(value.toGenericDict(), {"labels", "y"});
  } else if (value.isTensor() && text) {
    records = value.toTensor();
  }
  if (!records) {
    return Wrong(name, absl::StrCat("it holds ", value.tagKind(), " without records: ", kNeeded));
  }
  if (!labels && !text) {
    return Wrong(name, absl::StrCat("it holds records without labels: ", kNeeded));
  }
  return Tensors{*records, labels};
}

// Row-major, in memory of its own, on the processor.
absl::StatusOr<at::Tensor> Plain(const at::Tensor& tensor, const std::string& what,
                                 const std::string& name) {
  if (tensor.layout() != at::kStrided || !tensor.device().is_cpu()) {
    return Wrong(name, absl::StrCat("its ", what, " are no plain tensor: save x.cpu().to_dense()"));
  }
  return tensor.contiguous();
}

absl::Status AddRecords(const at::Tensor& records, const std::string& name, Dataset* data) {
  const auto count = static_cast<size_t>(records.numel());
  switch (records.scalar_type()) {
    case at::kByte:
      data->features.assign(records.data_ptr<uint8_t>(), records.data_ptr<uint8_t>() + count);
      return absl::OkStatus();
    case at::kFloat: {
      const float* from = records.data_ptr<float>();
      if (!std::all_of(from, from + count, [](float value) { return std::isfinite(value); })) {
        return Wrong(name, "a number of its records is not finite");
      }
      data->numbers.assign(from, from + count);
      return absl::OkStatus();
    }
    case at::kLong: {
      const int64_t* from = records.data_ptr<int64_t>();
      for (size_t i = 0; i < count; ++i) {
        data->numbers.push_back(static_cast<float>(from[i]));
        if (!(std::abs(data->numbers.back()) <= kLargestWhole)) {
          return Wrong(name, absl::StrCat("a number of its records is ", from[i],
                                          ", whole numbers may be up to 16777216"));
        }
      }
      return absl::OkStatus();
    }
    default:
      return Wrong(name, absl::StrCat("its records are ", DtypeOf(records),
                                      "; float32, uint8 or int64 is needed: save x.float()"));
  }
}

absl::Status AddLabels(const at::Tensor& labels, const std::string& name, Dataset* data) {
  const auto type = labels.scalar_type();
  if (type != at::kLong && type != at::kInt && type != at::kByte && type != at::kBool &&
      type != at::kFloat) {
    return Wrong(name, absl::StrCat("its labels are ", DtypeOf(labels),
                                    "; int64 is needed, or float32: save y.long() or y.float()"));
  }
  const at::Tensor floats = labels.to(at::kFloat).contiguous();
  const float* from = floats.data_ptr<float>();
  data->labels.assign(from, from + floats.numel());
  for (size_t i = 0; i < data->labels.size(); ++i) {
    if (!(std::abs(data->labels[i]) <= 1e30f)) {
      return Wrong(name, absl::StrCat("the label of record ", i, " is ", data->labels[i]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> ToDataset(const c10::IValue& value, const std::string& name, Loss loss) {
  DURE_ASSIGN_OR_RETURN(const Tensors tensors, Take(value, name, loss == ModelSection::NEXT_TOKEN));
  DURE_ASSIGN_OR_RETURN(const at::Tensor records, Plain(tensors.records, "records", name));
  if (records.dim() < 2 || records.dim() > kMaxRecordRank + 1) {
    return Wrong(name,
                 absl::StrCat("its records have the shape [", absl::StrJoin(records.sizes(), ", "),
                              "]; [records, features] or [records, channels, height, width] "
                              "is needed"));
  }
  const auto count = static_cast<uint64_t>(records.size(0));
  if (count > kMaxDatasetRecords || records.nbytes() > kMaxDatasetBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name, " holds ", count, " records in ", records.nbytes(), " bytes, limits ",
                     kMaxDatasetRecords, " and ", kMaxDatasetBytes));
  }
  Dataset data;
  for (int64_t side : records.sizes().slice(1)) {
    if (side <= 0 || side > static_cast<int64_t>(kMaxRecordSize)) {
      return Wrong(name, absl::StrCat("a record has a side of ", side));
    }
    data.shape.push_back(static_cast<uint32_t>(side));
  }
  DURE_RETURN_IF_ERROR(AddRecords(records, name, &data));
  if (!tensors.labels) {
    data.labels.assign(count, 0.0f);
    return data;
  }
  DURE_ASSIGN_OR_RETURN(const at::Tensor labels, Plain(*tensors.labels, "labels", name));
  if (static_cast<uint64_t>(labels.numel()) != count ||
      (labels.dim() > 0 ? labels.size(0) : 0) != records.size(0)) {
    return Wrong(name, absl::StrCat("it holds ", count, " records and labels of the shape [",
                                    absl::StrJoin(labels.sizes(), ", "),
                                    "]; one a record is "
                                    "needed"));
  }
  DURE_RETURN_IF_ERROR(AddLabels(labels, name, &data));
  return data;
}

}  // namespace

absl::StatusOr<Dataset> ReadTensors(const std::string& bytes, const std::string& name, Loss loss) {
  return Guarded(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat(name, " is no file of torch.save that LibTorch can read"),
      [&]() -> absl::StatusOr<Dataset> {
        return ToDataset(torch::jit::pickle_load({bytes.begin(), bytes.end()}), name, loss);
      });
}

}  // namespace dure
