// The whole protocol of secure aggregation, all parties in one process and without network: every
// message is serialised by one side and parsed by the other. The coordinator's steps run while no
// member does, so that its time and memory can be told apart.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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
constexpr double kWordBytes = sizeof(uint32_t);
// Members whose answers wait for the coordinator at once, and threads that make them. Only their
// processor time is measured.
constexpr size_t kBatch = 16;
constexpr unsigned kMemberThreads = 8;

struct Session {
  uint32_t members = 0;
  uint32_t late_dropouts = 0;  // between their shares and their inputs
  uint64_t dim = 0;
  const char* graph_rule = kGraphRuleComplete;
  uint32_t max_corrupt = 0;
  double max_dropout = 0;
  int runs = 0;                    // 0: as the settings say
  bool of_the_coordinator = true;  // the figure is its time, not everybody's processor time
};

unsigned Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

double ThreadCpu() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What this process has from the allocator and did not give back.
double HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

// What the coordinator's steps take, and what they leave in the memory.
class Meter {
 public:
  template <typename Work>
  absl::Status Step(Work work) {
    const double bytes = HeapBytes();
    const double start = Now(), cpu = CpuNow();
    absl::Status status = work();
    seconds += Now() - start;
    processor += CpuNow() - cpu;
    held_ += HeapBytes() - bytes;
    peak = std::max(peak, held_);
    return status;
  }
  // Within a step that began at `bytes`.
  void Look(double bytes) { peak = std::max(peak, held_ + HeapBytes() - bytes); }

  double seconds = 0;
  double processor = 0;
  double peak = 0;

 private:
  double held_ = 0;
};

struct Measured {
  Meter coordinator;
  double members_processor = 0;  // of all together
  double processor = 0;          // of everybody
  SessionRules rules;
};

class Parties {
 public:
  static absl::StatusOr<std::unique_ptr<Parties>> Make(const Session& session) {
    auto parties = std::unique_ptr<Parties>(new Parties(session));
    DURE_RETURN_IF_ERROR(parties->Enrol());
    return parties;
  }

  // One session from the offer to the sum, which is compared with the inputs.
  absl::StatusOr<Measured> Run() {
    measured_ = Measured();
    const double start = CpuNow();
    SessionId session_id;
    random_.Fill(session_id);
    std::optional<Server> server;
    RingSum sum(kBits, session_.dim);
    DURE_RETURN_IF_ERROR(measured_.coordinator.Step([&]() -> absl::Status {
      Server::Params params{.session_id = session_id,
                            .config = config_,
                            .key = &coordinator_,
                            .verifier = verifier_.get()};
      for (const auto& member : members_) params.expected.push_back(member->id);
      DURE_ASSIGN_OR_RETURN(server, Server::Create(std::move(params)));
      return absl::OkStatus();
    }));
    std::vector<Member*> present;
    for (const auto& member : members_) {
      member->message = std::make_shared<std::string>(server->offer().SerializeAsString());
      present.push_back(member.get());
    }
    for (;;) {
      DURE_RETURN_IF_ERROR(Exchange(present, *server, sum));
      DURE_RETURN_IF_ERROR(Advance(*server, present));
      if (server->phase() == Phase::kFinished) break;
    }
    DURE_RETURN_IF_ERROR(
        measured_.coordinator.Step([&] { return server->RemoveMasks(sum.mutable_sum()); }));
    measured_.processor = CpuNow() - start;
    measured_.rules = *server->rules();
    for (const auto& member : members_) member->client.reset();
    DURE_RETURN_IF_ERROR(Compare(sum));
    return measured_;
  }

 private:
  struct Member {
    SigningKey key;
    MemberId id;
    std::string certificate;
    std::optional<Client> client;
    std::shared_ptr<const std::string> message;  // what it is to receive
    std::string answer;
    absl::Status status;
    double processor = 0;
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
    config_.set_graph_rule(session.graph_rule);
    config_.set_security_bits(128);
    config_.set_max_dropout(session.max_dropout);
    config_.set_minimum_roster(session.members -
                               static_cast<uint32_t>(session.members * session.max_dropout));
    config_.set_minimum_sum(kMinMembers);
    config_.set_max_corrupt(session.max_corrupt);
  }

