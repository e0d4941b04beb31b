// The robust rule of a federation: from what its file says to aggregation/robust_rule.h. The one
// switch over the rules. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_ROBUST_TERMS_H_
#define DURE_FEDERATION_TERMS_ROBUST_TERMS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "aggregation/robust_rule.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

// `robust` is that of a valid federation file, and not OFF.
const RobustRule& RobustRuleOf(SecureAggregationSection::Robust robust);

// What the file says to the rule; 0 where a key is left out.
RobustParams RobustParamsOf(const SecureAggregationSection& section);

// What the rule of `terms` makes of the groups' means, at least one and all of one length.
std::vector<float> CombineGroups(const RoundTerms& terms, VectorSpan means);

// How many poisoned groups of `groups` the rule of `terms` bears, at least one.
// FailedPrecondition, with the numbers and the remedy, if it is none, or fewer than were asked for.
absl::StatusOr<uint32_t> PoisonedGroupsBorne(const RoundTerms& terms, uint32_t groups);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_ROBUST_TERMS_H_
