#include "coordinator/evaluation_progress.h"

#include <algorithm>
#include <utility>

namespace dure {

EvaluationProgress::Best EvaluationProgress::MeanOf(const Measured& measured) {
  Best best{.round = measured.round};
  double sum = 0;
  for (const auto& [name, answer] : measured.answers) {
    sum += answer.loss * static_cast<double>(answer.records);
    best.records += answer.records;
  }
  best.loss = sum / static_cast<double>(best.records);
  return best;
}

// Whether `now` is below `before` by more than `by`; a new beginning is.
bool EvaluationProgress::Lower(const Measured& now, const Measured& before, double by) {
  double sum_now = 0, sum_before = 0, weight_now = 0, weight_before = 0;
  for (const auto& [name, answer] : now.answers) {
    const auto other = before.answers.find(name);
    if (other == before.answers.end()) continue;
    const auto records = static_cast<double>(answer.records);
    const auto records_before = static_cast<double>(other->second.records);
    sum_now += answer.loss * records;
    weight_now += records;
    sum_before += other->second.loss * records_before;
    weight_before += records_before;
  }
  if (weight_now == 0) return true;
  return sum_now / weight_now < sum_before / weight_before - by;
}

void EvaluationProgress::Add(const EvaluationReceived& evaluation) {
  if (evaluation.metrics.records() == 0) return;
  if (evaluation.round > newest_) {
    if (open_) Close();
    newest_ = evaluation.round;
    open_ = Measured{.round = evaluation.round};
    awaited_ = std::exchange(heard_, {});
  }
  heard_.insert(evaluation.evaluator);
  if (!open_ || evaluation.round != open_->round) return;  // too late
  open_->answers[evaluation.evaluator] = {.loss = evaluation.metrics.loss(),
                                          .records = evaluation.metrics.records()};
  awaited_.erase(evaluation.evaluator);
  // Nobody knows yet who else measures the very first.
  if (!first_ && awaited_.empty()) Close();
}

// The open round counts from here on.
void EvaluationProgress::Close() {
  first_ = false;
  const Measured now = *std::exchange(open_, std::nullopt);
  if (!lowest_ || Lower(now, *lowest_, 0)) lowest_ = now;
  if (exhausted()) return;
  if (!yardstick_ || Lower(now, *yardstick_, options_.min_improvement)) {
    yardstick_ = now;
    without_improvement_ = 0;
  } else {
    ++without_improvement_;
  }
}

std::optional<EvaluationProgress::Best> EvaluationProgress::best() const {
  if (open_ && (!lowest_ || Lower(*open_, *lowest_, 0))) return MeanOf(*open_);
  if (lowest_) return MeanOf(*lowest_);
  return std::nullopt;
}

std::set<RoundNumber> EvaluationProgress::candidates() const {
  std::set<RoundNumber> rounds;
  if (lowest_) rounds.insert(lowest_->round);
  if (open_) rounds.insert(open_->round);
  return rounds;
}

}  // namespace dure
