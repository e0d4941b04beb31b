// What a run has cost so far: epsilon per record after so many attempts. Computes the Renyi
// divergence of one attempt once, so that each question afterwards is cheap enough to ask after
// every attempt (docs/secure-aggregation.md sections 2.2 and 2.4). Immutable, thread-safe.
#ifndef DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_
#define DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_

#include <cstdint>
#include <optional>

#include "federation/terms/terms.h"
#include "privacy/dp/record_accountant.h"

namespace dure {

class PrivacyAccount {
 public:
  // `terms` must come from DeriveTerms.
  explicit PrivacyAccount(const RoundTerms& terms);

  // epsilon per record after `attempts` attempts, at the federation's delta less
  // attempts * 2^-40 for the batch cap. 0 for 0 attempts; infinite if the caps alone use delta up,
  // and without noise.
  double EpsilonAfter(uint32_t attempts) const;

  // The most attempts, at most terms.max_attempts, after which epsilon is at most `max_epsilon`.
  uint32_t AttemptsWithin(double max_epsilon) const;

 private:
  double delta_;
  uint32_t max_attempts_;
  std::optional<dp::RecordAccountant> accountant_;  // absent: no noise
};

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_
