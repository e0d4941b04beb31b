// Arbitrary bytes as the saved state of each server optimiser: refused, or accepted and then saved
// again as the same bytes. The checksum is repaired first, so that mutations get past it.
#include <zlib.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "aggregation/server_optimizer.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Kind = dure::ServerOptimizerKind;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  for (bool repaired : {false, true}) {
    if (repaired) {
      if (size < sizeof(uint32_t)) break;
      const size_t body = size - sizeof(uint32_t);
      const auto crc = static_cast<uint32_t>(crc32_z(0, data, body));
      std::memcpy(bytes.data() + body, &crc, sizeof(crc));
    }
    for (Kind kind : {Kind::kFedAvg, Kind::kFedAvgM, Kind::kFedAdam}) {
      constexpr size_t kDim = 3;
      auto optimizer = dure::CreateServerOptimizer(
          {.kind = kind, .learning_rate = 1, .beta1 = 0.9, .beta2 = 0.9, .tau = 0.1}, kDim);
      DURE_CHECK(optimizer.ok());
      if (!(*optimizer)->Load(bytes).ok()) continue;
      DURE_CHECK((*optimizer)->Save() == bytes);
      const std::vector<float> update(kDim, 1.0f);
      std::vector<float> model(kDim);
      DURE_CHECK((*optimizer)->Step(0, update, model).ok());
      DURE_CHECK((*optimizer)->Load((*optimizer)->Save()).ok());
    }
  }
  return 0;
}
