// The whole protocol of secure aggregation, all parties in one process and on one thread: what it
// costs in processor time, without network.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "aggregation/ring_sum.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "cli/bench/figure.h"
#include "cli/bench/limits.h"
#include "cli/bench/timing.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "privacy/secagg/certificate_cache.h"
#include "privacy/secagg/client.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/server.h"

namespace dure::bench {
namespace {

using namespace secagg;

constexpr int kBits = 20;

struct Session {
  uint32_t members = 0;
  uint32_t late_dropouts = 0;  // between their shares and their inputs
  uint64_t dim = 0;
};

class Parties {
 public:
  static absl::StatusOr<std::unique_ptr<Parties>> Make(const Session& session) {
    auto parties = std::unique_ptr<Parties>(new Parties(session));
    DURE_RETURN_IF_ERROR(parties->Enrol());
    return parties;
  }

  // One session from the offer to the sum, which is compared with the inputs.
  absl::Status Run() {
    SessionId session_id;
    random_.Fill(session_id);
    Server::Params params{.session_id = session_id,
                          .config = config_,
                          .key = &coordinator_,
                          .verifier = verifier_.get()};
    for (const auto& [id, member] : members_) params.expected.push_back(id);
    DURE_ASSIGN_OR_RETURN(Server server, Server::Create(std::move(params)));
    RingSum sum(kBits, session_.dim);
    for (auto& [id, member] : members_) {
      member.client.emplace(Client::Params{.key = &member.key,
                                           .certificate = member.certificate,
                                           .coordinator = coordinator_.public_key(),
                                           .verifier = verifier_.get(),
                                           .random = &random_});
      DURE_ASSIGN_OR_RETURN(UpMessage message, member.client->StartFromOffer(server.offer()));
      DURE_RETURN_IF_ERROR(server.Receive(id, std::move(message)).status());
      DURE_RETURN_IF_ERROR(member.client->SetInput(RingVector(input_)).status());
    }
    while (server.phase() != Phase::kFinished) {
      Outbox outbox;
      DURE_RETURN_IF_ERROR(server.Advance(&outbox));
      if (server.phase() == Phase::kMaskedInput) DropSome(server);
      for (const OutMessage& out : outbox) DURE_RETURN_IF_ERROR(Deliver(out, server, sum));
    }
    DURE_RETURN_IF_ERROR(server.RemoveMasks(sum.mutable_sum()));
    return Compare(sum);
  }

 private:
  struct Member {
    SigningKey key;
    std::string certificate;
    std::optional<Client> client;
    bool gone = false;
  };

  explicit Parties(const Session& session)
      : session_(session),
        coordinator_(SigningKey::Generate(random_)),
        input_(RingFromSigned(std::vector<int64_t>(session.dim, 3), kBits)) {
    config_.set_suite(kSuite);
    config_.set_task(std::string(sizeof(Digest), 't'));
    config_.set_model_hash(std::string(sizeof(Digest), 'm'));
    config_.set_round(1);
    config_.set_attempt(1);
    config_.set_dim(session.dim);
    config_.set_invited(session.members);
    config_.set_bits(kBits);
    config_.set_clip_norm(1);
    config_.set_graph_rule(std::string(kGraphRuleComplete));
    config_.set_minimum_roster(kMinMembers);
    config_.set_minimum_sum(kMinMembers);
    config_.set_max_corrupt(std::max(1u, session.members / 5));
  }

  absl::Status Enrol() {
    const absl::Time now = absl::Now();
    const Validity validity{now - absl::Hours(1), now + absl::Hours(24)};
    const SigningKey ca_key = SigningKey::Generate(random_);
    DURE_ASSIGN_OR_RETURN(std::string ca, MakeEnrolmentCa(ca_key, "bench", validity, random_));
    DURE_ASSIGN_OR_RETURN(CertificateIssuer issuer, CertificateIssuer::Create(ca, &ca_key));
    verifier_ = std::make_unique<CertificateCache>(ca, &clock_);
    for (uint32_t i = 0; i < session_.members; ++i) {
      Member member{.key = SigningKey::Generate(random_)};
      const PublicKey key = member.key.public_key();
      DURE_ASSIGN_OR_RETURN(
          member.certificate,
          issuer.IssueMember({.role = CertificateRole::kMember, .name = absl::StrCat("m", i)}, key,
                             validity, random_));
      members_.emplace(MemberIdOf(key), std::move(member));
    }
    return absl::OkStatus();
  }

  void DropSome(Server& server) {
    uint32_t left = session_.late_dropouts;
    for (auto& [id, member] : members_) {
      member.gone = left > 0;
      if (!member.gone) continue;
      server.Drop(id);
      --left;
    }
  }

  absl::Status Deliver(const OutMessage& out, Server& server, RingSum& sum) {
    Member& member = members_.at(out.to);
    if (member.gone && server.phase() != Phase::kShares) return absl::OkStatus();
    DURE_ASSIGN_OR_RETURN(std::optional<UpMessage> answer, member.client->Receive(*out.message));
    if (!answer) return absl::InternalError("a member had no answer");
    DURE_ASSIGN_OR_RETURN(std::optional<AcceptedInput> accepted,
                          server.Receive(out.to, *std::move(answer)));
    return accepted ? sum.AddPacked(AsBytes(accepted->packed)) : absl::OkStatus();
  }

  absl::Status Compare(const RingSum& sum) const {
    const int64_t expected = 3 * int64_t{session_.members - session_.late_dropouts};
    for (int64_t element : RingToSigned(sum.sum(), kBits)) {
      if (element != expected) return absl::InternalError("the sum is wrong");
    }
    return absl::OkStatus();
  }

  const Session session_;
  SystemClock clock_;
  SystemRandom random_;
  const SigningKey coordinator_;
  const RingVector input_;
  RoundConfig config_;
  std::unique_ptr<CertificateCache> verifier_;
  std::map<MemberId, Member> members_;
};

absl::StatusOr<Figure> Measure(const Settings& settings, const Session& session) {
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Parties> parties, Parties::Make(session));
  absl::Status status;
  std::vector<double> cpu;
  const double seconds = MedianSeconds(settings.runs(), [&] {
    const double start = CpuNow();
    status.Update(parties->Run());
    cpu.push_back(CpuNow() - start);
  });
  DURE_RETURN_IF_ERROR(status);
  // Every mask is expanded where it is put in and where it is taken out again: a survivor's own
  // once each, and what a dropped member shared with the survivors by both sides.
  const double survivors = session.members - session.late_dropouts;
  const double masks = survivors * session.members + survivors + session.late_dropouts * survivors;
  const double rate = AesRate(settings);
  const double bytes = masks * static_cast<double>(session.dim) * sizeof(uint32_t);
  return Figure{.value = seconds,
                .limit = bytes / rate,
                .more = {{"cpu_s", Median(cpu)},
                         {"dim", static_cast<double>(session.dim)},
                         {"late_dropouts", session.late_dropouts},
                         {"mask_bytes", bytes},
                         {"aes_bytes_per_s", rate}}};
}

Benchmark SessionOf(uint32_t members, uint32_t late_dropouts, uint64_t dim) {
  return {.name = absl::StrCat("secagg/", members), .unit = "s", .run = [=](const Settings& s) {
            return Measure(s, {.members = members, .late_dropouts = late_dropouts, .dim = dim});
          }};
}

}  // namespace

std::vector<Benchmark> SecaggBenchmarks() {
  return {SessionOf(10, 0, 1'000'000), SessionOf(100, 5, 100'000)};
}

}  // namespace dure::bench
