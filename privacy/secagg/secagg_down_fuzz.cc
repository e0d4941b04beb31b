// Bytes -> DownMessage -> Client, in every phase. The first byte chooses the phase, the rest is the
// message; the session id is put right. Nothing but the coordinator's own message may be answered.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 3;
constexpr int kPhases = 4;  // waits for Roster, U2, U3, the quorum

// A member that waits for one kind of message.
struct Waiting {
  CohortForTest cohort{kMembers, 4, 20};
  SessionRunForTest run{cohort};
  bool answered = false;

  explicit Waiting(int phase) {
    if (phase == 0) {
      run.Start();
      return;
    }
    run.AnswersTo(run.RunTo(static_cast<Phase>(phase)));
  }
};

void Try(const uint8_t* data, size_t size) {
  static auto* const waiting = new std::vector<std::unique_ptr<Waiting>>(kPhases);
  DownMessage message;
  if (size == 0 || size > 65536 || !message.ParseFromArray(data + 1, static_cast<int>(size - 1))) {
    return;
  }
  std::unique_ptr<Waiting>& at = (*waiting)[data[0] % kPhases];
  if (at == nullptr || at->answered || !at->run.client(0).ended().ok()) {
    at = std::make_unique<Waiting>(data[0] % kPhases);
  }
  message.set_session_id(ToString(at->cohort.session_id));
  at->answered = at->run.client(0).Receive(message).ok();
}

}  // namespace
}  // namespace dure::secagg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::secagg::Try(data, size);
  return 0;
}
