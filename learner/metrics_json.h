// What was measured of a model, as `dure model` prints it in JSON. Thread-safe: a pure function.
#ifndef DURE_LEARNER_METRICS_JSON_H_
#define DURE_LEARNER_METRICS_JSON_H_

#include <nlohmann/json.hpp>

#include "federation/model_metrics.h"

namespace dure {

inline nlohmann::ordered_json MetricsToJson(const ModelMetrics& metrics) {
  nlohmann::ordered_json json = {{"records", metrics.records()}};
  for (const MetricFigure& figure : FiguresOf(metrics)) json.emplace(figure.name, figure.value);
  if (metrics.confusion_size() > 0) json["confusion"] = metrics.confusion();
  return json;
}

}  // namespace dure

#endif  // DURE_LEARNER_METRICS_JSON_H_
