// The state of a run as the web page reads it: /status.json, docs/web.md. Thread-safe: pure
// functions.
#ifndef DURE_COORDINATOR_SERVICE_WEB_JSON_H_
#define DURE_COORDINATOR_SERVICE_WEB_JSON_H_

#include <map>
#include <string>
#include <vector>

#include "coordinator/service/web_view.h"
#include "proto/control.pb.h"

namespace dure {

// The most points of a curve, and members, that are sent.
inline constexpr size_t kMaxCurvePoints = 400;
inline constexpr size_t kMaxListedPeople = 2000;

// What is going on, as one sentence.
std::string RunInWords(const RunStatus& status);

// Figures of the model by name, each by round: means over who measured it, weighted by records.
using WebCurve = std::vector<std::pair<uint32_t, double>>;
std::map<std::string, WebCurve> CurvesOf(const RunStatus& status);

// `view.json` is not read.
std::string WebViewToJson(const WebFederation& federation, const WebView& view);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_JSON_H_
