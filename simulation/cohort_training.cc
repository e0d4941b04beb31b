#include "simulation/cohort_training.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>

#include "base/check.h"
#include "base/status_macros.h"
#include "client/local_part.h"
#include "learner/dp_sgd.h"
#include "learner/epochs.h"
#include "learner/gradient_sum.h"
#include "learner/on_threads.h"
#include "learner/record_sums.h"
#include "simulation/streams.h"

namespace dure::simulation {
namespace {

// Longest processing time first (Graham 1969): each piece of work goes to the rank that has least.
// `order` is by falling cost. The rank of each, by its place in `order`.
std::vector<int> DivideWork(std::span<const size_t> order, std::span<const uint64_t> cost,
                            int ranks) {
  std::vector<uint64_t> load(static_cast<size_t>(ranks));
  std::vector<int> rank_of;
  for (const size_t place : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += cost[place];
    rank_of.push_back(static_cast<int>(least - load.begin()));
  }
  return rank_of;
}

std::vector<size_t> ByFallingCost(std::span<const uint64_t> cost) {
  std::vector<size_t> order(cost.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return cost[a] > cost[b]; });
  return order;
}

}  // namespace

// What one thread trains with.
struct CohortTraining::Worker {
  explicit Worker(std::unique_ptr<TrainableModel> trained)
      : model(std::move(trained)),
        epochs(model.get(), /*threads=*/1),
        dp_sgd(model.get(), /*threads=*/1),
        gradients(*model, /*threads=*/1) {}

  absl::StatusOr<LocalUpdate> Train(const DataView& data, const std::vector<float>& params,
                                    const LocalPlan& plan) {
    if (const auto* gradient = std::get_if<GradientPlan>(&plan)) {
      model->SetParams(params);
      std::vector<int64_t> sums(model->dim());
      DURE_RETURN_IF_ERROR(gradients.Run(data, *gradient, sums));
      return sums;
    }
    std::vector<float> change(model->dim());
    if (const auto* steps = std::get_if<DpSgdPlan>(&plan)) {
      DURE_RETURN_IF_ERROR(dp_sgd.Run(data, params, *steps, change));
    } else {
      DURE_RETURN_IF_ERROR(epochs.Run(data, params, std::get<EpochsPlan>(plan), change));
    }
    return change;
  }

  std::unique_ptr<TrainableModel> model;
  EpochTraining epochs;
  DpSgd dp_sgd;
  GradientSum gradients;
};

// By group. Without groups each thread has a sum of its own; with groups they share them, since
// there may be many.
struct CohortTraining::Sums {
  Sums(size_t threads, uint32_t groups)
      : shared(groups > 1), words(shared ? groups : threads), locks(words.size()) {}

  void Add(size_t thread, uint32_t group, RingVector input) {
    const size_t at = shared ? group : thread;
    const std::lock_guard lock(locks[at]);
    if (!words[at]) {
      words[at] = std::move(input);
    } else {
      AddRing(input, &*words[at]);
    }
  }
  // By group, empty where there is none.
  std::vector<RingVector> Take() {
    std::vector<RingVector> result;
    for (std::optional<RingVector>& part : words) {
      if (shared || result.empty()) {
        result.push_back(part ? *std::move(part) : RingVector());
      } else if (part && RingSize(result[0]) == 0) {
        result[0] = *std::move(part);
      } else if (part) {
        AddRing(*part, &result[0]);
      }
    }
    return result;
  }

  const bool shared;
  std::vector<std::optional<RingVector>> words;
  std::vector<std::mutex> locks;
};

CohortTraining::CohortTraining(Options options) : options_(std::move(options)) {}
CohortTraining::~CohortTraining() = default;

absl::StatusOr<std::unique_ptr<CohortTraining>> CohortTraining::Create(Options options) {
  auto made = std::unique_ptr<CohortTraining>(new CohortTraining(std::move(options)));
  const Options& own = made->options_;
  for (int i = 0; i < own.threads; ++i) {
    DURE_ASSIGN_OR_RETURN(std::unique_ptr<TrainableModel> model, own.make_model());
    made->workers_.push_back(std::make_unique<Worker>(std::move(model)));
  }
  if (own.approved.parts) {
    made->first_state_.personal =
        FirstPersonalValues(*own.approved.parts, own.approved.spec.model());
  }
  // Where clients keep something, each stays with one process.
  if (made->keeps_states() && own.ranks->size() > 1) {
    std::vector<uint64_t> cost(own.clients);
    for (uint32_t i = 0; i < own.clients; ++i) cost[i] = own.records_of(i).size();
    const std::vector<size_t> order = ByFallingCost(cost);
    const std::vector<int> rank_of = DivideWork(order, cost, own.ranks->size());
    made->home_.resize(own.clients);
    for (size_t i = 0; i < order.size(); ++i) {
      made->home_[order[i]] = static_cast<uint8_t>(rank_of[i]);
    }
  }
  return made;
}

