// The state of a run as Prometheus reads it (exposition format 0.0.4): /metrics, docs/web.md. Names
// follow https://prometheus.io/docs/practices/naming/. No member is named. Thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_WEB_METRICS_H_
#define DURE_COORDINATOR_SERVICE_WEB_METRICS_H_

#include <string>

#include "coordinator/service/web_view.h"

namespace dure {

std::string WebViewToMetrics(const WebView& view);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_METRICS_H_
