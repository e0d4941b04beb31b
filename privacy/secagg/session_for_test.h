// Test support: a cohort of members and a coordinator in one process, without network. Included by
// tests and fuzzers only; being a header, it is in no shipped library.
#ifndef DURE_PRIVACY_SECAGG_SESSION_FOR_TEST_H_
#define DURE_PRIVACY_SECAGG_SESSION_FOR_TEST_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/ring.h"
#include "crypto/random.h"
#include "privacy/secagg/client.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/server.h"

namespace dure::secagg {

// Sessions with a given config hash and given thresholds, as known answers need them. The engines
// name this class as a friend; it exists in tests only.
class SessionForTest {
 public:
  static Server MakeServer(Server::Params params, const Digest& config_hash,
                           const Thresholds& thresholds) {
    return Server(std::move(params), config_hash, RulesFor(thresholds));
  }
  static Client MakeClient(Client::Params params, const Thresholds& thresholds) {
    return Client(std::move(params), RulesFor(thresholds));
  }
  static SessionRule RulesFor(const Thresholds& thresholds) {
    return [thresholds](const RoundConfig&, uint32_t members) {
      return SessionRules{.members = members,
                          .quorum = thresholds.quorum,
                          .survivors_minimum = thresholds.sum_minimum,
                          .smaller = thresholds,
                          .larger = thresholds,
                          .corrupt_in_smaller = 1,
                          .corrupt_in_larger = 1};
    };
  }
  static UpMessage Begin(Client& client, const SessionId& session_id, const RoundConfig& config,
                         const Digest& config_hash) {
    return client.Begin(session_id, config, config_hash);
  }
  // The name of the phase that a member is in.
  static std::string_view StateOf(const Client& client) {
    constexpr std::string_view kNames[] = {"Fresh",  "Advertised", "Shared",   "Masking",
                                           "Masked", "Consented",  "Finished", "Ended"};
    static_assert(std::size(kNames) == std::variant_size_v<Client::State>);
    return kNames[client.state_.index()];
  }
};

// A "certificate" is the raw public key, then the organisation. Counts how often it is asked.
class FakeVerifier final : public CertificateVerifier {
 public:
  absl::StatusOr<MemberIdentity> Verify(ByteView der) override {
    ++asked;
    if (der.size() < sizeof(PublicKey)) return absl::PermissionDeniedError("not a certificate");
    MemberIdentity identity;
    std::copy_n(der.begin(), sizeof(PublicKey), identity.key.begin());
    if (refused.contains(identity.key)) return absl::PermissionDeniedError("expired");
    identity.client_id = MemberIdOf(identity.key);
    identity.organisation = ToString(der.subspan(sizeof(PublicKey)));
    return identity;
  }

  std::optional<PublicKey> KeyIn(ByteView der) const override {
    PublicKey key;
    if (der.size() < key.size()) return std::nullopt;
    std::copy_n(der.begin(), key.size(), key.begin());
    return key;
  }

  std::set<PublicKey> refused;
  int asked = 0;
};

inline AesCtrRandom SeededRandom(uint64_t seed) {
  AesCtrRandom::Seed bytes = {};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(seed >> (8 * i));
  return AesCtrRandom(bytes);
}

inline RoundConfig ConfigForTest(uint32_t members, uint64_t dim, uint32_t bits) {
  RoundConfig config;
  config.set_suite(kSuite);
  config.set_task(std::string(32, 't'));
  config.set_round(1);
  config.set_attempt(1);
  config.set_model_hash(std::string(32, 'm'));
  config.set_dim(dim);
  config.set_invited(members);
  config.set_bits(bits);
  config.set_scale(1024);
  config.set_clip_norm(1);
  config.set_mechanism("record-gradient");
  config.set_sigma2_local(16);
  config.set_norm_bound_sq(1 << 20);
  config.set_weighting("uniform");
  config.set_graph_rule(kGraphRuleComplete);
  config.set_security_bits(128);
  config.set_minimum_roster(3);
  config.set_minimum_sum(3);
  config.set_max_corrupt(1);
  config.set_deadline_ms(1000);
  return config;
}

// One member: its identity outlives its sessions.
struct MemberForTest {
  explicit MemberForTest(uint64_t seed)
      : random(SeededRandom(seed)), key(SigningKey::Generate(random)) {}

  MemberId id() const { return MemberIdOf(key.public_key()); }
  std::string certificate() const { return ToString(key.public_key()) + organisation; }

