#include "learner/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace dure {
namespace {

double Share(double part, double whole) {
  return whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 0;
}

// The bar of a score: the probability of class 1 that it stands for.
size_t BarOf(double score) {
  const double probability = 1 / (1 + std::exp(-score));
  if (!(probability > 0)) return 0;  // also of what is not a number
  return std::min(static_cast<size_t>(probability * kScoreBars), kScoreBars - 1);
}

// The area under the curve through the bars, from the highest down.
std::optional<double> AucOfBars(std::span<const double> negative,
                                std::span<const double> positive) {
  double below = 0, pairs = 0, positives = 0;
  for (size_t i = 0; i < kScoreBars; ++i) {
    const double n = std::max(negative[i], 0.0), p = std::max(positive[i], 0.0);
    pairs += p * (below + n / 2);
    below += n;
    positives += p;
  }
  if (!(below > 0 && positives > 0)) return std::nullopt;
  return std::clamp(pairs / (below * positives), 0.0, 1.0);
}

uint32_t MatrixClasses(Loss loss, uint32_t classes) {
  if (loss == ModelSection::BCE_WITH_LOGITS) return 2;
  return loss == ModelSection::CROSS_ENTROPY && classes <= kMaxConfusionClasses ? classes : 0;
}

}  // namespace

MetricSums::MetricSums(Loss loss, uint32_t classes)
    : loss_(loss),
      matrix_classes_(MatrixClasses(loss, classes)),
      has_scores_(matrix_classes_ == 2),
      bars_(kMatrix + size_t{matrix_classes_} * matrix_classes_) {}

void MetricSums::Add(const Outcome& outcome, float label, std::span<double> sums) const {
  DURE_CHECK(sums.size() == size());
  sums[kRecords] += 1;
  sums[kLoss] += outcome.loss;
  sums[kRight] += outcome.right;
  if (loss_ == ModelSection::MSE) sums[kError] += std::abs(outcome.score - label);
  if (matrix_classes_ > 0) {
    DURE_CHECK(Class(label) < matrix_classes_ && outcome.predicted < matrix_classes_);
    sums[kMatrix + Class(label) * matrix_classes_ + outcome.predicted] += 1;
  }
  if (has_scores_) sums[bars_ + Class(label) * kScoreBars + BarOf(outcome.score)] += 1;
}

std::optional<double> MetricSums::F1(std::span<const double> matrix) const {
  double sum = 0;
  uint32_t counted = 0;
  for (size_t c = has_scores_ ? 1 : 0; c < matrix_classes_; ++c) {
    double labelled = 0, predicted = 0;
    for (size_t other = 0; other < matrix_classes_; ++other) {
      labelled += std::max(matrix[c * matrix_classes_ + other], 0.0);
      predicted += std::max(matrix[other * matrix_classes_ + c], 0.0);
    }
    if (labelled + predicted <= 0) continue;
    sum += 2 * std::max(matrix[c * matrix_classes_ + c], 0.0) / (labelled + predicted);
    ++counted;
  }
  if (counted == 0) return std::nullopt;
  return sum / counted;
}

ModelMetrics MetricSums::Report(std::span<const double> sums) const {
  DURE_CHECK(sums.size() == size());
  const double records = std::max(sums[kRecords], 0.0);
  ModelMetrics metrics;
  metrics.set_records(static_cast<uint64_t>(std::llround(records)));
  metrics.set_loss(records > 0 ? sums[kLoss] / records : 0);
  if (loss_ == ModelSection::MSE) {
    metrics.set_mae(records > 0 ? std::max(sums[kError] / records, 0.0) : 0);
    return metrics;
  }
  metrics.set_accuracy(Share(sums[kRight], records));
  if (loss_ == ModelSection::NEXT_TOKEN) metrics.set_perplexity(std::exp(metrics.loss()));
  if (matrix_classes_ > 0) {
    const auto matrix = sums.subspan(kMatrix, size_t{matrix_classes_} * matrix_classes_);
    if (const std::optional<double> f1 = F1(matrix)) metrics.set_f1(*f1);
    for (double count : matrix) {
      metrics.add_confusion(static_cast<uint64_t>(std::llround(std::max(count, 0.0))));
    }
  }
  if (has_scores_) {
    const std::optional<double> auc =
        AucOfBars(sums.subspan(bars_, kScoreBars), sums.subspan(bars_ + kScoreBars, kScoreBars));
    if (auc) metrics.set_auc(*auc);
  }
  return metrics;
}

std::optional<double> ExactAuc(std::vector<std::pair<double, bool>> scores) {
  // A score that is not a number has no place in an order.
  for (const auto& [score, positive] : scores) {
    if (std::isnan(score)) return std::nullopt;
  }
  std::sort(scores.begin(), scores.end());
  double below = 0, pairs = 0, positives = 0;
  for (size_t i = 0; i < scores.size();) {
    double n = 0, p = 0;
    const double score = scores[i].first;
    for (; i < scores.size() && scores[i].first == score; ++i) (scores[i].second ? p : n) += 1;
    pairs += p * (below + n / 2);
    below += n;
    positives += p;
  }
  if (below == 0 || positives == 0) return std::nullopt;
  return pairs / (below * positives);
}

ModelMetrics MetricsOf(Loss loss, uint32_t classes, std::span<const Outcome> outcomes,
                       std::span<const float> labels) {
  DURE_CHECK(outcomes.size() == labels.size());
  const MetricSums sums(loss, classes);
  std::vector<double> total(sums.size());
  std::vector<std::pair<double, bool>> scores;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    sums.Add(outcomes[i], labels[i], total);
    scores.emplace_back(outcomes[i].score, labels[i] == 1);
  }
  ModelMetrics metrics = sums.Report(total);
  if (MatrixClasses(loss, classes) == 2) {
    const std::optional<double> auc = ExactAuc(std::move(scores));
    auc ? metrics.set_auc(*auc) : metrics.clear_auc();
  }
  return metrics;
}

}  // namespace dure
