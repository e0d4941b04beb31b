// Renyi differential privacy at integer orders: the curves of the mechanisms, composition and the
// conversion to (epsilon, delta). Doubles in log space; nothing here touches data.
//
// Sources: Mironov 2017 (RDP); Kairouz, Liu, Steinke 2021 (sum of discrete Gaussians); Zhu, Wang
// 2019, Theorem 5 (Poisson subsampling); Mironov, Talwar, Zhang 2019 (subsampled Gaussian);
// Agarwal, Kairouz, Liu 2021 (Skellam); Wang, Balle, Kasiviswanathan 2019 (without replacement);
// Canonne, Kamath, Steinke 2020, Proposition 12 (conversion).
// Thread-safe: values and pure functions. Preconditions are the programmer's (DURE_CHECK); what
// comes from people or peers is validated by the accountants that call this.
#ifndef DURE_PRIVACY_DP_RDP_H_
#define DURE_PRIVACY_DP_RDP_H_

#include <cstdint>
#include <span>
#include <vector>

namespace dure::dp {

// epsilon in nats and the order at which it was reached.
struct EpsilonAtOrder {
  double epsilon = 0;
  int order = 0;
};

// 2..64: what subsampled mechanisms are accounted at.
std::span<const int> SubsampledOrders();
// 2..128, 256, 512, 1024.
std::span<const int> AllOrders();

// R(order) of one use of a mechanism, at ascending orders of 2 or more.
class RdpCurve {
 public:
  // `values` may be infinite, never negative or not a number. Precondition: equal sizes, not empty.
  RdpCurve(std::span<const int> orders, std::vector<double> values);

  std::span<const int> orders() const { return orders_; }
  std::span<const double> values() const { return values_; }

  // Adds `count` uses of a mechanism with the same orders.
  void Compose(const RdpCurve& other, uint64_t count = 1);

  // The least epsilon over the orders after `count` uses:
  //   count R(a) + ln(1 - 1/a) - ln(delta a) / (a - 1), at least 0.
  // 0 for count = 0. Precondition: 0 < delta < 1.
  EpsilonAtOrder Epsilon(uint64_t count, double delta) const;

 private:
  std::vector<int> orders_;
  std::vector<double> values_;
};

// A sum of `parties` independent vectors of discrete Gaussian noise, each of variance parameter
// sigma2_local in every coordinate, released with a value of L2 sensitivity sqrt(norm_bound_sq).
struct DiscreteGaussianSum {
  uint64_t dim = 0;
  double parties = 0;        // h >= 1
  double sigma2_local = 0;   // > 0
  double norm_bound_sq = 0;  // B^2 > 0; the L1 sensitivity is taken as min(sqrt(d) B, B^2)
};
// Its RDP at `order` > 1.
double DiscreteGaussianSumRdp(const DiscreteGaussianSum& sum, double order);

// A sum of independent vectors of Skellam noise, of variance `variance` in every coordinate
// together, released with a value of L2 sensitivity sqrt(norm_bound_sq) (Agarwal, Kairouz, Liu
// 2021, Theorem 3.5). For comparison with DiscreteGaussianSum.
struct SkellamSum {
  double variance = 0;       // mu > 0
  double norm_bound_sq = 0;  // B^2 > 0
  double l1_bound = 0;       // Delta_1 >= 0
};
// The L1 sensitivity of integers of L2 norm at most sqrt(norm_bound_sq): min(sqrt(d) B, B^2).
double IntegerL1Bound(uint64_t dim, double norm_bound_sq);
// Its RDP at integer `order` >= 2.
double SkellamSumRdp(const SkellamSum& sum, int order);

// The Gaussian mechanism on a Poisson sample of rate q, noise multiplier z > 0, 0 < q <= 1,
// add-or-remove adjacency, integer order >= 2. At q = 1: order / (2 z^2).
double SubsampledGaussianRdp(double sampling_rate, double noise_multiplier, int order);

// Any mechanism on a Poisson sample of rate q: `rdp[i]` is its R at order i + 2, for orders 2..k
// without a gap; so is the result. Factor 3 from the third term on; never more than `rdp` itself.
// Precondition: 0 < q <= 1.
std::vector<double> PoissonSubsampledRdp(double sampling_rate, std::span<const double> rdp);

// The Gaussian mechanism on a fixed-size sample without replacement, `sampling_rate` = sample over
// population; replace-one adjacency, so z is relative to that sensitivity (2 C of a clipped sum);
// at orders 2..64 (Wang, Balle, Kasiviswanathan 2019, Theorem 27, with the bounds of Theorem 9
// where they are smaller). Precondition: 0 < sampling_rate <= 1, z > 0.
std::vector<double> WithoutReplacementRdp(double sampling_rate, double noise_multiplier);

// Every prefix sum of `steps` >= 1 values, each seen once, by a binary tree of Gaussians (DP-FTRL,
// Kairouz and others 2021): order ceil(log2(steps + 1)) / (2 z^2).
double TreeRdp(uint64_t steps, double noise_multiplier, double order);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_RDP_H_
