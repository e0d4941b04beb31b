#include "privacy/dp/gaussian_accountant.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure::dp {
namespace {

absl::Status CheckUses(const GaussianUses& uses) {
  DURE_RETURN_IF_ERROR(CheckSamplingRate(uses.sampling_rate));
  DURE_RETURN_IF_ERROR(CheckNoiseMultiplier(uses.noise_multiplier));
  if (uses.steps > kMaxSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps = ", uses.steps, " is above ", kMaxSteps));
  }
  return absl::OkStatus();
}

absl::StatusOr<EpsilonAtOrder> Finite(const EpsilonAtOrder& result) {
  if (std::isfinite(result.epsilon)) return result;
  return absl::OutOfRangeError(
      "epsilon has no bound with these numbers: raise noise_multiplier or lower steps");
}

EpsilonAtOrder RdpEpsilon(std::span<const GaussianUses> uses, double delta) {
  RdpCurve total(AllOrders(), std::vector<double>(AllOrders().size()));
  uint64_t steps = 0;
  for (const GaussianUses& use : uses) {
    std::vector<double> rdp;
    for (int order : AllOrders()) {
      rdp.push_back(SubsampledGaussianRdp(use.sampling_rate, use.noise_multiplier, order));
    }
    total.Compose(RdpCurve(AllOrders(), std::move(rdp)), use.steps);
    steps += use.steps;
  }
  return total.Epsilon(steps == 0 ? 0 : 1, delta);
}

}  // namespace

absl::Status CheckNoiseMultiplier(double noise_multiplier) {
  if (noise_multiplier >= kMinNoiseMultiplier && noise_multiplier <= kMaxNoiseMultiplier) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("noise_multiplier = ", noise_multiplier,
                                                 " is outside ", kMinNoiseMultiplier, " to ",
                                                 kMaxNoiseMultiplier));
}

absl::Status CheckSamplingRate(double sampling_rate) {
  if (sampling_rate >= kMinSamplingRate && sampling_rate <= 1) return absl::OkStatus();
  if (sampling_rate > 0 && sampling_rate < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampling_rate = ", sampling_rate, " is below ", kMinSamplingRate));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("sampling_rate = ", sampling_rate, " is outside (0, 1]"));
}

absl::Status CheckDelta(double delta) {
  if (delta >= kMinDelta && delta < 1) return absl::OkStatus();
  if (delta > 0 && delta < 1) {
    return absl::InvalidArgumentError(absl::StrCat("delta = ", delta, " is below ", kMinDelta));
  }
  return absl::InvalidArgumentError(absl::StrCat("delta = ", delta, " is outside (0, 1)"));
}

absl::StatusOr<EpsilonAtOrder> AccountGaussian(std::span<const GaussianUses> uses, double delta,
                                               Accountant accountant) {
  DURE_RETURN_IF_ERROR(CheckDelta(delta));
  for (const GaussianUses& use : uses) DURE_RETURN_IF_ERROR(CheckUses(use));
  const EpsilonAtOrder rdp = RdpEpsilon(uses, delta);
  if (accountant == Accountant::kRdp) return Finite(rdp);
  DURE_ASSIGN_OR_RETURN(double pld, PldEpsilon(uses, delta));
  return Finite({.epsilon = std::min(pld, rdp.epsilon), .order = 0});
}

absl::StatusOr<EpsilonAtOrder> AccountWithoutReplacement(const GaussianUses& uses, double delta) {
  DURE_RETURN_IF_ERROR(CheckDelta(delta));
  DURE_RETURN_IF_ERROR(CheckUses(uses));
  std::vector<double> whole;
  for (int order : SubsampledOrders()) {
    whole.push_back(SubsampledGaussianRdp(1, uses.noise_multiplier, order));
  }
  const EpsilonAtOrder amplified =
      RdpCurve(SubsampledOrders(), WithoutReplacementRdp(uses.sampling_rate, uses.noise_multiplier))
          .Epsilon(uses.steps, delta);
  const EpsilonAtOrder plain =
      RdpCurve(SubsampledOrders(), std::move(whole)).Epsilon(uses.steps, delta);
  return Finite(amplified.epsilon <= plain.epsilon ? amplified : plain);
}

absl::StatusOr<EpsilonAtOrder> AccountTree(const GaussianUses& uses, double delta) {
  DURE_RETURN_IF_ERROR(CheckDelta(delta));
  DURE_RETURN_IF_ERROR(CheckUses(uses));
  if (uses.sampling_rate != 1) {
    return absl::InvalidArgumentError(absl::StrCat("sampling_rate = ", uses.sampling_rate,
                                                   " with a tree: only 1 has an accountant"));
  }
  if (uses.steps == 0) return EpsilonAtOrder{.epsilon = 0, .order = AllOrders().front()};
  std::vector<double> rdp;
  for (int order : AllOrders()) rdp.push_back(TreeRdp(uses.steps, uses.noise_multiplier, order));
  return Finite(RdpCurve(AllOrders(), std::move(rdp)).Epsilon(1, delta));
}

}  // namespace dure::dp
