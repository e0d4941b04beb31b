// What a run leaves behind: facts that are written down before anybody is told of them, and the
// state they add up to. Plain values. The engine makes them, the store keeps them.
#ifndef DURE_COORDINATOR_RUN_STATE_H_
#define DURE_COORDINATOR_RUN_STATE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "base/strong_id.h"
#include "crypto/digest.h"
#include "federation/terms/sums_terms.h"
#include "proto/metrics.pb.h"

namespace dure {

// An attempt is about to be offered; privacy is charged for it from here on.
struct AttemptBegun {
  AttemptNumber attempt;
  RoundNumber round;
  Digest session_id{};
  uint32_t cohort = 0;
  absl::Time at;
  SumsKind kind = SumsKind::kTraining;
};

// An attempt ended without a model.
struct AttemptFailed {
  AttemptNumber attempt;
  std::string reason;
  absl::Time at;
  std::vector<Digest> dealers;  // client ids of those whose shares were seen
};

// A new model. It is also the end of `attempt`.
struct RoundReleased {
  RoundNumber round;
  AttemptNumber attempt;
  uint32_t cohort = 0;
  uint32_t survivors = 0;
  double epsilon = 0;       // charged per record so far
  absl::Duration duration;  // of the round, with its failed attempts
  absl::Time at;
  Digest model_hash{};          // SHA-256 of ParamsToBytes(model)
  std::string model;            // ParamsToBytes
  std::string optimizer;        // ServerOptimizer's saved state
  uint64_t bytes_received = 0;  // since the run began
  uint64_t bytes_sent = 0;
  double clip_norm = 0;         // of the next attempt, with adaptive clipping; 0: the federation's
  std::vector<Digest> dealers;  // client ids of those whose shares were seen
  // Earlier rounds whose models evaluators are measuring: one may turn out to be the best.
  std::vector<RoundNumber> measuring;
};

// The sums of an attempt that was no training. It is also the end of `attempt`.
struct SumsReleased {
  SumsKind kind = SumsKind::kStatistics;
  AttemptNumber attempt;
  RoundNumber round;  // the released model that was measured; of statistics 0
  uint32_t cohort = 0;
  uint32_t survivors = 0;
  double epsilon = 0;        // charged per record so far
  double noise = 0;          // standard deviation of the noise in each number
  std::vector<double> sums;  // 1 is one record
  absl::Time at;
  std::vector<Digest> dealers;  // client ids of those whose shares were seen
};

struct EvaluationReceived {
  RoundNumber round;
  std::string evaluator;
  ModelMetrics metrics;
  absl::Time at;
};

using Fact =
    std::variant<AttemptBegun, AttemptFailed, RoundReleased, EvaluationReceived, SumsReleased>;

// A released round without its model.
struct RoundSummary {
  RoundNumber round;
  AttemptNumber attempt;
  uint32_t cohort = 0;
  uint32_t survivors = 0;
  double epsilon = 0;
  absl::Duration duration;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  std::string model_hash;  // hexadecimal
};

// Everything the facts of a run add up to; empty before the first.
struct RunState {
  RoundNumber round;                 // newest released; 0: the initial model
  AttemptNumber attempts;            // begun so far
  AttemptCounts counts;              // of them
  uint32_t evaluation_attempts = 0;  // begun so far at members' evaluation of `round`
  std::optional<std::string> model;  // absent before the first release
  std::optional<std::string> optimizer;
  double clip_norm = 0;  // of the next attempt, with adaptive clipping; 0: the federation's
  std::vector<RoundSummary> history;
  std::vector<EvaluationReceived> evaluations;  // as they came
  std::optional<SumsReleased> statistics;
  std::vector<SumsReleased> member_evaluations;  // by round
  // The last attempt in which shares of a member were seen, by client id.
  std::map<Digest, AttemptNumber> last_attempts;
};

// `state` becomes what a store that wrote `fact` down would load.
void ApplyFact(Fact fact, RunState* state);

}  // namespace dure

#endif  // DURE_COORDINATOR_RUN_STATE_H_
