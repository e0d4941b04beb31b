// The coordinator's side of sums attempts (federation/terms/sums_terms.h): which is due, its terms,
// and what its opened sums say. Not thread-safe: lives on the engine's strand.
#ifndef DURE_COORDINATOR_SUMS_H_
#define DURE_COORDINATOR_SUMS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/mean_update.h"
#include "coordinator/run_state.h"
#include "crypto/random.h"
#include "federation/terms/sums_terms.h"
#include "learner/data/column_sums.h"
#include "proto/federation.pb.h"
#include "proto/metrics.pb.h"

namespace dure {

class RunSums {
 public:
  // `schema` is the federation's, with statistics; else it may be absent. FailedPrecondition,
  // naming the column, if statistics cannot be taken of it.
  static absl::StatusOr<RunSums> Create(const FederationSpec& spec, std::optional<Schema> schema);

  // What the next attempt is for. kTraining: no sums are due.
  SumsKind Due(const RunState& state) const;
  // Whether all attempts at what is due are used, and the run cannot go on.
  bool UsedUp(const RunState& state) const;
  absl::StatusOr<RoundTerms> Derive(SumsKind kind, uint32_t invited) const;
  absl::StatusOr<RunAccount> Account(const RoundTerms& training) const;
  // Longest input of a member.
  uint64_t UploadBytes(uint32_t invited) const;

  // The opened sum as numbers of which 1 is one record, with the noise of a trusted coordinator.
  absl::StatusOr<std::vector<double>> Read(const GroupSum& sum, const RoundTerms& terms,
                                           Random& random) const;

  // FailedPrecondition unless `sums` has as many numbers as this federation's.
  absl::Status Check(const SumsReleased& sums) const;
  FederatedStatistics StatisticsOf(const SumsReleased& sums) const;
  ModelMetrics MetricsOf(const SumsReleased& sums) const;
  // Beside the model in every offer after the statistics; empty before, and without.
  std::string StandardisationOf(const RunState& state) const;
  // The schema that makes a raw table what the model was trained on; nothing before the statistics.
  std::optional<Schema> CompletedSchema(const RunState& state) const;

 private:
  explicit RunSums(const FederationSpec& spec) : spec_(spec) {}

  FederationSpec spec_;
  std::optional<ColumnSums> columns_;  // with statistics
  EvaluationBounds bounds_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SUMS_H_
