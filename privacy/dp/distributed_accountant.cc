#include "privacy/dp/distributed_accountant.h"

#include <vector>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "privacy/dp/gaussian_accountant.h"

namespace dure::dp {

absl::StatusOr<DistributedAccountant> DistributedAccountant::Create(
    const ClientEncodingParams& params, DistributedMechanism mechanism) {
  if (params.noiseless) return absl::InvalidArgumentError("without noise there is no epsilon");
  DURE_ASSIGN_OR_RETURN(ClientEncoding encoding, DeriveClientEncoding(params));
  const auto norm_bound_sq = static_cast<double>(encoding.norm_bound_sq);
  const auto sigma2 = static_cast<double>(encoding.sigma2_local);
  const DiscreteGaussianSum gaussian = {.dim = params.dim,
                                        .parties = static_cast<double>(params.honest_survivors),
                                        .sigma2_local = sigma2,
                                        .norm_bound_sq = norm_bound_sq};
  const SkellamSum skellam = {.variance = params.honest_survivors * sigma2,
                              .norm_bound_sq = norm_bound_sq,
                              .l1_bound = IntegerL1Bound(params.dim, norm_bound_sq)};
  std::vector<double> rdp;
  for (int order : AllOrders()) {
    rdp.push_back(mechanism == DistributedMechanism::kSkellam
                      ? SkellamSumRdp(skellam, order)
                      : DiscreteGaussianSumRdp(gaussian, order));
  }
  return DistributedAccountant(encoding, RdpCurve(AllOrders(), std::move(rdp)));
}

absl::StatusOr<EpsilonAtOrder> DistributedAccountant::Epsilon(uint64_t participations,
                                                              double delta) const {
  DURE_RETURN_IF_ERROR(CheckDelta(delta));
  return curve_.Epsilon(participations, delta);
}

}  // namespace dure::dp
