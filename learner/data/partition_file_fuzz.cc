// A file that says whose each record is may hold anything: it is read or refused, and what is read
// can be split.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "learner/data/partition.h"

// The first byte: how many records there are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto owners = dure::OwnersFromText(text, "fuzz", data[0]);
  if (!owners.ok()) return 0;
  DURE_CHECK(owners->size() == data[0]);
  const std::vector<float> labels(owners->size());
  const auto partition = dure::SplitRecords({.labels = labels,
                                             .spec = dure::FilePartition{"fuzz"},
                                             .most_clients = dure::kMaxSimulatedClients,
                                             .owners = *owners});
  if (!partition.ok()) return 0;
  DURE_CHECK(partition->records() == owners->size());
  for (uint32_t client = 0; client < partition->clients(); ++client) {
    DURE_CHECK(!partition->Of(client).empty());
    for (const uint32_t record : partition->Of(client)) DURE_CHECK((*owners)[record] == client);
  }
  return 0;
}
