// Which released model measured best, and whether the run still gets better: early stopping
// (evaluation.patience, evaluation.min_improvement) and the model that is kept as the best. What
// there is to know follows from the evaluations that were recorded, in the order in which they
// came, and from nothing else: a restart at any moment finds the same. Not thread-safe.
//
// A round counts once every evaluator heard from since the measured round before it was first
// answered has measured it, or once somebody has measured a later one. Answers that come after that
// are too late. Two rounds are compared by the mean loss, weighted by records, of the evaluators
// that measured both; of rounds that none measured both the later is a new beginning.
#ifndef DURE_COORDINATOR_EVALUATION_PROGRESS_H_
#define DURE_COORDINATOR_EVALUATION_PROGRESS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "coordinator/run_state.h"

namespace dure {

class EvaluationProgress {
 public:
  struct Options {
    uint32_t patience = 0;       // 0: the run does not end early
    double min_improvement = 0;  // 0 or more
  };
  EvaluationProgress() = default;
  explicit EvaluationProgress(Options options) : options_(options) {}

  // The next evaluation that was recorded, with a finite loss. One of no records says nothing.
  void Add(const EvaluationReceived& evaluation);

  struct Best {
    RoundNumber round;
    double loss = 0;  // the mean, weighted by records
    uint64_t records = 0;
  };
  // The round with the lowest loss, the first of equals, the newest included as far as it has been
  // measured. Nothing before the first evaluation.
  std::optional<Best> best() const;

  // Rounds that may yet become the best: of no others is a model needed.
  std::set<RoundNumber> candidates() const;

  // Rounds in a row that count and did not lower the loss by more than min_improvement.
  uint32_t without_improvement() const { return without_improvement_; }
  // Whether that became `patience`. It stays so; what is measured then may yet be the best.
  bool exhausted() const {
    return options_.patience > 0 && without_improvement_ >= options_.patience;
  }

 private:
  struct Answer {
    double loss = 0;
    uint64_t records = 0;
  };
  struct Measured {
    RoundNumber round;
    std::map<std::string, Answer> answers;  // by evaluator
  };
  static bool Lower(const Measured& now, const Measured& before, double by);
  static Best MeanOf(const Measured& measured);
  void Close();

  Options options_;
  std::optional<Measured> open_;       // the newest that was measured, while answers to it count
  RoundNumber newest_;                 // that was measured
  std::set<std::string> heard_;        // since newest_ was first measured
  std::set<std::string> awaited_;      // for the open one to count
  bool first_ = true;                  // no round has counted yet
  std::optional<Measured> lowest_;     // of the rounds that count
  std::optional<Measured> yardstick_;  // the last that counted as lower
  uint32_t without_improvement_ = 0;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_EVALUATION_PROGRESS_H_
