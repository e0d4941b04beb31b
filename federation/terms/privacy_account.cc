#include "federation/terms/privacy_account.h"

#include <limits>

namespace dure {

PrivacyAccount::PrivacyAccount(const RoundTerms& terms)
    : delta_(terms.delta),
      delta_per_attempt_(terms.delta_per_attempt),
      max_attempts_(terms.max_attempts),
      curve_(dp::CurveOf(CostOf(terms), dp::OrdersFor(CostOf(terms)))) {}

double PrivacyAccount::EpsilonAfter(uint32_t attempts) const {
  if (attempts == 0) return 0;
  const double delta = delta_ - attempts * delta_per_attempt_;
  if (!(delta > 0)) return std::numeric_limits<double>::infinity();
  return curve_.Epsilon(attempts, delta).epsilon;
}

uint32_t PrivacyAccount::AttemptsWithin(double max_epsilon) const {
  // epsilon grows with the attempts: the last number that is within the limit, by bisection.
  uint32_t within = 0, above = max_attempts_ + 1;
  while (above - within > 1) {
    const uint32_t middle = within + (above - within) / 2;
    (EpsilonAfter(middle) <= max_epsilon ? within : above) = middle;
  }
  return within;
}

}  // namespace dure
