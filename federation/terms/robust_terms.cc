#include "federation/terms/robust_terms.h"

#include "absl/strings/str_cat.h"
#include "aggregation/coordinate_rule.h"
#include "aggregation/krum.h"

namespace dure {

const RobustRule& RobustRuleOf(SecureAggregationSection::Robust robust) {
  switch (robust) {
    case SecureAggregationSection::TRIMMED_MEAN:
      return kTrimmedMeanRule;
    case SecureAggregationSection::KRUM:
      return kKrumRule;
    default:  // MEDIAN; a valid federation file has no other
      return kMedianRule;
  }
}

RobustParams RobustParamsOf(const RoundTerms& terms) { return {.trim = terms.trim}; }

absl::StatusOr<uint32_t> PoisonedGroupsBorne(const RoundTerms& terms, uint32_t groups) {
  const absl::StatusOr<uint32_t> borne =
      RobustRuleOf(terms.robust).borne(RobustParamsOf(terms), groups);
  if (borne.ok()) return borne;
  return absl::FailedPreconditionError(
      absl::StrCat(terms.invited, " members make ", groups, " groups of ", terms.group_size,
                   " or more, and a rule combines one vector of each: ", borne.status().message(),
                   ". Choose a smaller group_size or more members"));
}

}  // namespace dure
