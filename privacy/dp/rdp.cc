#include "privacy/dp/rdp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <utility>

#include "base/check.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMaxSubsampledOrder = 64;
constexpr int kMaxOrder = 1024;

// ln(n!) for n = 0..kMaxOrder.
const std::array<double, kMaxOrder + 1>& LogFactorials() {
  static const auto* table = [] {
    auto* logs = new std::array<double, kMaxOrder + 1>();
    long double sum = 0;
    for (int n = 1; n <= kMaxOrder; ++n) {
      sum += std::log(static_cast<long double>(n));
      (*logs)[n] = static_cast<double>(sum);
    }
    return logs;
  }();
  return *table;
}

double LogBinomial(int n, int k) {
  const auto& logs = LogFactorials();
  return logs[n] - logs[k] - logs[n - k];
}

// ln(e^x - 1) for x >= 0.
double LogExpm1(double x) {
  return x > 36 ? x + std::log1p(-std::exp(-x)) : std::log(std::expm1(x));
}

// ln(1 + e^x).
double LogOnePlusExp(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

// R(order) of a Poisson sample of rate q < 1 whose moments are e^log_moment(l), l = 2..order:
//   (order - 1) R = ln(1 + sum_l C(order, l) q^l (1 - q)^(order - l) (e^log_moment(l) - 1)).
// The 1 stands apart, so that nothing is lost where the sum is small.
double SampledRdp(double q, int order, const std::function<double(int)>& log_moment) {
  std::vector<double> terms;
  double largest = -kInfinity;
  for (int l = 2; l <= order; ++l) {
    double moment = log_moment(l);
    if (moment == kInfinity) return kInfinity;
    terms.push_back(LogBinomial(order, l) + l * std::log(q) + (order - l) * std::log1p(-q) +
                    LogExpm1(moment));
    largest = std::max(largest, terms.back());
  }
  if (largest == -kInfinity) return 0;
  double sum = 0;
  for (double term : terms) sum += std::exp(term - largest);
  return LogOnePlusExp(largest + std::log(sum)) / (order - 1);
}

// tau: how far the sum of discrete Gaussians is from one discrete Gaussian. The terms fall with k;
// those past kExactTerms are all taken as large as the first of them.
double SumDistance(const DiscreteGaussianSum& sum) {
  constexpr double kExactTerms = 4096;
  const double pi_squared = std::numbers::pi * std::numbers::pi;
  auto term = [&](double k) {
    return std::exp(-2 * pi_squared * sum.sigma2_local * (k / (k + 1)));
  };
  if (term(1) == 0) return 0;  // below 1e-300
  const double terms = sum.parties - 1;
  double total = 0;
  for (double k = 1; k <= std::min(terms, kExactTerms); ++k) total += term(k);
  if (terms > kExactTerms) total += (terms - kExactTerms) * term(kExactTerms + 1);
  return 10 * total;
}

}  // namespace

std::span<const int> SubsampledOrders() {
  return AllOrders().first(kMaxSubsampledOrder - 1);  // 2..64
}

std::span<const int> AllOrders() {
  static const auto* orders = [] {
    auto* list = new std::vector<int>();
    for (int order = 2; order <= 128; ++order) list->push_back(order);
    list->insert(list->end(), {256, 512, kMaxOrder});
    return list;
  }();
  return *orders;
}

RdpCurve::RdpCurve(std::span<const int> orders, std::vector<double> values)
    : orders_(orders.begin(), orders.end()), values_(std::move(values)) {
  DURE_CHECK(!orders_.empty() && orders_.size() == values_.size());
  DURE_CHECK(orders_.front() >= 2 && std::is_sorted(orders_.begin(), orders_.end()));
  for (double value : values_) DURE_CHECK(value >= 0);
}

void RdpCurve::Compose(const RdpCurve& other, uint64_t count) {
  DURE_CHECK(orders_ == other.orders_);
  if (count == 0) return;
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] += static_cast<double>(count) * other.values_[i];
  }
}

