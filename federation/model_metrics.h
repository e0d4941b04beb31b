// What was measured of a model (proto/metrics.proto) as everybody checks and prints it.
// Thread-safe: pure functions.
#ifndef DURE_FEDERATION_MODEL_METRICS_H_
#define DURE_FEDERATION_MODEL_METRICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/metrics.pb.h"

namespace dure {

// A matrix of more classes is not counted, and F1 not computed.
inline constexpr uint32_t kMaxConfusionClasses = 100;
inline constexpr size_t kMaxMetricNameBytes = 64;

// InvalidArgument, naming the number, for anything that no measurement gives: `metrics` come from a
// process or a machine that is not trusted.
absl::Status CheckMetrics(const ModelMetrics& metrics);

// The figures that there are, by name: loss, accuracy, f1, auc, mae, perplexity and one of its own.
struct MetricFigure {
  std::string name;      // as in JSON
  std::string in_words;  // within a sentence
  double value = 0;
};
std::vector<MetricFigure> FiguresOf(const ModelMetrics& metrics);

// "loss 0.5123, accuracy 0.8712, F1 0.8533, AUC 0.9321": what there is.
std::string MetricsInWords(const ModelMetrics& metrics);

}  // namespace dure

#endif  // DURE_FEDERATION_MODEL_METRICS_H_