TrainableModel& CohortTraining::model() { return *workers_[0]->model; }

bool CohortTraining::keeps_states() const {
  return options_.approved.spec.local().control_variates() ||
         (options_.approved.parts && options_.approved.parts->has_personal());
}

const LocalState& CohortTraining::StateOf(uint32_t client) const {
  const auto found = states_.find(client);
  return found == states_.end() ? first_state_ : found->second;
}

std::vector<size_t> CohortTraining::OwnPart(std::span<const Asked> cohort) const {
  std::vector<uint64_t> cost;
  for (const Asked& asked : cohort) {
    cost.push_back(std::max<uint64_t>(1, options_.records_of(asked.client).size()) *
                   (asked.epochs == 0 ? options_.approved.spec.local().epochs() + uint64_t{1}
                                      : asked.epochs + uint64_t{1}));
  }
  std::vector<size_t> order = ByFallingCost(cost);
  const int ranks = options_.ranks->size();
  if (ranks == 1) return order;
  const std::vector<int> rank_of = DivideWork(order, cost, ranks);
  std::vector<size_t> own;
  for (size_t i = 0; i < order.size(); ++i) {
    const int rank = home_.empty() ? rank_of[i] : home_[cohort[order[i]].client];
    if (rank == options_.ranks->rank()) own.push_back(order[i]);
  }
  return own;
}

absl::StatusOr<LocalUpdate> CohortTraining::TrainMember(const OfferedAttempt& offered,
                                                        const Asked& asked,
                                                        const std::vector<float>& params,
                                                        LocalPlan plan, Worker* worker) const {
  if (const auto* evaluation = std::get_if<EvaluationPlan>(&plan)) {
    // The held-out records are dealt one after the other.
    std::vector<uint32_t> own;
    for (uint64_t i = asked.client; options_.held_out && i < options_.held_out->records();
         i += options_.clients) {
      own.push_back(static_cast<uint32_t>(i));
    }
    if (own.empty()) return std::vector<int64_t>(offered.terms.coordinates);
    worker->model->SetParams(params);
    return EvaluationSums(*worker->model, DataView(*options_.held_out, own), /*threads=*/1,
                          *evaluation);
  }
  if (auto* epochs = std::get_if<EpochsPlan>(&plan); epochs && asked.epochs != 0) {
    epochs->epochs = asked.epochs;
  }
  return worker->Train(DataView(*options_.data, options_.records_of(asked.client)), params, plan);
}

absl::StatusOr<MemberInput> CohortTraining::MakeInput(const OfferedAttempt& offered,
                                                      const Asked& asked,
                                                      const LocalUpdate* together,
                                                      Worker* worker) const {
  const uint32_t attempt = offered.config.attempt();
  AesCtrRandom random =
      StreamOf(options_.seed, "contribution", {.attempt = attempt, .client = asked.client});
  const Attack* const attack = options_.attack;
  const bool byzantine = attack != nullptr && attack->Byzantine(asked.client);
  const auto train = [&](const std::vector<float>& params,
                         LocalPlan plan) -> absl::StatusOr<LocalUpdate> {
    if (byzantine && together != nullptr) return *together;
    DURE_ASSIGN_OR_RETURN(LocalUpdate update,
                          TrainMember(offered, asked, params, std::move(plan), worker));
    if (byzantine && attack->alters_updates()) attack->Alter(attempt, asked.client, &update);
    return update;
  };
  const auto records = static_cast<uint32_t>(options_.records_of(asked.client).size());
  return Contribute(options_.approved, offered, StateOf(asked.client), records, train, random);
}

template <typename Work>
void CohortTraining::OnWorkers(std::span<const size_t> places, const Work& work) {
  std::atomic<size_t> taken = 0;
  OnThreads(std::max<size_t>(1, std::min(workers_.size(), places.size())), [&](size_t thread) {
    for (size_t i = taken++; i < places.size(); i = taken++) work(i, thread);
  });
}

