#include "client/policy.h"

#include "absl/strings/str_format.h"

namespace dure {

Policy PolicyOf(const FederationSpec& spec) {
  Policy policy;
  policy.max_epsilon = spec.privacy().max_epsilon();
  policy.min_noise_multiplier = spec.privacy().noise_multiplier();
  policy.min_sum = spec.rounds().minimum();
  return policy;
}

absl::Status CheckPolicy(const Policy& policy, const RoundTerms& terms, double epsilon_after_next) {
  // Written so that a number that is not one is refused.
  if (!(terms.noise_multiplier >= policy.min_noise_multiplier)) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "noise multiplier %g is below this member's limit min_noise_multiplier = %g",
        terms.noise_multiplier, policy.min_noise_multiplier));
  }
  if (terms.sum_minimum < policy.min_sum) {
    return absl::PermissionDeniedError(
        absl::StrFormat("a sum of %d members is below this member's limit min_sum = %d",
                        terms.sum_minimum, policy.min_sum));
  }
  if (!(epsilon_after_next <= policy.max_epsilon)) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "this attempt would bring epsilon per record to %.4f, above this member's limit "
        "max_epsilon = %g",
        epsilon_after_next, policy.max_epsilon));
  }
  return absl::OkStatus();
}

absl::Status CheckRecordCount(const FederationSpec& spec, uint64_t records,
                              const std::string& folder) {
  const uint64_t limit = spec.privacy().max_records_per_member();
  if (records == 0) return absl::FailedPreconditionError(folder + " holds no records");
  if (records > limit) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s holds %d records, and the federation's max_records_per_member is %d: register fewer, "
        "or ask the organiser to raise it",
        folder, records, limit));
  }
  return absl::OkStatus();
}

}  // namespace dure
