#include "federation/model_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "federation/spec_fields.h"

namespace dure {

static_assert(std::endian::native == std::endian::little, "float32 bytes are copied as they are");

namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kAlignment = 8;
constexpr int kMaxJsonDepth = 3;
constexpr char kMetadataKey[] = "__metadata__";

struct Tensor {
  ParamEntry entry;
  uint64_t begin = 0, end = 0;  // bytes after the header
};

absl::Status Fault(std::string_view file, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(file), ": ", text));
}

// The header as JSON; a name that comes twice or deep nesting is a fault.
absl::StatusOr<Json> ParseHeader(std::string_view header, std::string_view file) {
  std::set<std::string> names;
  std::string fault;
  auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxJsonDepth) fault = "the header is nested too deeply";
    if (event == Json::parse_event_t::key && depth == 1 &&
        !names.insert(parsed.get<std::string>()).second) {
      fault = absl::StrCat("the header has ", Quoted(parsed.get<std::string>()), " twice");
    }
    return fault.empty();
  };
  Json json = Json::parse(header.begin(), header.end(), watch, /*allow_exceptions=*/false);
  if (!fault.empty()) return Fault(file, fault);
  if (!json.is_object() || header.front() != '{') return Fault(file, "the header is not JSON");
  return json;
}

std::optional<uint64_t> AsCount(const Json& json) {
  if (!json.is_number_unsigned()) return std::nullopt;
  return json.get<uint64_t>();
}

// One entry of the header. The size of the shape must be that of the offsets, so that neither can
// claim more than the file has.
absl::StatusOr<Tensor> ParseTensor(const std::string& name, const Json& json,
                                   std::string_view file) {
  const std::string what = absl::StrCat("tensor ", Quoted(name));
  if (name.empty() || name.size() > kMaxTensorNameBytes) {
    return Fault(file,
                 absl::StrCat(what, ": a name must have 1 to ", kMaxTensorNameBytes, " bytes"));
  }
  const bool known = json.is_object() && json.size() == 3 && json.contains("dtype") &&
                     json.contains("shape") && json.contains("data_offsets");
  if (!known) return Fault(file, absl::StrCat(what, " must have dtype, shape and data_offsets"));
  if (json["dtype"] != "F32") {
    const Json& type = json["dtype"];
    return Fault(file, absl::StrCat(what, " has dtype ",
                                    Quoted(type.is_string() ? type.get<std::string>() : "?"),
                                    "; only F32 is read"));
  }
  const Json& shape = json["shape"];
  const Json& offsets = json["data_offsets"];
  if (!shape.is_array() || shape.size() > kMaxTensorRank) {
    return Fault(file,
                 absl::StrCat(what, ": the shape must be a list of at most ", kMaxTensorRank));
  }
  Tensor tensor{.entry = {.name = name}};
  uint64_t size = 1;
  for (const Json& json_side : shape) {
    const uint64_t side = AsCount(json_side).value_or(0);
    if (side < 1 || side > kMaxModelParams / size) {
      return Fault(file,
                   absl::StrCat(what, ": the shape must have 1 to ", kMaxModelParams, " elements"));
    }
    tensor.entry.shape.push_back(side);
    size *= side;
  }
  if (!offsets.is_array() || offsets.size() != 2 || !AsCount(offsets[0]) || !AsCount(offsets[1])) {
    return Fault(file, absl::StrCat(what, ": data_offsets must be two integers"));
  }
  tensor.begin = *AsCount(offsets[0]);
  tensor.end = *AsCount(offsets[1]);
  if (tensor.end < tensor.begin || tensor.end - tensor.begin != size * sizeof(float)) {
    return Fault(file, absl::StrCat(what, " has ", size, " elements, but its offsets are ",
                                    tensor.begin, " and ", tensor.end));
  }
  return tensor;
}

