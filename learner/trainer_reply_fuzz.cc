// Any bytes from a hostile trainer: an answer that fits, or an error, never a fault.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "learner/trainer_channel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const dure::ParamManifest manifest{.params = {{"fc.weight", {2, 3}}, {"fc.bias", {2}}}};
  auto loaded = dure::ParseLoadedReply(bytes, manifest, 2);
  if (loaded.ok()) {
    if (loaded->data.label_counts.size() != 2 || loaded->data.records == 0) std::abort();
    if (loaded->sandbox.size() > dure::kMaxSandboxLayers) std::abort();
  }
  (void)dure::ParseTrainedReply(bytes, 3);
  auto evaluated = dure::ParseEvaluatedReply(bytes, 3);
  if (evaluated.ok() && !(evaluated->accuracy() >= 0 && evaluated->accuracy() <= 1)) std::abort();
  return 0;
}