  absl::Status Enrol() {
    const absl::Time now = absl::Now();
    const Validity validity{now - absl::Hours(1), now + absl::Hours(24)};
    const SigningKey ca_key = SigningKey::Generate(random_);
    DURE_ASSIGN_OR_RETURN(std::string ca, MakeEnrolmentCa(ca_key, "bench", validity, random_));
    DURE_ASSIGN_OR_RETURN(CertificateIssuer issuer, CertificateIssuer::Create(ca, &ca_key));
    verifier_ = std::make_unique<CertificateCache>(ca, &clock_);
    for (uint32_t i = 0; i < session_.members; ++i) {
      auto member = std::unique_ptr<Member>(new Member{.key = SigningKey::Generate(random_)});
      const PublicKey key = member->key.public_key();
      member->id = MemberIdOf(key);
      DURE_ASSIGN_OR_RETURN(
          member->certificate,
          issuer.IssueMember({.role = CertificateRole::kMember, .name = absl::StrCat("m", i)}, key,
                             validity, random_));
      members_.push_back(std::move(member));
    }
    return absl::OkStatus();
  }

  // Everybody's answer to what waits for it, some members at a time.
  absl::Status Exchange(const std::vector<Member*>& present, Server& server, RingSum& sum) {
    for (size_t begin = 0; begin < present.size(); begin += kBatch) {
      const size_t end = std::min(begin + kBatch, present.size());
      std::vector<std::thread> threads;
      for (unsigned thread = 0; thread < kMemberThreads; ++thread) {
        threads.emplace_back([&, thread] {
          for (size_t i = begin + thread; i < end; i += kMemberThreads) Answer(*present[i]);
        });
      }
      for (std::thread& thread : threads) thread.join();
      for (size_t i = begin; i < end; ++i) {
        DURE_RETURN_IF_ERROR(present[i]->status);
        measured_.members_processor += std::exchange(present[i]->processor, 0);
      }
      DURE_RETURN_IF_ERROR(measured_.coordinator.Step([&] {
        absl::Status status;
        for (size_t i = begin; i < end && status.ok(); ++i) {
          status = Take(present[i]->id, present[i]->answer, server, sum);
        }
        return status;
      }));
      for (size_t i = begin; i < end; ++i) std::string().swap(present[i]->answer);
    }
    return absl::OkStatus();
  }

  void Answer(Member& member) {
    const double start = ThreadCpu();
    absl::StatusOr<UpMessage> answer = AnswerTo(*member.message, member);
    if (answer.ok()) member.answer = answer->SerializeAsString();
    member.status = answer.status();
    member.processor = ThreadCpu() - start;
  }

  absl::StatusOr<UpMessage> AnswerTo(const std::string& bytes, Member& member) {
    if (!member.client.has_value()) {
      Offer offer;
      if (!offer.ParseFromString(bytes)) return absl::InternalError("an offer that is none");
      member.client.emplace(Client::Params{.key = &member.key,
                                           .certificate = member.certificate,
                                           .coordinator = coordinator_.public_key(),
                                           .verifier = verifier_.get(),
                                           .random = &random_,
                                           .threads = 1});
      return member.client->StartFromOffer(offer);
    }
    DownMessage message;
    if (!message.ParseFromString(bytes)) return absl::InternalError("a message that is none");
    DURE_ASSIGN_OR_RETURN(std::optional<UpMessage> answer, member.client->Receive(message));
    if (message.has_dealt()) {
      DURE_ASSIGN_OR_RETURN(answer, member.client->SetInput(RingVector(input_)));
    }
    if (!answer.has_value()) return absl::InternalError("a member had no answer");
    return *std::move(answer);
  }

  static absl::Status Take(const MemberId& from, const std::string& bytes, Server& server,
                           RingSum& sum) {
    UpMessage message;
    if (!message.ParseFromString(bytes)) return absl::InternalError("an answer that is none");
    DURE_ASSIGN_OR_RETURN(std::optional<AcceptedInput> accepted,
                          server.Receive(from, std::move(message)));
    return accepted ? sum.AddPacked(AsBytes(accepted->packed)) : absl::OkStatus();
  }

