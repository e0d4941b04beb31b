#include "federation/terms/privacy_account.h"

#include <cmath>
#include <limits>

#include "base/check.h"

namespace dure {

namespace {

// What one attempt adds to delta: P[a batch reaches its cap].
const double kDeltaPerAttempt = std::ldexp(1.0, -dp::kBatchCapBits);

std::optional<dp::RecordAccountant> MakeAccountant(const RoundTerms& terms) {
  if (terms.sigma2_local == 0) return std::nullopt;
  absl::StatusOr<dp::RecordAccountant> accountant =
      dp::RecordAccountant::Create({.dim = terms.dim,
                                    .clip_norm = terms.clip_norm,
                                    .noise_multiplier = terms.noise_multiplier,
                                    .honest_survivors = terms.honest_survivors},
                                   terms.sampling_rate);
  DURE_CHECK(accountant.ok());
  DURE_CHECK(accountant->gradient().sigma2_local == terms.sigma2_local);
  return *std::move(accountant);
}

}  // namespace

PrivacyAccount::PrivacyAccount(const RoundTerms& terms)
    : delta_(terms.delta), max_attempts_(terms.max_attempts), accountant_(MakeAccountant(terms)) {}

double PrivacyAccount::EpsilonAfter(uint32_t attempts) const {
  if (attempts == 0) return 0;
  if (!accountant_) return std::numeric_limits<double>::infinity();
  const double delta = delta_ - attempts * kDeltaPerAttempt;
  absl::StatusOr<dp::EpsilonAtOrder> epsilon = accountant_->Epsilon(attempts, delta);
  return epsilon.ok() ? epsilon->epsilon : std::numeric_limits<double>::infinity();
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