  AesCtrRandom random;
  SigningKey key;
  std::string organisation;
  std::vector<int64_t> input;
  std::optional<Client> client;
};

// A cohort by ascending client id, so that a position in it is the index in a full roster.
class CohortForTest {
 public:
  CohortForTest(uint32_t members, uint64_t dim, uint32_t bits)
      : config(ConfigForTest(members, dim, bits)),
        random(SeededRandom(0)),
        coordinator(SigningKey::Generate(random)) {
    for (uint32_t i = 0; i < members; ++i) {
      this->members.push_back(std::make_unique<MemberForTest>(i + 1));
    }
    std::sort(this->members.begin(), this->members.end(),
              [](const auto& a, const auto& b) { return a->id() < b->id(); });
    for (auto& member : this->members) {
      for (uint64_t j = 0; j < dim; ++j) {
        member->input.push_back(static_cast<int64_t>(random.NextU64() % 2000) - 1000);
      }
    }
    random.Fill(session_id);
  }

  Server::Params ServerParams() {
    Server::Params params{
        .session_id = session_id, .config = config, .key = &coordinator, .verifier = &verifier};
    for (const auto& member : members) params.expected.push_back(member->id());
    return params;
  }
  Client::Params ClientParams(MemberForTest& member) {
    return {.policy = policy,
            .key = &member.key,
            .certificate = member.certificate(),
            .coordinator = coordinator.public_key(),
            .verifier = &verifier,
            .random = &member.random};
  }

  // From now on every member draws what it drew after the same call before.
  void Reseed(uint64_t seed) {
    for (size_t i = 0; i < members.size(); ++i) {
      members[i]->random = SeededRandom((seed + 1) << 16 | i);
    }
  }

  // The sum of the inputs of members for whom `in` holds.
  std::vector<int64_t> SumOf(const std::function<bool(uint32_t)>& in) const {
    std::vector<int64_t> sum(config.dim());
    for (uint32_t i = 0; i < members.size(); ++i) {
      if (!in(i)) continue;
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += members[i]->input[j];
    }
    return sum;
  }

  MemberForTest& Find(const MemberId& id) {
    for (auto& member : members) {
      if (member->id() == id) return *member;
    }
    DURE_CHECK(false);
    __builtin_unreachable();
  }

  RoundConfig config;
  ClientPolicy policy;
  AesCtrRandom random;
  SigningKey coordinator;
  FakeVerifier verifier;
  SessionId session_id = {};
  std::vector<std::unique_ptr<MemberForTest>> members;
};

// What a server hands out, kept: server.Advance(Into(&outbox)).
using Outbox = std::vector<OutMessage>;
inline auto Into(Outbox* outbox) {
  return [outbox](OutMessage message) { outbox->push_back(std::move(message)); };
}

// One session of a cohort, phase by phase, so that a test can change what travels.
class SessionRunForTest {
 public:
  explicit SessionRunForTest(CohortForTest& cohort)
      : cohort_(cohort),
        server(*Server::Create(cohort.ServerParams())),
        sum(RingZeros(cohort.config.dim(), static_cast<int>(cohort.config.bits()))) {
    for (auto& member : cohort.members) member->client.emplace(cohort.ClientParams(*member));
  }

  Client& client(uint32_t i) { return *cohort_.members[i]->client; }
  MemberId id(uint32_t i) const { return cohort_.members[i]->id(); }

  // Everybody's Advertise, with the input set.
  std::vector<UpMessage> Start() {
    std::vector<UpMessage> messages;
    for (auto& member : cohort_.members) {
      messages.push_back(*member->client->StartFromOffer(server.offer()));
      DURE_CHECK(member->client->SetInput(member->input).ok());
    }
    return messages;
  }
  void Deliver(uint32_t from, const UpMessage& message) {
    auto accepted = server.Receive(id(from), message);
    DURE_CHECK(accepted.ok());
    if (accepted->has_value()) {
      DURE_CHECK(
          UnpackAndAdd(AsBytes((*accepted)->packed), static_cast<int>(cohort_.config.bits()), &sum)
              .ok());
    }
  }
  void DeliverAll(const std::vector<UpMessage>& messages) {
    for (uint32_t i = 0; i < messages.size(); ++i) Deliver(i, messages[i]);
  }
  // Closes the phase; what each member is to receive.
  std::vector<DownMessage> Advance() {
    Outbox outbox;
    DURE_CHECK(server.Advance(Into(&outbox)).ok());
    std::vector<DownMessage> messages(cohort_.members.size());
    for (OutMessage& out : outbox) {
      for (uint32_t i = 0; i < messages.size(); ++i) {
        if (id(i) == out.to) messages[i] = *out.message;
      }
    }
    return messages;
  }
  std::vector<UpMessage> AnswersTo(const std::vector<DownMessage>& messages) {
    std::vector<UpMessage> answers;
    for (uint32_t i = 0; i < messages.size(); ++i)
      answers.push_back(**client(i).Receive(messages[i]));
    return answers;
  }
  // Runs honestly until the server waits for `phase`; what the members are to receive then.
  std::vector<DownMessage> RunTo(Phase phase) {
    DeliverAll(Start());
    std::vector<DownMessage> messages = Advance();
    while (server.phase() < phase) {
      DeliverAll(AnswersTo(messages));
      messages = Advance();
    }
    return messages;
  }

