// Bytes -> UpMessage -> Server, in every phase, and -> PlainServer. The first byte chooses phase
// and sender, the rest is the message; the session id is put right, so that the bytes decide
// everything else.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "privacy/secagg/plain.h"
#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 3;
constexpr int kPhases = 5;

// A coordinator that waits for one kind of message.
struct Waiting {
  CohortForTest cohort{kMembers, 4, 20};
  SessionRunForTest run{cohort};

  explicit Waiting(Phase phase) {
    if (phase != Phase::kAdvertise) run.RunTo(phase);
  }
  // Whether a message changed something, so that the next input needs a fresh one.
  bool changed() const { return run.server.answered() > 0 || !run.server.faults().empty(); }
};

// A session without secure aggregation takes an input of the right size and nothing else.
void TryPlain(const UpMessage& message) {
  static auto* const key = new SigningKey([] {
    AesCtrRandom random = SeededRandom(1);
    return SigningKey::Generate(random);
  }());
  Server::Params params;
  params.config = ConfigForTest(1, 4, 20);
  params.config.set_graph_rule(kGraphRuleNone);
  params.config.set_minimum_sum(1);
  params.config.set_minimum_roster(1);
  params.key = key;
  params.expected = {MemberId{}};
  absl::StatusOr<PlainServer> server = PlainServer::Create(params);
  DURE_CHECK(server.ok());
  UpMessage copy = message;
  copy.set_session_id(ToString(params.session_id));
  const auto accepted = server->Receive(MemberId{}, std::move(copy));
  DURE_CHECK(accepted.ok() == (server->summed() == 1));
  if (accepted.ok()) DURE_CHECK((*accepted)->packed.size() == PackedBytes(4, 20));
}

void Try(const uint8_t* data, size_t size) {
  static auto* const waiting = new std::vector<std::unique_ptr<Waiting>>(kPhases);
  UpMessage message;
  if (size == 0 || size > 65536 || !message.ParseFromArray(data + 1, static_cast<int>(size - 1))) {
    return;
  }
  TryPlain(message);
  std::unique_ptr<Waiting>& at = (*waiting)[data[0] % kPhases];
  if (at == nullptr || at->changed()) {
    at = std::make_unique<Waiting>(static_cast<Phase>(data[0] % kPhases));
  }
  message.set_session_id(ToString(at->cohort.session_id));
  const absl::Status status =
      at->run.server.Receive(at->run.id(data[0] / kPhases % kMembers), std::move(message)).status();
  DURE_CHECK(at->run.server.phase() == static_cast<Phase>(data[0] % kPhases));
  DURE_CHECK(status.ok() || at->run.server.answered() == 0);
}

}  // namespace
}  // namespace dure::secagg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::secagg::Try(data, size);
  return 0;
}
