// A model file may come from anybody. Whatever is read must be written and read back to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "federation/model_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<dure::ModelFile> model = dure::DecodeSafetensors(bytes, "fuzz");
  if (!model.ok()) return 0;
  absl::StatusOr<dure::ModelFile> again =
      dure::DecodeSafetensors(dure::EncodeSafetensors(*model), "again");
  DURE_CHECK(again.ok());
  DURE_CHECK(again->manifest == model->manifest && again->metadata == model->metadata);
  DURE_CHECK(dure::ParamsToBytes(again->params) == dure::ParamsToBytes(model->params));
  return 0;
}
