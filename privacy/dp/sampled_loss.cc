#include "privacy/dp/sampled_loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/check.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = 0x1p-53;
// Lighter samples cannot be told from none.
constexpr double kLeastWeight = 1e-290;

// Gauss-Legendre nodes on [0, 1], the upper half, and their weights.
struct Node {
  double offset;  // from the middle, in widths of the panel
  double weight;
};
constexpr std::array<Node, 2> kFour = {
    {{0.4305681557970263, 0.1739274225687269}, {0.1699905217924281, 0.3260725774312731}}};
constexpr std::array<Node, 4> kEight = {{{0.4801449282487681, 0.05061426814518813},
                                         {0.3983332387068134, 0.1111905172266872},
                                         {0.2627662049581645, 0.1568533229389436},
                                         {0.09171732124782490, 0.1813418916891810}}};

// x >= 0 with P[N(0, 1) >= x] <= tail.
double Quantile(double tail) {
  double low = 0;
  double high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::numbers::sqrt2) / 2 > tail ? low : high) = middle;
  }
  return high * (1 + 1e-12);
}

}  // namespace

SampledLoss::SampledLoss(const SampledGaussian& mechanism, LossDirection direction, double tail)
    : q_(mechanism.sampling_rate),
      z_(mechanism.noise_multiplier),
      add_(direction == LossDirection::kAdd && mechanism.sampling_rate < 1),
      tail_(tail) {
  DURE_CHECK(q_ > 0 && q_ <= 1 && z_ >= kMinNoiseMultiplier && std::isfinite(z_));
  DURE_CHECK(tail >= 1e-300 && tail <= 0.1);
  const double reach = Quantile(tail) * z_;
  x_min_ = (q_ == 1 ? 1 : 0) - reach;
  x_max_ = (add_ ? 0 : 1) + reach;
  const double low = LogRatioAt(x_min_);
  const double high = LogRatioAt(x_max_);
  least_ = add_ ? -high : low;
  greatest_ = add_ ? -low : high;
  // y is off by three roundings of (2 |x| + 1) / (2 z^2), and l by no more than y, and its own.
  const double x = std::max(std::abs(x_min_), std::abs(x_max_));
  loss_error_ = 8 * kUnit * ((2 * x + 1) / (2 * z_ * z_) + std::max(std::abs(low), std::abs(high)));

  const double spacing = std::min(z_ / 16, z_ * z_ / 2);
  const auto count = static_cast<int>(std::ceil((x_max_ - x_min_) / spacing)) + 1;
  const double step = (x_max_ - x_min_) / (count - 1);
  samples_.reserve(count);
  for (int i = 0; i < count; ++i) {
    const double at = x_min_ + i * step;
    const double weight = step * DensityAt(at);
    if (weight < kLeastWeight) continue;
    samples_.push_back({.weight = weight,
                        .log_weight = std::log(weight),
                        .loss = add_ ? -LogRatioAt(at) : LogRatioAt(at)});
  }
}

double SampledLoss::LogRatioAt(double x) const {
  const double y = (2 * x - 1) / (2 * z_ * z_);
  if (q_ == 1) return y;
  if (y > 30) return y + std::log(q_ + (1 - q_) * std::exp(-y));
  return std::log1p(q_ * std::expm1(y));
}

double SampledLoss::ArgumentAt(double log_ratio) const {
  double y = log_ratio;
  if (q_ < 1) {
    const double excess = std::expm1(log_ratio) / q_;  // e^y - 1
    if (excess <= -1) return -kInfinity;
    y = log_ratio > 30 ? log_ratio + std::log((1 - (1 - q_) * std::exp(-log_ratio)) / q_)
                       : std::log1p(excess);
  }
  return z_ * z_ * y + 0.5;
}

double SampledLoss::DensityAt(double x) const {
  const double zero = x / z_;
  const double one = (x - 1) / z_;
  const double scale = 1 / (z_ * std::sqrt(2 * std::numbers::pi));
  if (add_) return scale * std::exp(-zero * zero / 2);
  if (q_ == 1) return scale * std::exp(-one * one / 2);
  return scale * ((1 - q_) * std::exp(-zero * zero / 2) + q_ * std::exp(-one * one / 2));
}

