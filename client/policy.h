// A member's own limits. The coordinator cannot lower them: what it offers is derived again here
// and compared. Thread-safe: values and pure functions.
#ifndef DURE_CLIENT_POLICY_H_
#define DURE_CLIENT_POLICY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

struct Policy {
  // Most epsilon per record that this member will ever spend in the federation.
  double max_epsilon = 0;
  // Least noise multiplier.
  double min_noise_multiplier = 0;
  // Fewest inputs in a sum that this member helps to open.
  uint32_t min_sum = 0;
};

// What a member agrees to by joining: the limits of the federation file.
Policy PolicyOf(const FederationSpec& spec);

// Naming the limit, its value and what was offered: PermissionDenied if `terms` are below `policy`;
// ResourceExhausted if epsilon per record would be above it with the attempt that is offered
// (`epsilon_after_next`).
absl::Status CheckPolicy(const Policy& policy, const RoundTerms& terms, double epsilon_after_next);

// FailedPrecondition, with both numbers, if `records` in `folder` are none, or more than the
// federation's public bound on one member's.
absl::Status CheckRecordCount(const FederationSpec& spec, uint64_t records,
                              const std::string& folder);

}  // namespace dure

#endif  // DURE_CLIENT_POLICY_H_
