#include "federation/terms/robust_terms.h"

#include "absl/strings/str_cat.h"
#include "aggregation/coordinate_rule.h"
#include "aggregation/geometric_median.h"
#include "aggregation/krum.h"
#include "aggregation/norm_bound.h"

namespace dure {

const RobustRule& RobustRuleOf(SecureAggregationSection::Robust robust) {
  // clang-format off
  switch (robust) {
    case SecureAggregationSection::TRIMMED_MEAN: return kTrimmedMeanRule;
    case SecureAggregationSection::KRUM: return kKrumRule;
    case SecureAggregationSection::MULTI_KRUM: return kMultiKrumRule;
    case SecureAggregationSection::GEOMETRIC_MEDIAN: return kGeometricMedianRule;
    case SecureAggregationSection::NORM_BOUND: return kNormBoundRule;
    default: return kMedianRule;  // a valid federation file has no other
  }
  // clang-format on
}

RobustParams RobustParamsOf(const SecureAggregationSection& section) {
  return {.trim = section.trim(),
          .max_poisoned = section.max_poisoned(),
          .norm_bound = section.norm_bound()};
}

std::vector<float> CombineGroups(const RoundTerms& terms, VectorSpan means) {
  return RobustRuleOf(terms.robust).combine(terms.robust_params, means);
}

absl::StatusOr<uint32_t> PoisonedGroupsBorne(const RoundTerms& terms, uint32_t groups) {
  const absl::StatusOr<uint32_t> borne =
      RobustRuleOf(terms.robust).borne(terms.robust_params, groups);
  if (borne.ok()) return borne;
  return absl::FailedPreconditionError(
      absl::StrCat(terms.invited, " members make ", groups, " groups of ", terms.group_size,
                   " or more, and a rule combines one vector of each: ", borne.status().message(),
                   ". Choose a smaller group_size or more members"));
}

}  // namespace dure
