#include "tests/support/quick_run.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "coordinator/federation_engine.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/new_terms.h"
#include "coordinator/service/store.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "federation/manifest.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "privacy/secagg/certificate_cache.h"

namespace dure::testing {
namespace {

constexpr uint32_t kFailsEvery = 4;

std::string Toml(uint32_t rounds) {
  return absl::StrCat(R"([federation]
name    = "quick"
purpose = "See what is on the disk"
license = "Apache-2.0"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [1, 2, 2]
classes = 3
[rounds]
count = )",
                      rounds, R"(
cohort = 5
minimum = 4
max_attempts = )",
                      rounds * 3, R"(
deadline = "1m"
[local]
sampling_rate = 0.1
[server]
optimizer = "fedadam"
learning_rate = 0.01
[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 1000.0
total_records = 5000
max_records_per_member = 1000
[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.2
[evaluation]
every = 2
)");
}

// An attempt that ends by itself, with sums that depend on its number only.
class QuickRound final : public RoundMachine {
 public:
  explicit QuickRound(const secagg::RoundConfig& config)
      : attempt_(config.attempt()), bits_(static_cast<int>(config.bits())), dim_(config.dim()) {}

  void Step(absl::Time, round::Input, std::vector<round::Output>* out) override {
    if (ended_) return;
    ended_ = true;
    if (attempt_ % kFailsEvery == 0) {
      out->push_back(round::Failed{"this one fails"});
      return;
    }
    std::vector<int64_t> sum(dim_);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = static_cast<int64_t>(attempt_ * 100 + i);
    round::Closed closed{.survivors = kQuickMembers};
    closed.sums.push_back({.sum = RingFromSigned(sum, bits_), .survivors = kQuickMembers});
    out->push_back(std::move(closed));
  }
  void Postpone(absl::Duration) override {}
  absl::Time next_deadline() const override { return absl::InfinitePast(); }
  std::string_view phase() const override { return "training"; }
  std::vector<secagg::MemberId> awaited() const override { return {}; }
  const std::map<secagg::MemberId, std::string>& faults() const override { return nobody_; }
  std::span<const secagg::Evidence> evidence() const override { return {}; }

 private:
  const uint32_t attempt_;
  const int bits_;
  const uint64_t dim_;
  bool ended_ = false;
  std::map<secagg::MemberId, std::string> nobody_;
};

absl::StatusOr<std::unique_ptr<RoundMachine>> StartQuickRound(absl::Time, RoundOptions options,
                                                              std::vector<round::Output>*) {
  return std::make_unique<QuickRound>(options.session.config);
}

// Whoever is not a member yet joins.
absl::Status EnrolAll(const FederationFolder& federation, Store& store, Random& random) {
  DURE_ASSIGN_OR_RETURN(const std::vector<MemberRecord> members, store.Members());
  std::set<std::string> names;
  for (const MemberRecord& member : members) names.insert(member.name);
  DURE_ASSIGN_OR_RETURN(const CertificateIssuer issuer,
                        CertificateIssuer::Create(federation.ca_certificate, &*federation.ca_key));
  const absl::Time now = absl::Now();
  for (uint32_t i = 0; i <= kQuickMembers; ++i) {
    MemberRecord member;
    member.name = i < kQuickMembers ? absl::StrCat("member-", i) : "evaluator";
    member.role = i < kQuickMembers ? MEMBER : EVALUATOR;
    if (names.contains(member.name)) continue;
    store.Revoke(member.name, now).IgnoreError();  // an invitation from before a crash
    Digest secret;
    random.Fill(secret);
    DURE_RETURN_IF_ERROR(store.AddInvitation({.secret_hash = secret,
                                              .name = member.name,
                                              .role = member.role,
                                              .expires = now + absl::Hours(1)},
                                             now));
    const SigningKey key = SigningKey::Generate(random);
    member.client_id = secagg::MemberIdOf(key.public_key());
    DURE_ASSIGN_OR_RETURN(
        member.certificate,
        issuer.IssueMember({.role = member.role == EVALUATOR ? CertificateRole::kEvaluator
                                                             : CertificateRole::kMember,
                            .name = member.name},
                           key.public_key(), {now - absl::Hours(1), now + absl::Hours(24 * 300)},
                           random));
    DURE_RETURN_IF_ERROR(store.Enrol(secret, member, now));
  }
  return absl::OkStatus();
}

class Runner {
 public:
  Runner(Store* store, FederationEngine* engine, uint32_t until,
         const std::function<void(const std::string&)>& told)
      : store_(store), engine_(engine), until_(until), told_(told) {}

