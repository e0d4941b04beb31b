#include "coordinator/mean_update.h"

#include <bit>
#include <span>

#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/dp/central_noise.h"
#include "privacy/dp/client_update.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

int Log2(uint64_t power_of_two) { return std::countr_zero(power_of_two); }

// Modes without a noise of the message's own, and gradients.
absl::StatusOr<MeanUpdate> Divided(std::span<const int64_t> sum, const RoundTerms& terms,
                                   double divisor) {
  MeanUpdate update{.mean = std::vector<float>(terms.dim)};
  DURE_RETURN_IF_ERROR(dp::DecodeMean(sum.first(terms.dim),
                                      {.scale_log2 = Log2(terms.scale), .expected_batch = divisor},
                                      update.mean));
  return update;
}

absl::StatusOr<MeanUpdate> OfClients(std::span<const int64_t> sum, uint32_t survivors,
                                     const RoundTerms& terms, const std::string& rotation_seed) {
  dp::ClientUpdateParams params = {.dim = terms.dim,
                                   .clip_norm = terms.clip_norm,
                                   .scale_log2 = Log2(terms.scale),
                                   .norm_bound_sq = terms.norm_bound_sq,
                                   .count_coordinate = terms.count_coordinate};
  if (terms.rotation) params.rotation_seed = DigestFromBytes(rotation_seed);
  DURE_ASSIGN_OR_RETURN(const dp::ClientUpdateEncoder encoder,
                        dp::ClientUpdateEncoder::Create(params));
  const double members = survivors;
  // The divisor of a weighted sum is public: members times the mean share that was agreed.
  const double divisor = terms.weighted ? members * static_cast<double>(terms.weight_mean) /
                                              static_cast<double>(terms.weight_max)
                                        : members;
  MeanUpdate update{.mean = std::vector<float>(terms.dim)};
  DURE_RETURN_IF_ERROR(
      encoder.Decode(sum, divisor, /*threads=*/0, update.mean, &update.count_mean));
  update.count_mean *= divisor / members;  // members are counted, not their weights
  return update;
}

}  // namespace

absl::StatusOr<MeanUpdate> ToMeanUpdate(const RingVector& sum, uint32_t survivors,
                                        const RoundTerms& terms, const std::string& rotation_seed,
                                        Random& random) {
  DURE_CHECK(RingSize(sum) == terms.coordinates && survivors >= 1);
  std::vector<int64_t> values = RingToSigned(sum, static_cast<int>(terms.bits));
  if (terms.sigma2_central != 0) {
    AesCtrRandom fresh(random);
    DURE_RETURN_IF_ERROR(dp::AddCentralNoise(terms.sigma2_central, fresh, /*threads=*/0, values));
  }
  if (terms.unit == PrivacySection::CLIENT) {
    return OfClients(values, survivors, terms, rotation_seed);
  }
  if (terms.mode == LocalSection::GRADIENT) return Divided(values, terms, terms.expected_batch);
  if (!terms.weighted) return Divided(values, terms, survivors);
  const int64_t weights = values.back();  // unit none: the true weights, added up
  if (weights <= 0) return absl::FailedPreconditionError("nobody in the sum has any records");
  return Divided(values, terms,
                 static_cast<double>(weights) / static_cast<double>(terms.weight_max));
}

}  // namespace dure
