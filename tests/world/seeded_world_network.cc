// The connections of a SeededWorld. Each is a stream, as TCP and TLS give one: what is sent arrives
// once and in order, or the connection is lost. A hostile scenario breaks that, too: somebody who
// holds the coordinator's keys sits on the path.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/world/seeded_world.h"
#include "transport/backoff.h"

namespace dure::world {
namespace {

// Name and content of a message, for the trace.
template <typename Message>
std::string Name(const Message& message) {
  const auto* kind = message.GetDescriptor()->FindFieldByNumber(message.kind_case());
  if (message.has_secagg()) {
    kind = message.secagg().GetDescriptor()->FindFieldByNumber(message.secagg().kind_case());
  }
  return absl::StrCat(kind ? kind->name() : "nothing", " ",
                      ToHex(Sha256(AsBytes(message.SerializeAsString()))).substr(0, 8));
}

// Whether dialling again can help: as client/service/client_service.cc.
bool IsLasting(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

absl::Duration SeededWorld::Latency() {
  return dice_.Between(scenario_.faults.quickest,
                       faulty_ ? scenario_.faults.slowest : absl::Milliseconds(20));
}

void SeededWorld::DialSoon(Node& node) {
  After(dice_.Between(Backoff::kFirst / 2, absl::Seconds(2)),
        [this, &node, process = node.process] {
          if (node.process == process) Dial(node);
        });
}

void SeededWorld::Dial(Node& node) {
  if (!node.engine || node.done || node.gone || ended_ || node.link.client) return;
  if (!coordinator_ || now_ < node.held_until) return DialSoon(node);
  // Only the newest stream of a member stays. The coordinator may die of what that leads to.
  if (node.link.server) ServerCloses(node, node.link.number, /*lost=*/true);
  if (!coordinator_) return DialSoon(node);
  node.link = Link{.number = ++links_, .client = true, .server = true};
  Trace(absl::StrCat(node.person->name, " is connected"));
  StepMember(node, member::Connected{});
}

// The connection breaks, and each end finds out in its own time.
void SeededWorld::Break(Node& node) {
  if (node.link.cut || (!node.link.client && !node.link.server)) return;
  Count("connections that broke");
  Trace(absl::StrCat("the connection of ", node.person->name, " breaks"));
  node.link.cut = true;
  const uint64_t number = node.link.number;
  After(dice_.Between(absl::ZeroDuration(), dice_.Of({absl::Seconds(1), absl::Seconds(15)})),
        [this, &node, number] {
          ClientCloses(node, number, absl::UnavailableError("the connection is lost"));
        });
  After(dice_.Between(absl::ZeroDuration(), dice_.Of({absl::Seconds(1), absl::Seconds(15)})),
        [this, &node, number] { ServerCloses(node, number, /*lost=*/true); });
}

void SeededWorld::ClientCloses(Node& node, uint64_t number, const absl::Status& status) {
  if (node.link.number != number || !node.link.client) return;
  node.link.client = false;
  Trace(absl::StrCat(node.person->name, " has lost its connection: ", status.message()));
  StepMember(node, member::Disconnected{});
  if (!node.engine || node.done || node.gone) return;
  if (IsLasting(status)) {
    node.gone = true;
    return Leave(node);
  }
  DialSoon(node);
}

void SeededWorld::ServerCloses(Node& node, uint64_t number, bool lost) {
  if (node.link.number != number || !node.link.server) return;
  node.link.server = false;
  if (node.link.greeted) {
    StepCoordinator(run::Left{.member = node.person->id, .lost = lost});
  }
}

// By the coordinator, with a reason.
void SeededWorld::TurnAway(Node& node, const absl::Status& status) {
  const uint64_t number = node.link.number;
  After(absl::ZeroDuration(), [this, &node, number, lost = absl::IsUnavailable(status)] {
    ServerCloses(node, number, lost);
  });
  Post(std::max(node.link.down, now_ + Latency()),
       [this, &node, number, status] { ClientCloses(node, number, status); });
}

// One message over the node's connection; `newest` is the arrival of the one before it.
template <typename Message>
void SeededWorld::Carry(Node& node, absl::Time* newest, Message message) {
  const Faults& faults = scenario_.faults;
  absl::Time arrival = now_ + Latency();
  if (Happens(faults.delayed)) {
    Count("messages held up");
    arrival += dice_.Between(absl::Milliseconds(100), absl::Seconds(8));
  }
  const bool overtaken = Happens(faults.reordered);
  if (overtaken) {
    Count("messages overtaken");
    arrival += dice_.Between(absl::Milliseconds(1), absl::Seconds(4));
  } else {
    arrival = *newest = std::max(arrival, *newest);
  }
  const uint64_t number = node.link.number;
  if (Happens(faults.repeated)) {
    Count("messages repeated");
    Post(arrival + dice_.Between(absl::ZeroDuration(), absl::Seconds(3)),
         [this, &node, number, message] { Arrive(node, number, message); });
  }
  Post(arrival,
       [this, &node, number, message = std::move(message)] { Arrive(node, number, message); });
}

void SeededWorld::SendUp(Node& node, const ClientMessage& message) {
  if (!node.link.client) return;
  const Faults& faults = scenario_.faults;
  Trace(absl::StrCat(node.person->name, " -> ", Name(message)));
  forger_.Remember(message);
  if (Happens(faults.cut)) return Break(node);
  if (faulty_ && faults.repeated + faults.reordered + faults.dropped + faults.spoiled > 0) {
    interfered_ = true;
  }
  if (Happens(faults.dropped)) return Count("messages dropped");
  ClientMessage other = message;
  bool altered = false;
  if (!node.honest && Happens(faults.spoiled)) {
    Count("messages spoiled by a member");
    altered = true;
    if (dice_.Chance(0.3)) {
      other = forger_.OldUp();
    } else {
      forger_.Alter(&other);
    }
    Trace(absl::StrCat(node.person->name, " lies: ", Name(other)));
    if (dice_.Chance(0.5)) Carry(node, &node.link.up, message);
  }
  Carry(node, &node.link.up, std::move(other));
  if (altered && dice_.Chance(0.3)) Carry(node, &node.link.up, message);
}

void SeededWorld::SendDown(Node& node, const ServerMessage& message) {
  const Faults& faults = scenario_.faults;
  Trace(absl::StrCat(Name(message), " -> ", node.person->name));
  forger_.Remember(*node.person, message);
  if (Happens(faults.cut)) return Break(node);
  if (Happens(faults.dropped)) return Count("messages dropped");
  if (Happens(faults.replayed)) {
    Count("messages replayed to a member");
    // One that began again may answer an offer of before, with other keys: two signed answers.
    if (node.process > 1) interfered_ = true;
    Carry(node, &node.link.down, forger_.OldDown());
  }
  if (!Happens(faults.forged)) return Carry(node, &node.link.down, message);
  Count("messages forged for a member");
  ServerMessage forged = message;
  forger_.Alter(*node.person, &forged);
  Trace(absl::StrCat("forged: ", Name(forged), " -> ", node.person->name));
  // Alone, or beside the true one.
  const uint64_t order = dice_.Below(3);
  if (order == 1) Carry(node, &node.link.down, message);
  Carry(node, &node.link.down, std::move(forged));
  if (order == 2) Carry(node, &node.link.down, message);
}

void SeededWorld::Arrive(Node& node, uint64_t number, const ServerMessage& message) {
  if (node.link.number != number || !node.link.client || node.link.cut) return;
  if (now_ < node.held_until) {
    node.held.push_back([this, &node, number, message] { Arrive(node, number, message); });
    return;
  }
  Trace(absl::StrCat(node.person->name, " gets ", Name(message)));
  StepMember(node, member::FromCoordinator{message});
}

void SeededWorld::Arrive(Node& node, uint64_t number, const ClientMessage& message) {
  if (node.link.number != number || !node.link.server || node.link.cut || !coordinator_) return;
  if (now_ < node.held_until) {
    node.held.push_back([this, &node, number, message] { Arrive(node, number, message); });
    return;
  }
  Trace(absl::StrCat("coordinator gets ", Name(message), " of ", node.person->name));
  if (!node.link.greeted) {
    const bool agrees = message.hello().spec_digest() == ToString(scenario_.spec_digest);
    if (!message.has_hello() || !agrees || message.hello().terms_only()) {
      return TurnAway(node, absl::FailedPreconditionError("the first message is not Hello"));
    }
    node.link.greeted = true;
    StepCoordinator(run::Arrived{node.person->id, node.person->name, node.person->role});
    if (!coordinator_ || !node.link.server) return;
  }
  invariants_.OnHears(*node.person, message);
  StepCoordinator(run::Said{node.person->id, message});
}

}  // namespace dure::world
