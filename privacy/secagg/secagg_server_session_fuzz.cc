// Bytes -> a whole session of the coordinator's state machine with real members: who answers when,
// what is lost, repeated, put in another order, corrupted, sent as somebody else and signed again
// by a member that lies, and when phases are closed. It must not crash, and if it ends with a sum,
// that is the sum of what its survivors put in.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "privacy/secagg/hostile_for_test.h"
#include "privacy/secagg/signer_for_test.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 5;
constexpr int kBits = 20;
constexpr uint64_t kDim = 2;

class Session {
 public:
  Session(CohortForTest& cohort, ByteView bytes)
      : cohort_(cohort), choices_(bytes), server_(*Server::Create(cohort.ServerParams())) {
    cohort.Reseed(0);
    for (auto& member : cohort.members) member->client.emplace(cohort.ClientParams(*member));
    // Two bytes or more a step; when they are used up, everybody is honest.
    for (size_t step = 0; step < bytes.size() / 2 && server_.phase() < Phase::kFinished; ++step) {
      Step();
    }
    for (int phase = 0; phase < 5 && server_.phase() < Phase::kFinished; ++phase) {
      for (uint32_t i = 0; i < kMembers; ++i) AnswerOf(i);
      Close();
    }
    if (server_.phase() == Phase::kFinished) Open();
  }

 private:
  void Step() {
    const uint32_t i = choices_.Pick(kMembers);
    switch (choices_.Pick(8)) {
      case 0:
      case 1:
        return AnswerOf(i);
      case 2:
        for (uint32_t j = 0; j < kMembers; ++j) AnswerOf(j);
        return Close();
      case 3:
        return Close();
      case 4:
        return server_.Drop(cohort_.members[i]->id());
      case 5:  // what somebody said some time ago, as i
        if (!said_.empty()) {
          Deliver(i, said_[choices_.Pick(static_cast<uint32_t>(said_.size()))].second);
        }
        return;
      default:
        return Corrupt(choices_.Pick(2) == 1);
    }
  }
  // The member is sent what the coordinator has for it now, and its answer is delivered.
  void AnswerOf(uint32_t i) {
    Client& client = *cohort_.members[i]->client;
    std::optional<UpMessage> answer;
    if (server_.phase() == Phase::kAdvertise) {
      auto started = client.StartFromOffer(server_.offer());
      if (!started.ok()) return;
      answer = *std::move(started);
      DURE_CHECK(client.SetInput(cohort_.members[i]->input).ok());
    } else {
      auto message = server_.LatestFor(cohort_.members[i]->id());
      if (!message.ok()) return;
      auto received = client.Receive(*message);
      if (!received.ok() || !received->has_value()) return;
      answer = **received;
    }
    if (answer->has_masked_input()) honest_[i] = answer->masked_input().packed();
    said_.emplace_back(i, *answer);
    Deliver(i, *answer);
  }
  // What a member said, with some of its bytes changed; signed again by it or not.
  void Corrupt(bool sign) {
    if (said_.empty()) return;
    const auto& [i, message] = said_[choices_.Pick(static_cast<uint32_t>(said_.size()))];
    std::string bytes = message.SerializeAsString();
    for (uint32_t change = 0, changes = 1 + choices_.Pick(2); change < changes; ++change) {
      const uint32_t at = choices_.Pick(256) << 8 | choices_.Pick(256);
      bytes[at % bytes.size()] =
          static_cast<char>(bytes[at % bytes.size()] ^ static_cast<char>(choices_.Pick(256)));
    }
    UpMessage changed;
    if (!changed.ParseFromString(bytes)) return;
    const bool full = server_.roster().size() == kMembers || changed.has_advertise();
    if (sign && full) Signer(cohort_, server_, i).SignUp(i, &changed);
    Deliver(i, changed);
  }
  void Deliver(uint32_t i, const UpMessage& message) {
    const Phase before = server_.phase();
    const auto accepted = server_.Receive(cohort_.members[i]->id(), message);
    DURE_CHECK(server_.phase() == before);
    if (!accepted.ok() || !accepted->has_value()) return;
    DURE_CHECK(accepted_.emplace(i, (*accepted)->packed).second);
  }
  void Close() {
    const bool can = server_.CanAdvance();
    Outbox outbox;
    const absl::Status closed = server_.Advance(Into(&outbox));
    // Groups and unusable shares are looked at when a phase is closed.
    DURE_CHECK(closed.ok() ? can : server_.phase() >= Phase::kFinished);
  }
  void Open() {
    RingVector sum = RingZeros(kDim, kBits);
    RingVector expected = RingZeros(kDim, kBits);
    for (const auto& [i, packed] : accepted_) {
      DURE_CHECK(UnpackAndAdd(AsBytes(packed), kBits, &sum).ok());
      // A member that lies puts in what it masked, and the difference to what it sent.
      Add(cohort_.members[i]->input, 1, &expected);
      Add(ValuesOf(packed), 1, &expected);
      Add(ValuesOf(honest_.at(i)), -1, &expected);
    }
    if (!server_.RemoveMasks(&sum).ok()) return;
    DURE_CHECK(server_.survivors()->count() == accepted_.size());
    DURE_CHECK(RingToSigned(sum, kBits) == RingToSigned(expected, kBits));
  }
  static std::vector<int64_t> ValuesOf(const std::string& packed) {
    return RingToSigned(*Unpack(AsBytes(packed), kDim, kBits), kBits);
  }
  static void Add(std::vector<int64_t> values, int64_t factor, RingVector* sum) {
    for (int64_t& value : values) value *= factor;
    DURE_CHECK(UnpackAndAdd(AsBytes(Pack(RingFromSigned(values, kBits), kBits)), kBits, sum).ok());
  }

  CohortForTest& cohort_;
  BytesChoices choices_;
  Server server_;
  std::vector<std::pair<uint32_t, UpMessage>> said_;
  std::map<uint32_t, std::string> honest_;
  std::map<uint32_t, std::string> accepted_;
};

void Try(ByteView bytes) {
  static auto* const cohort = new CohortForTest(kMembers, kDim, kBits);
  if (bytes.size() <= 4096) Session(*cohort, bytes);
}

}  // namespace
}  // namespace dure::secagg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::secagg::Try({data, size});
  return 0;
}
