// Bytes -> what a coordinator with its own key, and the keys of the members that collude with it,
// shows each honest member of one session. The first byte chooses the cohort, the others are its
// choices. Whatever it does, honest members let it open at most one sum of enough of them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "privacy/secagg/hostile_coordinator_for_test.h"

namespace dure::secagg {
namespace {

struct Setting {
  uint32_t members;
  uint32_t max_corrupt;
  uint32_t colluding;
};
constexpr Setting kSettings[] = {{5, 1, 1}, {6, 1, 1}, {7, 2, 2}, {8, 1, 0}};

void Try(ByteView bytes) {
  static auto* const cohorts = new std::map<uint8_t, std::unique_ptr<CohortForTest>>;
  if (bytes.empty() || bytes.size() > 4096) return;
  const uint8_t which = bytes[0] % std::size(kSettings);
  const Setting& setting = kSettings[which];
  std::unique_ptr<CohortForTest>& cohort = (*cohorts)[which];
  if (cohort == nullptr) {
    cohort = std::make_unique<CohortForTest>(setting.members, 2, 20);
    cohort->config.set_max_corrupt(setting.max_corrupt);
  }
  BytesChoices choices(bytes.subspan(1));
  HostileCoordinator coordinator(*cohort, setting.colluding, &choices);
  coordinator.Run();
  const std::string wrong = coordinator.Judge();
  if (wrong.empty()) return;
  std::fprintf(stderr, "%s\n", wrong.c_str());
  std::abort();
}

}  // namespace
}  // namespace dure::secagg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::secagg::Try({data, size});
  return 0;
}
