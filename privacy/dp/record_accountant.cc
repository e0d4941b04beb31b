#include "privacy/dp/record_accountant.h"

#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure::dp {
namespace {

absl::Status CheckSamplingRate(double sampling_rate) {
  if (sampling_rate > 0 && sampling_rate <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sampling_rate = ", sampling_rate, " is outside (0, 1]"));
}

absl::StatusOr<EpsilonAtOrder> EpsilonOf(const RdpCurve& curve, uint64_t count, double delta) {
  if (!(delta > 0 && delta < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("delta = ", delta, " is outside (0, 1)"));
  }
  return curve.Epsilon(count, delta);
}

}  // namespace

absl::StatusOr<RecordAccountant> RecordAccountant::Create(const RecordGradientParams& params,
                                                          double sampling_rate) {
  DURE_RETURN_IF_ERROR(CheckSamplingRate(sampling_rate));
  if (params.noiseless) return absl::InvalidArgumentError("without noise there is no epsilon");
  DURE_ASSIGN_OR_RETURN(RecordGradient gradient, DeriveRecordGradient(params));
  const DiscreteGaussianSum sum = {.dim = params.dim,
                                   .parties = static_cast<double>(params.honest_survivors),
                                   .sigma2_local = static_cast<double>(gradient.sigma2_local),
                                   .norm_bound_sq = static_cast<double>(gradient.norm_bound_sq)};
  std::vector<double> rdp;
  for (int order : SubsampledOrders()) rdp.push_back(DiscreteGaussianSumRdp(sum, order));
  return RecordAccountant(gradient,
                          RdpCurve(SubsampledOrders(), PoissonSubsampledRdp(sampling_rate, rdp)));
}

absl::StatusOr<EpsilonAtOrder> RecordAccountant::Epsilon(uint64_t attempts, double delta) const {
  return EpsilonOf(curve_, attempts, delta);
}

absl::StatusOr<GaussianAccountant> GaussianAccountant::Create(double sampling_rate,
                                                              double noise_multiplier) {
  DURE_RETURN_IF_ERROR(CheckSamplingRate(sampling_rate));
  if (!(std::isfinite(noise_multiplier) && noise_multiplier > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("noise_multiplier = ", noise_multiplier, " is not a positive finite number"));
  }
  std::vector<double> rdp;
  for (int order : AllOrders()) {
    rdp.push_back(SubsampledGaussianRdp(sampling_rate, noise_multiplier, order));
  }
  return GaussianAccountant(RdpCurve(AllOrders(), std::move(rdp)));
}

absl::StatusOr<EpsilonAtOrder> GaussianAccountant::Epsilon(uint64_t steps, double delta) const {
  return EpsilonOf(curve_, steps, delta);
}

}  // namespace dure::dp
