#include "simulation/main_figure.h"

#include <limits>

#include "federation/model_metrics.h"

namespace dure::simulation {

std::string MainFigureOf(const ModelMetrics& metrics) {
  if (metrics.has_accuracy()) return "accuracy";
  if (metrics.has_mae()) return "mae";
  if (metrics.has_perplexity()) return "perplexity";
  if (metrics.has_own()) return metrics.own_name();
  return "loss";
}

double FigureOf(const ModelMetrics& metrics, const std::string& name) {
  for (const MetricFigure& figure : FiguresOf(metrics)) {
    if (figure.name == name) return figure.value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

bool MoreIsBetter(const std::string& name) {
  return name != "loss" && name != "mae" && name != "perplexity";
}

}  // namespace dure::simulation