// Those who collude are trained here, on every process: what they send depends on all of them.
absl::StatusOr<std::optional<LocalUpdate>> CohortTraining::Collude(const OfferedAttempt& offered,
                                                                   std::span<const Asked> cohort,
                                                                   size_t members) {
  const Attack* const attack = options_.attack;
  const bool training = offered.terms.sums == SumsKind::kTraining;
  if (attack == nullptr || !attack->colludes() || !training) return std::nullopt;
  std::vector<size_t> places;
  for (size_t i = 0; i < cohort.size(); ++i) {
    if (attack->Byzantine(cohort[i].client)) places.push_back(i);
  }
  std::vector<std::optional<LocalUpdate>> updates(places.size());
  OnWorkers(places, [&](size_t i, size_t thread) {
    const Asked& asked = cohort[places[i]];
    AesCtrRandom random = StreamOf(options_.seed, "contribution",
                                   {.attempt = offered.config.attempt(), .client = asked.client});
    // Only the update is wanted: what follows it is made with what they agree on.
    const auto train = [&](const std::vector<float>& params,
                           LocalPlan plan) -> absl::StatusOr<LocalUpdate> {
      absl::StatusOr<LocalUpdate> update =
          TrainMember(offered, asked, params, std::move(plan), workers_[thread].get());
      if (update.ok()) updates[i] = *std::move(update);
      return absl::CancelledError("the update is known");
    };
    (void)Contribute(options_.approved, offered, StateOf(asked.client),
                     static_cast<uint32_t>(options_.records_of(asked.client).size()), train,
                     random);
  });
  Collusion collusion(*attack, members);
  bool any = false;
  for (const std::optional<LocalUpdate>& update : updates) {
    if (!update) continue;
    collusion.Add(*update);
    any = true;
  }
  if (!any) return std::nullopt;
  return std::optional<LocalUpdate>(collusion.Finish());
}

absl::StatusOr<CohortInputs> CohortTraining::Run(const OfferedAttempt& offered,
                                                 std::span<const Asked> cohort,
                                                 const Wanted& wanted) {
  DURE_CHECK(!wanted.keep_inputs || options_.ranks->size() == 1);
  DURE_ASSIGN_OR_RETURN(const std::optional<LocalUpdate> together,
                        Collude(offered, cohort, wanted.members));
  const std::vector<size_t> own = OwnPart(cohort);
  CohortInputs made;
  made.inputs.resize(wanted.groups);
  made.kept.resize(wanted.keep_inputs ? cohort.size() : 0);
  next_.clear();
  Sums sums(workers_.size(), wanted.groups);
  std::mutex lock;  // of `made`, next_ and `trained`
  uint32_t trained = 0;
  OnWorkers(own, [&](size_t i, size_t thread) {
    const Asked& asked = cohort[own[i]];
    absl::StatusOr<MemberInput> input =
        MakeInput(offered, asked, together ? &*together : nullptr, workers_[thread].get());
    if (input.ok() && !wanted.keep_inputs) {
      sums.Add(thread, asked.group, std::move(input->input));
    }
    const std::lock_guard guard(lock);
    options_.progress(++trained, static_cast<uint32_t>(own.size()));
    if (!input.ok()) {
      made.failure = std::string(input.status().message());
      return;
    }
    ++made.inputs[asked.group];
    made.cut_off += input->cut_off;
    if (input->next) next_[asked.client] = *std::move(input->next);
    if (wanted.keep_inputs) made.kept[own[i]] = std::move(input->input);
  });
  if (wanted.keep_inputs) return made;
  made.sums = sums.Take();
  if (options_.ranks->size() > 1) {
    for (RingVector& sum : made.sums) {
      if (RingSize(sum) == 0) {
        sum = RingZeros(offered.terms.coordinates, static_cast<int>(offered.terms.bits));
      }
    }
    AddUpOverRanks(wanted.groups, &made);
  }
  return made;
}

// One flat all-reduce: the sums, and behind them how many inputs are in each.
void CohortTraining::AddUpOverRanks(uint32_t groups, CohortInputs* made) {
  std::visit(
      [&](const auto& first) {
        using Words = std::decay_t<decltype(first)>;
        Words all;
        const size_t each = first.size();
        all.reserve(groups * each + groups + 1);
        for (const RingVector& sum : made->sums) {
          const Words& words = std::get<Words>(sum);
          all.insert(all.end(), words.begin(), words.end());
        }
        all.insert(all.end(), made->inputs.begin(), made->inputs.end());
        all.push_back(static_cast<typename Words::value_type>(made->cut_off));
        options_.ranks->Sum(std::span(all));
        for (uint32_t group = 0; group < groups; ++group) {
          const auto begin = all.begin() + static_cast<std::ptrdiff_t>(group * each);
          made->sums[group] = Words(begin, begin + static_cast<std::ptrdiff_t>(each));
          made->inputs[group] = static_cast<uint32_t>(all[groups * each + group]);
        }
        made->cut_off = all.back();
      },
      RingVector(made->sums[0]));
}

void CohortTraining::Commit() {
  for (auto& [client, state] : next_) states_[client] = std::move(state);
  next_.clear();
}

}  // namespace dure::simulation
