#include "privacy/dp/attempt_cost.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "privacy/dp/discrete_gaussian.h"

namespace dure::dp {
namespace {

constexpr uint64_t kMaxDim = uint64_t{1} << 32;

bool NeedsSubsamplingTheorem(const AttemptCost& cost) {
  return cost.sampling_rate < 1 && cost.parties > 1;
}

// One discrete Gaussian on a Poisson sample.
std::vector<double> OfOneParty(const AttemptCost& cost, std::span<const int> orders) {
  const double noise_multiplier = std::sqrt(static_cast<double>(cost.sigma2)) /
                                  std::sqrt(static_cast<double>(cost.norm_bound_sq));
  std::vector<double> rdp;
  for (int order : orders) {
    rdp.push_back(SubsampledGaussianRdp(cost.sampling_rate, noise_multiplier, order));
  }
  return rdp;
}

std::vector<double> OfManyParties(const AttemptCost& cost, std::span<const int> orders) {
  const DiscreteGaussianSum sum = {.dim = cost.dim,
                                   .parties = static_cast<double>(cost.parties),
                                   .sigma2_local = static_cast<double>(cost.sigma2),
                                   .norm_bound_sq = static_cast<double>(cost.norm_bound_sq)};
  std::vector<double> rdp;
  for (int order : orders) rdp.push_back(DiscreteGaussianSumRdp(sum, order));
  return NeedsSubsamplingTheorem(cost) ? PoissonSubsampledRdp(cost.sampling_rate, rdp) : rdp;
}

}  // namespace

absl::Status ValidateAttemptCost(const AttemptCost& cost) {
  auto outside = [](absl::string_view name, auto value, absl::string_view limits) {
    return absl::InvalidArgumentError(absl::StrCat(name, " = ", value, " is outside ", limits));
  };
  if (cost.dim < 1 || cost.dim > kMaxDim) return outside("dim", cost.dim, "1 to 2^32");
  if (cost.parties < 1) return outside("parties", cost.parties, "1 and more");
  if (cost.sigma2 > DiscreteGaussian::kMaxSigma2)
    return outside("sigma2", cost.sigma2, "0 to 2^40");
  if (cost.norm_bound_sq < 1) return outside("norm_bound_sq", cost.norm_bound_sq, "1 and more");
  if (!(cost.sampling_rate > 0 && cost.sampling_rate <= 1)) {
    return outside("sampling_rate", cost.sampling_rate, "(0, 1]");
  }
  if (cost.uses < 1) return outside("uses", cost.uses, "1 and more");
  return absl::OkStatus();
}

std::span<const int> OrdersFor(const AttemptCost& cost) {
  return NeedsSubsamplingTheorem(cost) ? SubsampledOrders() : AllOrders();
}

RdpCurve CurveOf(const AttemptCost& cost, std::span<const int> orders) {
  DURE_CHECK(ValidateAttemptCost(cost).ok());
  std::vector<double> rdp;
  if (cost.sigma2 == 0) {
    rdp.assign(orders.size(), std::numeric_limits<double>::infinity());
  } else {
    rdp = cost.parties == 1 ? OfOneParty(cost, orders) : OfManyParties(cost, orders);
  }
  for (double& value : rdp) value *= cost.uses;
  return RdpCurve(orders, std::move(rdp));
}

}  // namespace dure::dp
