#include "simulation/simulator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "federation/model_file.h"
#include "federation/spec.h"
#include "google/protobuf/util/time_util.h"
#include "learner/evaluate.h"
#include "simulation/streams.h"

namespace dure::simulation {
namespace {

// When every simulation begins.
constexpr int64_t kFirstSecond = 1'800'000'000;
// While too few clients are there, how far the clock moves before they are asked again, and how
// often it does before the run is given up.
constexpr absl::Duration kIdleStep = absl::Minutes(10);
constexpr int kMostIdleSteps = 6 * 24 * 30;
constexpr char kEvaluatorName[] = "held-out records";

secagg::MemberId EvaluatorId() { return Sha256(AsBytes("the evaluator of a simulation")); }

// Of a client that takes no part in a protocol: its number.
secagg::MemberId NumberedId(uint32_t client) {
  secagg::MemberId id{};
  for (size_t i = 0; i < sizeof(client); ++i) id[i] = static_cast<uint8_t>(client >> (8 * i));
  return id;
}

// Of a - b. In lanes, which compilers make vectors of: the same order of additions everywhere.
double Norm(std::span<const float> a, std::span<const float> b) {
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  for (size_t first = 0; first + kLanes <= a.size(); first += kLanes) {
    for (size_t i = 0; i < kLanes; ++i) {
      const double difference = static_cast<double>(a[first + i]) - b[first + i];
      lanes[i] += difference * difference;
    }
  }
  for (size_t i = a.size() / kLanes * kLanes; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    lanes[0] += difference * difference;
  }
  return std::sqrt(std::accumulate(lanes, lanes + kLanes, 0.0));
}

}  // namespace

class Simulator::AttemptRandom final : public Random {
 public:
  explicit AttemptRandom(uint64_t seed) : seed_(seed), random_(StreamOf(seed, "coordinator")) {}
  void Begin(uint32_t attempt) { random_ = StreamOf(seed_, "coordinator", {.attempt = attempt}); }
  void Fill(std::span<uint8_t> out) override { random_.Fill(out); }