  // Closes the phase. What members are to receive is the coordinator's until they have it.
  absl::Status Advance(Server& server, std::vector<Member*>& present) {
    const bool leave = server.phase() == Phase::kShares;
    return measured_.coordinator.Step([&]() -> absl::Status {
      const double bytes = HeapBytes();
      for (Member* member : present) member->message.reset();
      std::map<MemberId, std::shared_ptr<const std::string>> messages;
      std::shared_ptr<const DownMessage> last;
      std::shared_ptr<const std::string> serialised;
      DURE_RETURN_IF_ERROR(server.Advance([&](OutMessage out) {
        if (out.message != last) {
          serialised = std::make_shared<std::string>(out.message->SerializeAsString());
        }
        last = std::move(out.message);
        messages[out.to] = serialised;
      }));
      measured_.coordinator.Look(bytes);
      if (leave) {
        for (uint32_t i = 0; i < session_.late_dropouts; ++i) server.Drop(present[i]->id);
        present.erase(present.begin(), present.begin() + session_.late_dropouts);
      }
      for (Member* member : present) member->message = messages[member->id];
      return absl::OkStatus();
    });
  }

  absl::Status Compare(RingSum& sum) const {
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
  std::vector<std::unique_ptr<Member>> members_;
  Measured measured_;
};

absl::StatusOr<Figure> Measure(const Settings& settings, const Session& session) {
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Parties> parties, Parties::Make(session));
  std::vector<double> coordinator, coordinator_processor, members, everybody, peaks;
  const int runs = settings.quick ? 1 : session.runs != 0 ? session.runs : settings.runs() + 1;
  Measured measured;
  for (int run = 0; run < runs; ++run) {
    DURE_ASSIGN_OR_RETURN(measured, parties->Run());
    if (run == 0 && runs > 1) continue;
    coordinator.push_back(measured.coordinator.seconds);
    coordinator_processor.push_back(measured.coordinator.processor);
    members.push_back(measured.members_processor / session.members);
    everybody.push_back(measured.processor);
    peaks.push_back(measured.coordinator.peak);
  }
  // Masks are expanded where they are put in and where they are taken out again: a survivor's own
  // once each, and what a dropped member shared with its neighbours by both sides. On the sparse
  // graph it is not known how many of these survive: as large a part as of all.
  const double survivors = session.members - session.late_dropouts;
  const double neighbours = measured.rules.smaller.neighbours;
  const double removed =
      survivors + session.late_dropouts * neighbours * survivors / (session.members - 1.0);
  const double all = removed + survivors * (1 + neighbours);
  const double rate = AesRate(settings), mask = static_cast<double>(session.dim) * kWordBytes;
  const bool own = session.of_the_coordinator;
  return Figure{
      .value = Median(own ? coordinator : everybody),
      .limit = own ? removed * mask / rate / Cores() : all * mask / rate,
      .more = {{"coordinator_s", Median(coordinator)},
               {"coordinator_processor_s", Median(coordinator_processor)},
               {"member_processor_s", Median(members)},
               {"all_processor_s", Median(everybody)},
               {"coordinator_peak_bytes", Median(peaks)},
               {"coordinator_limit_bytes", 20 * mask + 2000.0 * session.members * neighbours},
               {"dim", static_cast<double>(session.dim)},
               {"late_dropouts", session.late_dropouts},
               {"neighbours", neighbours},
               {"threshold", measured.rules.smaller.threshold},
               {"aes_bytes_per_s", rate}}};
}

Benchmark SessionOf(const Session& session) {
  return {.name = absl::StrCat("secagg/", session.members),
          .unit = "s",
          .run = [=](const Settings& settings) { return Measure(settings, session); }};
}

}  // namespace

std::vector<Benchmark> SecaggBenchmarks() {
  return {
      SessionOf({.members = 10, .dim = 1'000'000, .max_corrupt = 2, .of_the_coordinator = false}),
      SessionOf({.members = 100,
                 .late_dropouts = 5,
                 .dim = 1'000'000,
                 .max_corrupt = 20,
                 .max_dropout = 0.05,
                 .runs = 3}),
      SessionOf({.members = 1000,
                 .late_dropouts = 50,
                 .dim = 100'000,
                 .graph_rule = kGraphRuleRing,
                 .max_corrupt = 50,
                 .max_dropout = 0.1,
                 .runs = 1})};
}

}  // namespace dure::bench