// The panel [low, high] lies within one bin: step * bin <= l(x) <= step * (bin + 1).
//
// Its width is at most w = min(z/10, z^2/2). The integrand is analytic where |Im y| < pi; on the
// ellipse with rho = 20 around the panel |Im x| <= 5 w, |Im y| <= 2.5, and ten standard deviations
// out it grows at most e^5-fold. Eight nodes therefore leave a relative error of about e^5 20^-16
// (Trefethen 2008, Theorem 4.5), four nodes the same where the panel is 100 times narrower.
void SampledLoss::AddPanel(double low, double high, int64_t bin, double step,
                           DiscreteLoss& loss) const {
  const double width = high - low;
  const bool narrow = width < 0.01 * std::min(z_ / 10, z_ * z_ / 2);
  const double middle = low + width / 2;
  const double start = step * static_cast<double>(bin);
  const double share = -1 / std::expm1(-step);
  double total = 0;
  double upper = 0;  // what goes to the grid point of the greater loss
  auto add = [&](const Node& node) {
    for (double side : {-1.0, 1.0}) {
      const double x = middle + side * node.offset * width;
      const double mass = node.weight * width * DensityAt(x);
      const double above = LogRatioAt(x) - start;  // 0 to step
      const double loss_above = std::clamp(add_ ? step - above : above, 0.0, step);
      total += mass;
      upper += mass * -std::expm1(-loss_above) * share;
    }
  };
  if (narrow) {
    for (const Node& node : kFour) add(node);
  } else {
    for (const Node& node : kEight) add(node);
  }
  upper = std::min(upper, total);
  const int64_t greater = (add_ ? -bin : bin + 1) - loss.first;
  loss.mass[greater] += upper;
  loss.mass[greater - 1] += total - upper;
}

DiscreteLoss SampledLoss::Discretise(double step) const {
  DURE_CHECK(step > 0 && (greatest_ - least_) / step < 0x1p26);
  DiscreteLoss loss;
  loss.step = step;
  // In bins of l.
  const double from = add_ ? -greatest_ : least_;
  const double to = add_ ? -least_ : greatest_;
  const auto first_bin = static_cast<int64_t>(std::floor(from / step)) - 1;
  const auto last_bin = static_cast<int64_t>(std::floor(to / step)) + 1;
  loss.first = add_ ? -(last_bin + 1) : first_bin;
  loss.mass.assign(last_bin - first_bin + 2, 0);
  const double widest = std::min(z_ / 10, z_ * z_ / 2);
  double low = x_min_;
  for (int64_t bin = first_bin; bin <= last_bin && low < x_max_; ++bin) {
    const double end = ArgumentAt(step * static_cast<double>(bin + 1));
    const double high = bin == last_bin ? x_max_ : std::min(end, x_max_);
    if (high <= low) continue;
    const auto panels = static_cast<int>(std::ceil((high - low) / widest));
    for (int i = 0; i < panels; ++i) {
      AddPanel(low + (high - low) * i / panels, low + (high - low) * (i + 1) / panels, bin, step,
               loss);
    }
    low = high;
  }
  // What is cut off: the smaller losses go up to a grid point above `least`, the larger are
  // infinite.
  loss.mass[static_cast<int64_t>(std::floor(least_ / step)) + 1 - loss.first] += tail_;
  loss.infinite = tail_;
  return loss;
}

double SampledLoss::Largest(double theta) const {
  double largest = 0;
  for (const Sample& sample : samples_) {
    largest = std::max(largest, theta * sample.loss + sample.log_weight);
  }
  return largest;
}

SampledLoss::Cumulants SampledLoss::EstimateCumulants(double theta) const {
  const double largest = Largest(theta);
  const bool small = largest < 5;
  const double shift = small ? 0 : largest;
  double excess = 0, sum = 0, first = 0, second = 0;
  for (const Sample& sample : samples_) {
    const double weight = std::exp(theta * sample.loss + sample.log_weight - shift);
    if (small) excess += sample.weight * std::expm1(theta * sample.loss);
    sum += weight;
    first += weight * sample.loss;
    second += weight * sample.loss * sample.loss;
  }
  const double mean = first / sum;
  return {.value = small ? std::log1p(std::max(excess, -0.5)) : shift + std::log(sum),
          .mean = mean,
          .variance = std::max(0.0, second / sum - mean * mean)};
}

double SampledLoss::EstimateGridCost(double theta, double step) const {
  const double shift = Largest(theta);
  const double share = -1 / std::expm1(-step);
  double sum = 0, cost = 0;
  for (const Sample& sample : samples_) {
    const double weight = std::exp(theta * sample.loss + sample.log_weight - shift);
    const double above = sample.loss - step * std::floor(sample.loss / step);
    const double upper = -std::expm1(-above) * share;  // as AddPanel
    sum += weight;
    cost += weight *
            (upper * std::expm1(theta * (step - above)) + (1 - upper) * std::expm1(-theta * above));
  }
  return std::log1p(std::max(cost / sum, 0.0));
}

}  // namespace dure::dp