absl::Status ParseMetadata(const Json& json, std::string_view file,
                           std::map<std::string, std::string>* metadata) {
  if (!json.is_object()) return Fault(file, "__metadata__ must be an object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return Fault(file, absl::StrCat("__metadata__ ", Quoted(key), " must be a text"));
    }
    (*metadata)[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

// Tensors in the order of their offsets, which must cover `data_bytes` without holes.
absl::StatusOr<ParamManifest> ToManifest(std::vector<Tensor> tensors, uint64_t data_bytes,
                                         std::string_view file) {
  std::sort(tensors.begin(), tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.begin < b.begin; });
  ParamManifest manifest;
  uint64_t end = 0;
  for (Tensor& tensor : tensors) {
    if (tensor.begin != end) {
      return Fault(file, absl::StrCat("tensor ", Quoted(tensor.entry.name), " begins at ",
                                      tensor.begin, ", but the one before it ends at ", end));
    }
    end = tensor.end;
    manifest.params.push_back(std::move(tensor.entry));
  }
  if (end != data_bytes) {
    return Fault(file, absl::StrCat("the tensors end at byte ", end, " of the data, which has ",
                                    data_bytes));
  }
  if (manifest.dim() > kMaxModelParams) {
    return Fault(file, absl::StrCat(manifest.dim(), " parameters, limit ", kMaxModelParams));
  }
  return manifest;
}

}  // namespace

std::string EncodeSafetensors(const ModelFile& model) {
  DURE_CHECK(model.params.size() == model.manifest.dim());
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!model.metadata.empty()) header[kMetadataKey] = model.metadata;
  uint64_t offset = 0;
  for (const ParamEntry& param : model.manifest.params) {
    const uint64_t end = offset + param.size() * sizeof(float);
    header[param.name] = {
        {"dtype", "F32"}, {"shape", param.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  std::string out;
  out.reserve(kLengthBytes + text.size() + offset);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    out += static_cast<char>(static_cast<uint64_t>(text.size()) >> (8 * i) & 0xFF);
  }
  return out + text + ParamsToBytes(model.params);
}

absl::StatusOr<ModelFile> DecodeSafetensors(std::string_view bytes, std::string_view file) {
  if (bytes.size() < kLengthBytes) {
    return Fault(file, absl::StrCat(bytes.size(), " bytes: too short for a safetensors file"));
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length < 2 || length > kMaxModelHeaderBytes || length > bytes.size() - kLengthBytes) {
    return Fault(file, absl::StrCat("a header of ", length, " bytes, in a file of ", bytes.size(),
                                    "; limit ", kMaxModelHeaderBytes));
  }
  const std::string_view data = bytes.substr(kLengthBytes + length);
  DURE_ASSIGN_OR_RETURN(const Json header, ParseHeader(bytes.substr(kLengthBytes, length), file));
  if (header.size() > kMaxModelTensors) {
    return Fault(file, absl::StrCat(header.size(), " tensors, limit ", kMaxModelTensors));
  }
  ModelFile model;
  std::vector<Tensor> tensors;
  for (const auto& [name, json] : header.items()) {
    if (name == kMetadataKey) {
      DURE_RETURN_IF_ERROR(ParseMetadata(json, file, &model.metadata));
      continue;
    }
    DURE_ASSIGN_OR_RETURN(Tensor tensor, ParseTensor(name, json, file));
    tensors.push_back(std::move(tensor));
  }
  DURE_ASSIGN_OR_RETURN(model.manifest, ToManifest(std::move(tensors), data.size(), file));
  absl::StatusOr<std::vector<float>> params = ParamsFromBytes(data, model.manifest.dim());
  if (!params.ok()) return Fault(file, std::string(params.status().message()));
  model.params = *std::move(params);
  return model;
}

std::string ParamsToBytes(std::span<const float> params) {
  std::string bytes(params.size_bytes(), '\0');
  if (!params.empty()) std::memcpy(bytes.data(), params.data(), params.size_bytes());
  return bytes;
}

absl::StatusOr<std::vector<float>> ParamsFromBytes(std::string_view bytes, uint64_t dim) {
  if (dim > kMaxModelParams || bytes.size() != dim * sizeof(float)) {
    return absl::InvalidArgumentError(absl::StrCat("a model of ", bytes.size(), " bytes; ", dim,
                                                   " parameters take ", dim * sizeof(float)));
  }
  std::vector<float> params(dim);
  if (dim > 0) std::memcpy(params.data(), bytes.data(), bytes.size());
  for (size_t i = 0; i < params.size(); ++i) {
    if (!std::isfinite(params[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter ", i, " of ", dim, " is not a finite number"));
    }
  }
  return params;
}

}  // namespace dure