 private:
  uint64_t seed_;
  AesCtrRandom random_;
};

Simulator::Simulator(Options options)
    : options_(std::move(options)),
      key_([&] {
        AesCtrRandom random = StreamOf(options_.seed, "coordinator's key");
        return SigningKey::Generate(random);
      }()),
      random_(std::make_unique<AttemptRandom>(options_.seed)),
      start_(absl::FromUnixSeconds(kFirstSecond)),
      now_(start_) {}

Simulator::~Simulator() = default;

absl::StatusOr<std::unique_ptr<Simulator>> Simulator::Create(Options options,
                                                             SimulationState state) {
  const FederationSpec& spec = options.approved.spec;
  if (spec.statistics().enabled()) {
    return absl::FailedPreconditionError(
        "statistics.enabled: the statistics of a table's columns are not simulated; state mean and "
        "deviation in its schema, and give --set statistics.enabled=false");
  }
  if (options.depth == Depth::kFull && options.ranks->size() > 1) {
    return absl::FailedPreconditionError(
        "--secure-aggregation full runs in one process: leave mpirun out, or simulate it, which "
        "gives the same model in every bit");
  }
  const RoundsSection& rounds = spec.rounds();
  const uint32_t least = rounds.has_cohort() ? rounds.cohort() : rounds.minimum();
  if (least > options.clients) {
    return absl::FailedPreconditionError(absl::StrCat(
        "rounds.", rounds.has_cohort() ? "cohort" : "minimum", " is ", least, ", and there are ",
        options.clients, " clients: raise --clients, or --set rounds.cohort=", options.clients));
  }
  auto made = std::unique_ptr<Simulator>(new Simulator(std::move(options)));
  DURE_RETURN_IF_ERROR(made->Prepare(std::move(state)));
  return made;
}

absl::Status Simulator::Prepare(SimulationState state) {
  state_ = std::move(state);
  now_ = start_ + state_.clock;
  DURE_ASSIGN_OR_RETURN(training_,
                        CohortTraining::Create({.approved = options_.approved,
                                                .make_model = options_.make_model,
                                                .data = options_.data,
                                                .held_out = options_.held_out,
                                                .clients = options_.clients,
                                                .records_of = options_.records_of,
                                                .attack = options_.attack,
                                                .seed = options_.seed,
                                                .threads = options_.threads,
                                                .ranks = options_.ranks,
                                                .progress = [this](uint32_t done, uint32_t of) {
                                                  options_.observer->OnProgress(done, of);
                                                }}));
  training_->Restore(std::move(state_.states));
  FederationEngine::Options options;
  options.spec = options_.approved.spec;
  options.spec_digest = SpecDigest(options.spec);
  options.initial_model = options_.initial_model;
  options.parts = options_.approved.parts;
  options.schema = options_.approved.schema;
  options.key = &key_;
  options.verifier = &certificates_;
  options.random = random_.get();
  options.start_round = [this](absl::Time now, RoundOptions round,
                               std::vector<round::Output>* out) {
    return StartRound(now, std::move(round), out);
  };
  options.hash_models = false;
  options.most_inline_bytes = std::numeric_limits<uint64_t>::max();  // nobody fetches
  options.cohorts = [this](absl::Time now, AttemptNumber attempt, size_t most) {
    return DrawCohort(now, attempt, most);
  };
  DURE_ASSIGN_OR_RETURN(engine_, FederationEngine::Create(std::move(options), state_.run));
  engine_->set_traffic(state_.bytes_received, state_.bytes_sent);
  before_ = options_.approved.parts ? options_.approved.parts->Travelling(options_.initial_model)
                                    : options_.initial_model;
  if (state_.run.model) {
    DURE_ASSIGN_OR_RETURN(before_, ParamsFromBytes(*state_.run.model, before_.size()));
  }
  if (options_.held_out != nullptr) {
    Step(run::Arrived{EvaluatorId(), kEvaluatorName, EVALUATOR});
  } else {
    Step(run::Tick{});
  }
  return absl::OkStatus();
}

// Without replacement, each subset as likely as any other. Of all clients only as much of a random
// order is drawn as is needed.
std::vector<secagg::MemberId> Simulator::DrawCohort(absl::Time now, AttemptNumber attempt,
                                                    size_t most) {
  random_->Begin(attempt.value());
  AesCtrRandom random = StreamOf(options_.seed, "cohort", {.attempt = attempt.value()});
  std::vector<uint32_t> there;
  const bool all = options_.behaviour->always_available();
  if (!all) there = options_.behaviour->AvailableClients(now - start_, attempt.value());
  const auto count = all ? options_.clients : static_cast<uint32_t>(there.size());
  std::unordered_map<uint32_t, uint32_t> moved;  // places of the order that are not their own
  const auto at = [&](uint32_t place) {
    const auto found = moved.find(place);
    return found == moved.end() ? place : found->second;
  };
  Attempt next;
  std::vector<secagg::MemberId> cohort;
  for (uint32_t i = 0; i < count && cohort.size() < most; ++i) {
    // 64 bits modulo at most a million: the bias is below 2^-44.
    const auto other = static_cast<uint32_t>(i + random.NextU64() % (count - i));
    const uint32_t client = all ? at(other) : there[at(other)];
    moved[other] = at(i);
    next.clients.push_back(client);
    cohort.push_back(options_.depth == Depth::kFull
                         ? secagg::MemberIdOf(IdentityOf(options_.seed, client).public_key())
                         : NumberedId(client));
  }
  attempt_ = std::move(next);
  return cohort;
}

absl::StatusOr<std::unique_ptr<RoundMachine>> Simulator::StartRound(
    absl::Time now, RoundOptions options, std::vector<round::Output>* out) {
  attempt_->offer = options;
  attempt_->begun = true;
  if (options_.depth == Depth::kFull) {
    DURE_ASSIGN_OR_RETURN(std::unique_ptr<Round> round, Round::Start(now, std::move(options), out));
    return round;
  }
  auto direct = std::make_unique<DirectRound>();
  attempt_->direct = direct.get();
  return direct;
}

bool Simulator::Advance() {
  while (!over_) {
    if (asked_) {
      Measure();
    } else if (attempt_ && attempt_->begun) {
      const absl::Status status = RunAttempt();
      attempt_.reset();
      if (!status.ok()) {
        over_ = true;
        status_ = status;
      }
      return !over_ || asked_.has_value();
    } else {
      PassTime();
    }
  }
  return false;
}

// To the next moment at which something can happen.
void Simulator::PassTime() {
  attempt_.reset();
  const absl::Time due = engine_->next_deadline();
  if (due != absl::InfiniteFuture()) {
    now_ = std::max(now_, due);
  } else if (++idle_steps_ > kMostIdleSteps) {
    over_ = true;
    status_ = absl::FailedPreconditionError(absl::StrCat(
        "for ", absl::FormatDuration(kIdleStep * kMostIdleSteps),
        " of virtual time fewer than rounds.minimum = ", options_.approved.spec.rounds().minimum(),
        " clients were available: change behaviour.availability, or lower rounds.minimum"));
    return;
  } else {
    now_ += kIdleStep;
  }
  Step(run::Tick{});
  if (attempt_ && attempt_->begun) idle_steps_ = 0;
}

void Simulator::Step(run::Input input) {
  std::vector<run::Output> outputs;
  engine_->Step(now_, std::move(input), &outputs);
  for (run::Output& output : outputs) Take(std::move(output));
}

void Simulator::Take(run::Output output) {
  if (auto* write = std::get_if<run::Write>(&output)) {
    TakeFact(std::move(write->fact));
  } else if (auto* send = std::get_if<run::SendTo>(&output)) {
    if (send->member == EvaluatorId()) {
      if (send->message->has_evaluate()) asked_ = send->message->evaluate();
    } else if (options_.depth == Depth::kFull) {
      messages_.emplace_back(send->member, std::move(send->message));
    }
  } else if (const auto* note = std::get_if<run::Note>(&output)) {
    // Who is left out for being late is asked again here.
    if (options_.depth != Depth::kFull) options_.observer->OnNote(note->warning, note->text);
  } else if (const auto* ended = std::get_if<run::Ended>(&output)) {
    over_ = true;
    status_ = ended->status;
    end_text_ = ended->text;
  }
}

void Simulator::TakeFact(Fact fact) {
  const auto seconds = [&](absl::Time at) { return absl::ToDoubleSeconds(at - start_); };
  if (const auto* released = std::get_if<RoundReleased>(&fact)) {
    training_->Commit();
    absl::StatusOr<std::vector<float>> after = ParamsFromBytes(released->model, before_.size());
    DURE_CHECK(after.ok());  // the engine made them of as many numbers
    RoundLine line{.round = released->round.value(),
                   .attempt = released->attempt.value(),
                   .cohort = released->cohort,
                   .survivors = released->survivors,
                   .epsilon = {},
                   .clip_norm = {},
                   .update_norm = Norm(*after, before_),
                   .virtual_seconds = seconds(released->at),
                   .wall_seconds = options_.wall_seconds(),
                   .bytes_received = released->bytes_received - state_.bytes_received_at_release,
                   .bytes_sent = released->bytes_sent - state_.bytes_sent_at_release};
    state_.bytes_received_at_release = released->bytes_received;
    state_.bytes_sent_at_release = released->bytes_sent;
    const PrivacySection& privacy = options_.approved.spec.privacy();
    if (privacy.unit() != PrivacySection::NONE && std::isfinite(released->epsilon)) {
      line.epsilon = released->epsilon;
    }
    if (privacy.clipping() == PrivacySection::ADAPTIVE) {
      line.clip_norm = state_.run.clip_norm == 0 ? privacy.clip_norm() : state_.run.clip_norm;
    }
    before_ = *std::move(after);
    options_.observer->OnRound(line);
  } else if (const auto* failed = std::get_if<AttemptFailed>(&fact)) {
    options_.observer->OnFailure({.round = state_.run.round.value() + 1,
                                  .attempt = failed->attempt.value(),
                                  .reason = failed->reason,
                                  .virtual_seconds = seconds(failed->at)});
  } else if (const auto* evaluation = std::get_if<EvaluationReceived>(&fact)) {
    options_.observer->OnEvaluation({.round = evaluation->round.value(),
                                     .metrics = evaluation->metrics,
                                     .virtual_seconds = seconds(evaluation->at),
                                     .wall_seconds = options_.wall_seconds()});
  }
  attempt_over_ |= !std::holds_alternative<AttemptBegun>(fact) &&
                   !std::holds_alternative<EvaluationReceived>(fact);
  ApplyFact(std::move(fact), &state_.run);
}

// The evaluator's work. Process 0 measures, and tells the others.
void Simulator::Measure() {
  const EvaluationRequest request = *std::move(asked_);
  asked_.reset();
  ClientMessage answer;
  std::string bytes;
  if (options_.ranks->rank() == 0) {
    TrainableModel& model = training_->model();
    absl::StatusOr<std::vector<float>> params = ParamsFromBytes(request.model(), model.dim());
    DURE_CHECK(params.ok());  // as in TakeFact
    model.SetParams(*params);
    bytes = EvaluateModel(model, DataView(*options_.held_out), options_.threads, options_.metric)
                .SerializeAsString();
  }
  options_.ranks->Broadcast(&bytes);
  answer.mutable_evaluation()->set_round(request.round());
  DURE_CHECK(answer.mutable_evaluation()->mutable_metrics()->ParseFromString(bytes));
  Step(run::Said{EvaluatorId(), std::move(answer)});
}

SimulationState Simulator::State() const {
  SimulationState state = state_;
  state.clock = clock();
  state.states = training_->states();
  return state;
}

std::vector<float> Simulator::Model() const {
  const std::optional<ModelParts>& parts = options_.approved.parts;
  if (!parts) return before_;
  return parts->Join(before_, parts->Personal(options_.initial_model));
}

absl::Status Simulator::RunAttempt() {
  DURE_ASSIGN_OR_RETURN(const OfferedAttempt offered,
                        Understand(options_.approved, attempt_->offer));
  const std::vector<Part> parts = PlanParts(offered);
  CountTraffic(offered, parts);
  return options_.depth == Depth::kFull ? RunFull(offered, parts) : RunDirect(offered, parts);
}

// What becomes of each member, and when, is known before anything is computed.
std::vector<Simulator::Part> Simulator::PlanParts(const OfferedAttempt& offered) const {
  const RoundTerms& terms = offered.terms;
  const FederationSpec& spec = options_.approved.spec;
  const uint32_t attempt = offered.config.attempt();
  const double passes = terms.sums != SumsKind::kTraining    ? 1
                        : terms.mode == LocalSection::EPOCHS ? spec.local().epochs()
                        : terms.mode == LocalSection::DP_SGD
                            ? spec.local().steps() * terms.sampling_rate
                            : terms.sampling_rate;
  std::vector<Part> parts;
  for (const uint32_t client : attempt_->clients) {
    Part part{.client = client, .fate = options_.behaviour->FateOf(client, attempt), .takes = {}};
    const Work work{.records = static_cast<uint64_t>(std::llround(
                        passes * static_cast<double>(options_.records_of(client).size()))),
                    .download_bytes = attempt_->offer.model.size() + attempt_->offer.state.size(),
                    .upload_bytes = terms.upload_bytes};
    part.answers = part.fate.vanishes != Vanishes::kBeforeTraining;
    if (part.answers) part.takes = options_.behaviour->TimesOf(client, part.fate, work).total();
    const bool comes = part.answers && part.fate.vanishes != Vanishes::kAfterKeys &&
                       !part.fate.fails && !part.fate.dropped;
    part.late = comes && part.takes > attempt_->offer.deadline;
    part.asked = comes && !part.late;
    parts.push_back(part);
  }
  return parts;
}

// When the last input is there, or it is clear that none will come any more.
absl::Time Simulator::EndOf(const std::vector<Part>& parts) const {
  absl::Duration last;
  for (const Part& part : parts) {
    last = std::max(last, part.late ? attempt_->offer.deadline
                                    : std::min(part.takes, attempt_->offer.deadline));
  }
  return now_ + absl::Ceil(last, absl::Microseconds(1));  // as exact as a checkpoint
}

void Simulator::CountTraffic(const OfferedAttempt& offered, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    state_.bytes_sent += attempt_->offer.model.size() + attempt_->offer.state.size();
    if (part.asked) state_.bytes_received += offered.terms.upload_bytes;
  }
  engine_->set_traffic(state_.bytes_received, state_.bytes_sent);
}

