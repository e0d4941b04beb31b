#include "federation/model_metrics.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/printable.h"

namespace dure {

absl::Status CheckMetrics(const ModelMetrics& metrics) {
  const auto fault = [](const char* what) { return absl::InvalidArgumentError(what); };
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (metrics.records() == 0) return fault("metrics of no record");
  // A diverged model has a loss that is not finite; that is an answer. A negative one is not.
  if (metrics.loss() < 0) return fault("a loss below 0");
  if (metrics.has_accuracy() && !is_share(metrics.accuracy())) {
    return fault("an accuracy outside 0 to 1");
  }
  if (metrics.has_f1() && !is_share(metrics.f1())) return fault("an F1 outside 0 to 1");
  if (metrics.has_auc() && !is_share(metrics.auc())) return fault("an AUC outside 0 to 1");
  if (metrics.mae() < 0) return fault("a mean absolute error below 0");
  if (metrics.perplexity() < 0) return fault("a perplexity below 0");
  if (metrics.own_name().size() > kMaxMetricNameBytes ||
      metrics.own_name() != Printable(metrics.own_name()) ||
      metrics.own_name().empty() == metrics.has_own()) {
    return fault("a figure of one's own without a name of 1 to 64 printable characters");
  }
  const auto cells = static_cast<size_t>(metrics.confusion_size());
  size_t classes = 0;
  while (classes * classes < cells && classes < kMaxConfusionClasses) ++classes;
  if (classes * classes != cells) return fault("a confusion matrix that is not square");
  uint64_t sum = 0;
  for (uint64_t count : metrics.confusion()) {
    if (__builtin_add_overflow(sum, count, &sum)) return fault("a confusion matrix that overflows");
  }
  if (cells > 0 && sum != metrics.records()) return fault("a confusion matrix of other records");
  return absl::OkStatus();
}

std::vector<MetricFigure> FiguresOf(const ModelMetrics& metrics) {
  std::vector<MetricFigure> figures = {{"loss", "loss", metrics.loss()}};
  const auto add = [&](const char* name, const char* in_words, bool has, double value) {
    if (has) figures.push_back({name, in_words, value});
  };
  add("accuracy", "accuracy", metrics.has_accuracy(), metrics.accuracy());
  add("f1", "F1", metrics.has_f1(), metrics.f1());
  add("auc", "AUC", metrics.has_auc(), metrics.auc());
  add("mae", "mean absolute error", metrics.has_mae(), metrics.mae());
  add("perplexity", "perplexity", metrics.has_perplexity(), metrics.perplexity());
  add(metrics.own_name().c_str(), metrics.own_name().c_str(), metrics.has_own(), metrics.own());
  return figures;
}

std::string MetricsInWords(const ModelMetrics& metrics) {
  return absl::StrJoin(FiguresOf(metrics), ", ", [](std::string* out, const MetricFigure& figure) {
    absl::StrAppend(out, figure.in_words, " ", absl::StrFormat("%.4f", figure.value));
  });
}

}  // namespace dure
