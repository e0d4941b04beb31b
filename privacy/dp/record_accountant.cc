#include "privacy/dp/record_accountant.h"

#include <vector>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "privacy/dp/gaussian_accountant.h"

namespace dure::dp {

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
  DURE_RETURN_IF_ERROR(CheckDelta(delta));
  return curve_.Epsilon(attempts, delta);
}

}  // namespace dure::dp
