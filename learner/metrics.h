// What is measured of a model: sums over records, and the figures that follow from them. The sums
// are such that those of many members can be added up without anybody's own being seen.
//
//   loss             figures
//   cross_entropy    accuracy; macro F1; with two classes AUC; confusion matrix
//   bce_with_logits  accuracy; F1; AUC; confusion matrix
//   mse              MAE
//   next_token       accuracy over the tokens; perplexity
//
// F1 (van Rijsbergen 1979): with two classes that of class 1, otherwise the mean of the classes
// that occur among labels or predictions. AUC (Fawcett 2006): the chance that a record of class 1
// scores above one of class 0, ties counting half. Thread-safe: values and pure functions.
#ifndef DURE_LEARNER_METRICS_H_
#define DURE_LEARNER_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "federation/model_metrics.h"
#include "learner/loss.h"
#include "proto/metrics.pb.h"

namespace dure {

// Where scores are counted in bars of the probability of class 1, in the place of each by itself.
inline constexpr size_t kScoreBars = 128;

// Places in a vector of sums.
class MetricSums {
 public:
  // `classes` of the federation file: 1 where the model gives one number.
  MetricSums(Loss loss, uint32_t classes);

  // How many sums there are: records, loss, right, error, the matrix, bars of each class.
  size_t size() const { return bars_ + (has_scores_ ? 2 * kScoreBars : 0); }
  // Adds one record. Precondition (DURE_CHECK): sums.size() == size(); `label` as for Judge.
  void Add(const Outcome& outcome, float label, std::span<double> sums) const;
  // The figures, with AUC from the bars: within half of the chance that two scores of different
  // classes share a bar. Sums may bear noise: shares are kept within 0 and 1, counts above 0.
  ModelMetrics Report(std::span<const double> sums) const;

  static constexpr size_t kRecords = 0, kLoss = 1, kRight = 2, kError = 3, kMatrix = 4;

 private:
  size_t Class(float label) const { return static_cast<size_t>(label); }
  std::optional<double> F1(std::span<const double> matrix) const;

  Loss loss_;
  uint32_t matrix_classes_;  // 0: none
  bool has_scores_;
  size_t bars_;  // place of the first
};

// A figure of one's own: the mean over the records of what `of_record` gives.
struct OwnMetric {
  std::string name;  // 1 to kMaxMetricNameBytes printable characters
  std::function<double(std::span<const float> outputs, FeatureView record, float label)> of_record;
};

// Of scores and whether each is of class 1. Absent if only one class occurs.
std::optional<double> ExactAuc(std::vector<std::pair<double, bool>> scores);

// The figures of all outcomes, in their order, with the exact AUC.
ModelMetrics MetricsOf(Loss loss, uint32_t classes, std::span<const Outcome> outcomes,
                       std::span<const float> labels);

}  // namespace dure

#endif  // DURE_LEARNER_METRICS_H_
