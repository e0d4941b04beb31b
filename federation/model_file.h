// Models on disk: safetensors, the format of huggingface/safetensors (an 8-byte little-endian
// length, a JSON header, raw little-endian data). float32 only. Thread-safe.
#ifndef DURE_FEDERATION_MODEL_FILE_H_
#define DURE_FEDERATION_MODEL_FILE_H_

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/manifest.h"

namespace dure {

// Key of the metadata: the name of a model that a trainer program of one's own brings (model.own).
inline constexpr char kOwnModelKey[] = "dure.own";

struct ModelFile {
  ParamManifest manifest;
  std::vector<float> params;                    // flattened in the manifest's order, size dim()
  std::map<std::string, std::string> metadata;  // "__metadata__" of the header
};

// Bytes of a safetensors file. Tensors are laid out in the manifest's order.
std::string EncodeSafetensors(const ModelFile& model);

// Limits of what DecodeSafetensors takes.
inline constexpr uint64_t kMaxModelHeaderBytes = uint64_t{1} << 20;
inline constexpr size_t kMaxModelTensors = 10'000;
inline constexpr size_t kMaxTensorRank = 8;
inline constexpr size_t kMaxTensorNameBytes = 256;

// InvalidArgument, naming `file`, for anything that is not a complete, consistent float32 file:
// header length, JSON, names twice, dtype, shapes, tensors without elements, offsets that overlap
// or leave holes, trailing bytes, values that are not finite, anything above its limit. Tensors
// come in the order of their offsets.
absl::StatusOr<ModelFile> DecodeSafetensors(std::string_view bytes, std::string_view file);

// A flattened model as little-endian float32 bytes, and back; what is hashed as "model hash" and
// what travels. InvalidArgument if the size is not 4 * dim or a value is not finite.
std::string ParamsToBytes(std::span<const float> params);
absl::StatusOr<std::vector<float>> ParamsFromBytes(std::string_view bytes, uint64_t dim);

}  // namespace dure

#endif  // DURE_FEDERATION_MODEL_FILE_H_