  absl::Status Run(const std::vector<MemberRecord>& members) {
    for (const MemberRecord& member : members) {
      inputs_.push_back(run::Arrived{member.client_id, member.name, member.role});
    }
    while (!end_ && Round() < until_) {
      run::Input input = run::Tick{};
      if (!inputs_.empty()) {
        input = std::move(inputs_.front());
        inputs_.pop_front();
      } else {
        const absl::Time due = engine_->next_deadline();
        if (due == absl::InfiniteFuture()) return absl::UnknownError("nothing happens any more");
        now_ = std::max(now_ + absl::Milliseconds(1), due);
      }
      std::vector<run::Output> outputs;
      engine_->Step(now_, std::move(input), &outputs);
      for (const run::Output& output : outputs) DURE_RETURN_IF_ERROR(Handle(output));
    }
    return end_.value_or(absl::OkStatus());
  }

 private:
  uint32_t Round() const {
    return engine_->Status(RoundNumber(std::numeric_limits<uint32_t>::max()), 0).round();
  }

  absl::Status Handle(const run::Output& output) {
    if (const auto* write = std::get_if<run::Write>(&output)) {
      DURE_RETURN_IF_ERROR(store_->Record(write->fact));
      Tell(write->fact);
    } else if (const auto* send = std::get_if<run::SendTo>(&output)) {
      if (!send->message->has_evaluate()) return absl::OkStatus();
      run::Said said{.member = send->member};
      EvaluationReport& report = *said.message.mutable_evaluation();
      report.set_round(send->message->evaluate().round());
      report.mutable_metrics()->set_loss(1.0 / (1 + report.round()));
      report.mutable_metrics()->set_accuracy(0.5);
      report.mutable_metrics()->set_records(100);
      inputs_.push_back(std::move(said));
    } else if (const auto* ended = std::get_if<run::Ended>(&output)) {
      end_ = ended->status;
    }
    return absl::OkStatus();
  }

  void Tell(const Fact& fact) {
    if (const auto* begun = std::get_if<AttemptBegun>(&fact)) {
      told_(absl::StrCat("attempt ", begun->attempt.value()));
    } else if (const auto* released = std::get_if<RoundReleased>(&fact)) {
      told_(absl::StrFormat("round %d %d %s %.17g", released->round.value(),
                            released->attempt.value(), ToHex(released->model_hash),
                            released->epsilon));
    } else if (const auto* evaluation = std::get_if<EvaluationReceived>(&fact)) {
      told_(absl::StrCat("evaluation ", evaluation->round.value()));
    }
  }

  Store* const store_;
  FederationEngine* const engine_;
  const uint32_t until_;
  const std::function<void(const std::string&)>& told_;
  absl::Time now_ = absl::Now();
  std::deque<run::Input> inputs_;
  std::optional<absl::Status> end_;
};

}  // namespace

absl::Status MakeQuickFederation(const std::string& folder, uint32_t rounds, absl::Time now) {
  DURE_ASSIGN_OR_RETURN(const FederationSpec spec, ParseFederation(Toml(rounds), "quick.toml"));
  DURE_ASSIGN_OR_RETURN(const ParamManifest manifest, BuiltInManifest(spec.model()));
  DURE_RETURN_IF_ERROR(MakeFolder(folder + "/model"));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(
      InitialModelPath(folder),
      EncodeSafetensors({.manifest = manifest, .params = std::vector<float>(manifest.dim())})));
  SystemRandom random;
  return MakeFederationFolder(folder, spec, now, random).status();
}

absl::Status GoOnQuickly(const std::string& folder, uint32_t until,
                         const std::function<void(const std::string&)>& told) {
  DURE_ASSIGN_OR_RETURN(const FederationFolder federation, ReadFederationFolder(folder));
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                        Store::Open(folder + "/state", federation.spec_digest));
  DURE_ASSIGN_OR_RETURN(RunState state, store->LoadRun());
  DURE_RETURN_IF_ERROR(AdoptTerms(federation, state.attempts, *store));
  SystemRandom random;
  DURE_RETURN_IF_ERROR(EnrolAll(federation, *store, random));
  DURE_ASSIGN_OR_RETURN(const std::vector<MemberRecord> members, store->Members());
  DURE_ASSIGN_OR_RETURN(ModelFile initial, ReadInitialModel(folder, federation.spec));
  DURE_ASSIGN_OR_RETURN(ModelParts parts,
                        ModelParts::Create(std::move(initial.manifest), federation.spec.model()));
  SystemClock clock;
  secagg::CertificateCache verifier(federation.ca_certificate, &clock);
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<FederationEngine> engine,
                        FederationEngine::Create({.spec = federation.spec,
                                                  .spec_digest = federation.spec_digest,
                                                  .initial_model = std::move(initial.params),
                                                  .parts = std::move(parts),
                                                  .key = &federation.key,
                                                  .verifier = &verifier,
                                                  .random = &random,
                                                  .start_round = StartQuickRound},
                                                 std::move(state)));
  return Runner(store.get(), engine.get(), until, told).Run(members);
}

}  // namespace dure::testing
