// What a run has cost so far: epsilon after so many attempts. Computes the Renyi
// divergence of one attempt once, so that each question afterwards is cheap enough to ask after
// every attempt (docs/secure-aggregation.md sections 2.2 and 2.4). Immutable, thread-safe.
#ifndef DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_
#define DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_

#include <cstdint>

#include "federation/terms/terms.h"
#include "privacy/dp/rdp.h"

namespace dure {

class PrivacyAccount {
 public:
  // `terms` must come from DeriveTerms.
  explicit PrivacyAccount(const RoundTerms& terms);

  // epsilon per record, or per member with unit client, after `attempts` attempts, at the
  // federation's delta less what the batch caps take (RoundTerms::delta_per_attempt). 0 for 0
  // attempts; infinite if the caps alone use delta up, and without noise.
  double EpsilonAfter(uint32_t attempts) const;

  // The most attempts, at most terms.max_attempts, after which epsilon is at most `max_epsilon`.
  uint32_t AttemptsWithin(double max_epsilon) const;

 private:
  double delta_;
  double delta_per_attempt_;
  uint32_t max_attempts_;
  dp::RdpCurve curve_;  // of one attempt
};

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_PRIVACY_ACCOUNT_H_
