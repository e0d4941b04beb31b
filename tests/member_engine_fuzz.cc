// Bytes -> ServerMessage -> a member's engine, at five moments of a run. The first byte chooses the
// moment, the rest is the message; the session id is put right. A member must not crash, and sends
// nothing of the protocol that its phase does not allow.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "tests/support/world.h"

namespace dure::testing {
namespace {

constexpr size_t kMoments = 5;

// The first member has been given the first `moment` messages of an attempt.
struct Waiting {
  World world{SmallFederation(), 5};
  std::string session_id;

  explicit Waiting(size_t moment) {
    World::Node& node = world.nodes_[0];
    size_t given = 0;
    world.tamper_ = [&](World::Node& to, ServerMessage* message) {
      if (&to != &node || (!message->has_offer() && !message->has_secagg())) return;
      if (message->has_offer()) session_id = message->offer().offer().session_id();
      if (given++ >= moment) node.silent = true;
    };
    world.ConnectAll();
    while (!node.silent && world.DeliverOne()) continue;
    world.tamper_ = nullptr;
  }
};

void Try(const uint8_t* data, size_t size) {
  static auto* const waiting = new std::vector<std::unique_ptr<Waiting>>(kMoments);
  ServerMessage message;
  if (size == 0 || size > 65536 || !message.ParseFromArray(data + 1, static_cast<int>(size - 1))) {
    return;
  }
  std::unique_ptr<Waiting>& at = (*waiting)[data[0] % kMoments];
  if (at == nullptr) at = std::make_unique<Waiting>(data[0] % kMoments);
  if (message.has_secagg()) message.mutable_secagg()->set_session_id(at->session_id);
  if (message.has_attempt_ended()) message.mutable_attempt_ended()->set_session_id(at->session_id);
  std::vector<member::Output> outputs;
  at->world.nodes_[0].engine->Step(member::FromCoordinator{std::move(message)}, &outputs);
  bool changed = false;
  for (const member::Output& output : outputs) {
    if (std::holds_alternative<member::Tell>(output)) continue;
    const auto* send = std::get_if<member::Send>(&output);
    // Nothing that it was not asked for by a signature of the coordinator's.
    if (send != nullptr) DURE_CHECK(!send->message.has_secagg());
    DURE_CHECK(!std::holds_alternative<member::WriteLedger>(output));
    changed = true;
  }
  if (changed) at = nullptr;
}

}  // namespace
}  // namespace dure::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::testing::Try(data, size);
  return 0;
}