EpsilonAtOrder RdpCurve::Epsilon(uint64_t count, double delta) const {
  DURE_CHECK(delta > 0 && delta < 1);
  EpsilonAtOrder best = {.epsilon = kInfinity, .order = orders_.front()};
  if (count == 0) return {.epsilon = 0, .order = orders_.front()};
  for (size_t i = 0; i < orders_.size(); ++i) {
    const double order = orders_[i];
    const double total = static_cast<double>(count) * values_[i];
    double epsilon = total + std::log1p(-1 / order) - std::log(delta * order) / (order - 1);
    // Total variation distance at most sqrt(1 - e^-R) (Bretagnolle and Huber): (0, delta) holds.
    if (delta * delta + std::expm1(-total) > 0) epsilon = 0;
    epsilon = std::max(epsilon, 0.0);
    if (epsilon < best.epsilon) best = {.epsilon = epsilon, .order = orders_[i]};
  }
  return best;
}

double DiscreteGaussianSumRdp(const DiscreteGaussianSum& sum, double order) {
  DURE_CHECK(sum.dim >= 1 && sum.parties >= 1 && sum.sigma2_local > 0 && sum.norm_bound_sq > 0);
  DURE_CHECK(order > 1);
  const double tau = SumDistance(sum);
  const double dim = static_cast<double>(sum.dim);
  const double bound = std::sqrt(sum.norm_bound_sq);
  const double noise = std::sqrt(sum.parties * sum.sigma2_local);
  const double l2 = bound / noise;
  const double l1 = IntegerL1Bound(sum.dim, sum.norm_bound_sq) / noise;
  const double l2_shifted = l2 + std::sqrt(dim) * tau;
  return std::min({order / 2 * l2 * l2 + tau * dim,
                   order / 2 * (l2 * l2 + 2 * l1 * tau + tau * tau * dim),
                   order / 2 * l2_shifted * l2_shifted});
}

double IntegerL1Bound(uint64_t dim, double norm_bound_sq) {
  return std::min(std::sqrt(static_cast<double>(dim)) * std::sqrt(norm_bound_sq), norm_bound_sq);
}

double SkellamSumRdp(const SkellamSum& sum, int order) {
  DURE_CHECK(sum.variance > 0 && sum.norm_bound_sq > 0 && sum.l1_bound >= 0 && order >= 2);
  const double mu = sum.variance;
  const double excess =
      std::min(((2.0 * order - 1) * sum.norm_bound_sq + 6 * sum.l1_bound) / (4 * mu * mu),
               3 * sum.l1_bound / (2 * mu));
  return order * sum.norm_bound_sq / (2 * mu) + excess;
}

double SubsampledGaussianRdp(double sampling_rate, double noise_multiplier, int order) {
  DURE_CHECK(sampling_rate > 0 && sampling_rate <= 1 && noise_multiplier > 0);
  DURE_CHECK(order >= 2 && order <= kMaxOrder);
  const double two_z2 = 2 * noise_multiplier * noise_multiplier;
  if (sampling_rate == 1) return order / two_z2;
  return SampledRdp(sampling_rate, order,
                    [two_z2](int l) { return static_cast<double>(l) * (l - 1) / two_z2; });
}

std::vector<double> PoissonSubsampledRdp(double sampling_rate, std::span<const double> rdp) {
  DURE_CHECK(sampling_rate > 0 && sampling_rate <= 1);
  DURE_CHECK(rdp.size() <= static_cast<size_t>(kMaxOrder - 1));
  std::vector<double> result(rdp.begin(), rdp.end());
  if (sampling_rate == 1) return result;
  const double log_factor = std::log(3.0);
  for (size_t i = 0; i < rdp.size(); ++i) {
    // Sampling never costs more than no sampling: Renyi divergence is quasi-convex.
    result[i] = std::min(rdp[i], SampledRdp(sampling_rate, static_cast<int>(i) + 2, [&](int l) {
                           return (l - 1) * rdp[l - 2] + (l == 2 ? 0 : log_factor);
                         }));
  }
  return result;
}

}  // namespace dure::dp
