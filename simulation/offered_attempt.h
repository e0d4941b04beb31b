// What every member of an attempt is offered, understood as a member does (client/engine.h), and
// what a member makes of it: its plan, its update, its integers. The work itself is the member's
// own code, client/contribution.h. Thread-safe: constant once made, and pure functions.
#ifndef DURE_SIMULATION_OFFERED_ATTEMPT_H_
#define DURE_SIMULATION_OFFERED_ATTEMPT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ring.h"
#include "client/local_state.h"
#include "coordinator/round_machine.h"
#include "crypto/random.h"
#include "federation/model_parts.h"
#include "federation/terms/terms.h"
#include "learner/data/column_sums.h"
#include "learner/data/schema.h"
#include "learner/trainer.h"
#include "proto/federation.pb.h"
#include "proto/secagg.pb.h"

namespace dure::simulation {

// What the members of one federation know of it.
struct Approved {
  FederationSpec spec;
  std::optional<ModelParts> parts;  // absent: everything travels
  std::optional<Schema> schema;     // data.schema
  uint64_t dim = 0;                 // parameters that travel
};

struct OfferedAttempt {
  RoundTerms terms;
  secagg::RoundConfig config;
  std::vector<float> params;   // that travel; empty with statistics
  std::vector<float> control;  // the server's, with control variates
  Standardisation standards;
  std::optional<LocalPlan> sums_plan;  // of an attempt that is no training
};

// InvalidArgument if the offer is not what a member derives from the same terms.
absl::StatusOr<OfferedAttempt> Understand(const Approved& approved, const RoundOptions& offer);

// Trains, or adds up, as Trainer::Train.
using TrainFunction =
    std::function<absl::StatusOr<LocalUpdate>(const std::vector<float>& params, LocalPlan plan)>;

struct MemberInput {
  RingVector input;
  std::optional<LocalState> next;  // to keep if the attempt is released with this input in its sum
  uint64_t cut_off = 0;            // coordinates beyond the fixed grid
};

// One member's input. `random` decides its noise, its coins and its rounding, in this order. Errors
// are those after which a member leaves the attempt.
absl::StatusOr<MemberInput> Contribute(const Approved& approved, const OfferedAttempt& offered,
                                       const LocalState& local, uint32_t records,
                                       const TrainFunction& train, AesCtrRandom& random);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_OFFERED_ATTEMPT_H_
