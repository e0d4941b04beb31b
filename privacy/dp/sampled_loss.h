// The privacy loss of one use of the Gaussian mechanism on a Poisson sample, made discrete so that
// it can be composed. With l(x) = ln(1 - q + q e^y), y = (2 x - 1) / (2 z^2):
//   remove  the loss is  l(x), x from (1 - q) N(0, z^2) + q N(1, z^2)   (with the record, without)
//   add     the loss is -l(x), x from N(0, z^2)
// Losses stand on the grid k h. The probability between two grid points goes to both of them so
// that probability and mean of e^-loss are kept ("connect the dots", Doroshenko, Ghazi, Kamath,
// Kumar, Manurangsi 2022): the result dominates the true pair, under composition too. What is cut
// off at the ends goes up: to the next grid point, or to an infinite loss. Thread-safe.
#ifndef DURE_PRIVACY_DP_SAMPLED_LOSS_H_
#define DURE_PRIVACY_DP_SAMPLED_LOSS_H_

#include <cstdint>
#include <vector>

namespace dure::dp {

// 0 < q <= 1, z > 0. With q = 1 both directions are the same distribution.
struct SampledGaussian {
  double sampling_rate = 1;
  double noise_multiplier = 0;
};

enum class LossDirection { kRemove, kAdd };

// P[loss = (first + i) step] = mass[i]; P[loss infinite] = infinite.
struct DiscreteLoss {
  double step = 0;
  int64_t first = 0;
  std::vector<double> mass;
  double infinite = 0;
};

// Relative error of each mass: quadrature and rounding together.
inline constexpr double kMassError = 1e-12;

class SampledLoss {
 public:
  // `tail`: probability that may be cut off at either end, 1e-300 to 0.1.
  // Preconditions: 0 < q <= 1, z >= kMinNoiseMultiplier and finite.
  SampledLoss(const SampledGaussian& mechanism, LossDirection direction, double tail);

  // Below it, the losses spread over more panels than is worth while.
  static constexpr double kMinNoiseMultiplier = 0.01;

  double least() const { return least_; }
  double greatest() const { return greatest_; }
  // How far a loss may be off its computed value.
  double loss_error() const { return loss_error_; }

  // Precondition: (greatest() - least()) / step below 2^26.
  DiscreteLoss Discretise(double step) const;

  // ln E[e^(theta loss)] without what is cut off, and its first and second derivative in theta.
  // Good to a few digits: for choosing a grid, never for a claim.
  struct Cumulants {
    double value = 0;
    double mean = 0;
    double variance = 0;
  };
  Cumulants EstimateCumulants(double theta) const;
  // What a grid of `step` adds to ln E[e^(theta loss)]; likewise.
  double EstimateGridCost(double theta, double step) const;

 private:
  struct Sample {
    double weight = 0;  // probability around it
    double log_weight = 0;
    double loss = 0;
  };

  double Largest(double theta) const;         // ln of the heaviest tilted sample, at least 0
  double LogRatioAt(double x) const;          // l(x)
  double ArgumentAt(double log_ratio) const;  // its inverse, minus infinity at or below ln(1 - q)
  double DensityAt(double x) const;           // of x
  void AddPanel(double low, double high, int64_t bin, double step, DiscreteLoss& loss) const;

  double q_;
  double z_;
  bool add_;
  double tail_;
  double x_min_ = 0;
  double x_max_ = 0;
  double least_ = 0;
  double greatest_ = 0;
  double loss_error_ = 0;
  std::vector<Sample> samples_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_SAMPLED_LOSS_H_
