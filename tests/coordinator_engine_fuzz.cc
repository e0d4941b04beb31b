// Bytes -> ClientMessage -> the coordinator's engine, at five moments of a run. The first byte
// chooses the moment and the sender, the rest is the message; the session id is put right. It must
// not crash, and the run must come to its end when the one sender is left out.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "tests/support/world.h"

namespace dure::testing {
namespace {

constexpr size_t kMoments = 5;

// Members have sent `moment` messages each of an attempt, and no further one arrives.
struct Waiting {
  World world{SmallFederation(1), 5};
  std::string session_id;
  int tried = 0;

  explicit Waiting(size_t moment) {
    std::map<World::Node*, size_t> sent;
    bool stop = false;
    world.tamper_ = [&](World::Node&, ServerMessage* message) {
      if (message->has_offer()) session_id = message->offer().offer().session_id();
    };
    world.watch_ = [&](World::Node& node, const ClientMessage& message) {
      if (message.has_secagg() && sent[&node]++ >= moment) stop = node.silent = true;
    };
    world.ConnectAll();
    while (!stop && world.DeliverOne()) continue;
    world.watch_ = nullptr;
    world.tamper_ = nullptr;
  }
};

void Try(const uint8_t* data, size_t size) {
  static auto* const waiting = new std::vector<std::unique_ptr<Waiting>>(kMoments);
  ClientMessage message;
  if (size == 0 || size > 65536 || !message.ParseFromArray(data + 1, static_cast<int>(size - 1))) {
    return;
  }
  std::unique_ptr<Waiting>& at = (*waiting)[data[0] % kMoments];
  if (at == nullptr) at = std::make_unique<Waiting>(data[0] % kMoments);
  World& world = at->world;
  World::Node& sender = world.nodes_[data[0] / kMoments % 6];
  if (message.has_secagg()) message.mutable_secagg()->set_session_id(at->session_id);
  if (message.has_decline()) message.mutable_decline()->set_session_id(at->session_id);
  world.StepCoordinator(run::Said{sender.id, std::move(message)});
  // Now and then, and whenever something moved, the run goes on without the sender.
  if (world.messages_.empty() && ++at->tried < 200) return;
  for (World::Node& node : world.nodes_) node.silent = false;
  if (sender.connected) world.Disconnect(sender);
  world.Run(60);
  DURE_CHECK(world.ended_.has_value());
  at = nullptr;
}

}  // namespace
}  // namespace dure::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::testing::Try(data, size);
  return 0;
}