 private:
  CohortForTest& cohort_;

 public:
  Server server;
  RingVector sum;
};

// How a session ended.
struct SessionOutcome {
  absl::Status status;                // Aborted, or OK: it ended with a sum
  Phase ended_in = Phase::kFinished;  // the phase that could not be closed
  std::vector<int64_t> sum;           // of all groups that were opened
  std::vector<uint32_t> opened;       // the groups
  std::vector<uint32_t> survivors;    // positions in the cohort, of members in the sum
  std::vector<uint32_t> finished;     // members that released their shares
};

// Runs one session in which member i answers nothing from the phase leaves(i) on
// (Phase::kFinished: it stays to the end). The input of even members is there before U2, of odd
// ones after it. Everything that must hold in every session is a DURE_CHECK.
inline SessionOutcome RunSession(CohortForTest& cohort,
                                 const std::function<Phase(uint32_t)>& leaves) {
  Server server = *Server::Create(cohort.ServerParams());
  const int bits = static_cast<int>(cohort.config.bits());
  const auto members = static_cast<uint32_t>(cohort.members.size());
  std::vector<RingVector> sums(1, RingZeros(cohort.config.dim(), bits));  // by group
  Outbox inbox;  // what members will receive in this phase
  SessionOutcome outcome;
  for (auto& member : cohort.members) member->client.emplace(cohort.ClientParams(*member));
  const auto answer_of = [&](uint32_t i) -> std::optional<UpMessage> {
    MemberForTest& member = *cohort.members[i];
    if (server.phase() == Phase::kAdvertise) {
      UpMessage advertise = *member.client->StartFromOffer(server.offer());
      if (i % 2 == 0) DURE_CHECK(member.client->SetInput(member.input).ok());
      return advertise;
    }
    const auto mine = std::find_if(inbox.begin(), inbox.end(),
                                   [&](const OutMessage& out) { return out.to == member.id(); });
    if (mine == inbox.end()) return std::nullopt;
    auto answer = member.client->Receive(*mine->message);
    DURE_CHECK(answer.ok());
    if (server.phase() == Phase::kMaskedInput && i % 2 == 1) {
      DURE_CHECK(!answer->has_value());
      answer = member.client->SetInput(member.input);
      DURE_CHECK(answer.ok());
    }
    DURE_CHECK(answer->has_value());
    return *std::move(answer);
  };
  while (server.phase() < Phase::kFinished) {
    for (uint32_t i = 0; i < members; ++i) {
      if (leaves(i) <= server.phase()) {
        server.Drop(cohort.members[i]->id());
        continue;
      }
      std::optional<UpMessage> answer = answer_of(i);
      if (!answer.has_value()) continue;
      auto accepted = server.Receive(cohort.members[i]->id(), *std::move(answer));
      DURE_CHECK(accepted.ok());
      if (accepted->has_value()) {
        sums.resize(server.groups(), RingZeros(cohort.config.dim(), bits));
        DURE_CHECK(
            UnpackAndAdd(AsBytes((*accepted)->packed), bits, &sums[(*accepted)->group]).ok());
      }
    }
    DURE_CHECK(server.Complete());
    inbox.clear();
    outcome.ended_in = server.phase();
    const bool could = server.CanAdvance();
    outcome.status = server.Advance(Into(&inbox));
    DURE_CHECK(could == outcome.status.ok());
    if (!outcome.status.ok()) {
      DURE_CHECK(absl::IsAborted(outcome.status) && server.phase() == Phase::kAborted);
      break;
    }
  }
  for (uint32_t i = 0; i < members; ++i) {
    if (cohort.members[i]->client->finished()) outcome.finished.push_back(i);
  }
  if (!outcome.status.ok()) return outcome;
  auto opened = server.RemoveMasks(sums);
  outcome.status = opened.status();
  outcome.ended_in = server.phase();
  if (!opened.ok()) return outcome;
  outcome.opened = *opened;
  outcome.sum.resize(cohort.config.dim());
  for (const uint32_t group : *opened) {
    const std::vector<int64_t> values = RingToSigned(sums[group], bits);
    for (size_t j = 0; j < values.size(); ++j) outcome.sum[j] += values[j];
  }
  const Graph graph = server.rules()->MakeGraph(server.t1());
  for (uint32_t v = 0; v < server.roster().size(); ++v) {
    const uint32_t group = graph.GroupOf(ClientIndex(v));
    if (!server.survivors()->Contains(v) ||
        std::find(opened->begin(), opened->end(), group) == opened->end()) {
      continue;
    }
    for (uint32_t i = 0; i < members; ++i) {
      if (cohort.members[i]->id() == server.roster()[v].client_id) outcome.survivors.push_back(i);
    }
  }
  return outcome;
}

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_SESSION_FOR_TEST_H_