absl::StatusOr<CohortInputs> Simulator::Train(const OfferedAttempt& offered,
                                              const std::vector<Part>& parts,
                                              std::span<const uint32_t> group_of, uint32_t groups) {
  const uint32_t epochs = options_.approved.spec.local().epochs();
  std::vector<Asked> asked;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].asked) continue;
    asked.push_back({.client = parts[i].client,
                     .group = group_of.empty() ? 0u : group_of[i],
                     .epochs = parts[i].fate.partial ? EpochsOf(parts[i].fate, epochs) : 0});
  }
  DURE_ASSIGN_OR_RETURN(CohortInputs made,
                        training_->Run(offered, asked,
                                       {.members = parts.size(),
                                        .groups = groups,
                                        .keep_inputs = options_.depth == Depth::kFull}));
  if (made.cut_off > 0 && !std::exchange(told_cut_off_, true)) {
    options_.observer->OnNote(
        true, absl::StrCat("in attempt ", offered.config.attempt(), " ", made.cut_off,
                           " coordinates of the clients' updates were beyond ", kFixedGridRange,
                           " and were cut off there: lower local.learning_rate"));
  }
  if (!made.failure.empty() && !std::exchange(told_failure_, true)) {
    options_.observer->OnNote(true, absl::StrCat("a client gave no update: ", made.failure));
  }
  return made;
}

}  // namespace dure::simulation
