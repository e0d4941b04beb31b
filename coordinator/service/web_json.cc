#include "coordinator/service/web_json.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/version.h"
#include "federation/model_metrics.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using json = nlohmann::ordered_json;

constexpr int kNamedInSentence = 4;
constexpr int kRecentRounds = 20;

// Infinity is no JSON number: null.
json NumberOrNull(double value) { return std::isfinite(value) ? json(value) : json(); }

// "clinic-1, clinic-2 and 3 more"
std::string NamesInWords(const RunStatus& status) {
  const int named = std::min(kNamedInSentence, status.awaited_size());
  std::string text =
      absl::StrJoin(status.awaited().begin(), status.awaited().begin() + named, ", ");
  if (status.awaited_size() > named) {
    absl::StrAppend(&text, " and ", status.awaited_size() - named, " more");
  }
  return text;
}

// At most `most` of `size` indices, evenly, the first and the last among them.
std::vector<size_t> Thinned(size_t size, size_t most) {
  std::vector<size_t> kept;
  const size_t count = std::min(size, most);
  for (size_t i = 0; i < count; ++i) {
    kept.push_back(count < 2 ? 0 : i * (size - 1) / (count - 1));
  }
  return kept;
}

json RoundsOf(const RunStatus& status) {
  json rounds = json::array();
  for (const size_t i : Thinned(static_cast<size_t>(status.history_size()), kMaxCurvePoints)) {
    const int index = static_cast<int>(i);
    const RoundReport& round = status.history(index);
    rounds.push_back({{"round", round.round()},
                      {"attempt", round.attempt()},
                      {"survivors", round.survivors()},
                      {"cohort", round.cohort()},
                      {"epsilon", NumberOrNull(round.epsilon())},
                      {"duration_seconds",
                       round.seconds() - (index == 0 ? 0 : status.history(index - 1).seconds())},
                      {"bytes_received", round.bytes_received()},
                      {"bytes_sent", round.bytes_sent()}});
  }
  return rounds;
}

json CurvesToJson(const RunStatus& status) {
  json curves = json::object();
  for (const auto& [name, curve] : CurvesOf(status)) {
    json points = json::array();
    for (const size_t i : Thinned(curve.size(), kMaxCurvePoints)) {
      points.push_back({curve[i].first, NumberOrNull(curve[i].second)});
    }
    curves[name] = std::move(points);
  }
  return curves;
}

json MembersOf(const MembersReply& members) {
  json list = json::array();
  for (const MembersReply::Member& member : members.members()) {
    if (list.size() >= kMaxListedPeople) break;
    list.push_back({{"name", member.name()},
                    {"organisation", member.organisation()},
                    {"role", member.role() == EVALUATOR ? "evaluator" : "member"},
                    {"state", member.revoked()     ? "revoked"
                              : member.connected() ? "here"
                                                   : "away"},
                    {"doing", member.doing()},
                    {"enrolled_unix", member.enrolled_unix()},
                    {"last_seen_unix", member.last_seen_unix()}});
  }
  return list;
}

// Of one round lately.
json RecentSeconds(const RunStatus& status) {
  const int size = status.history_size();
  if (size == 0) return json();
  const int from = std::max(0, size - kRecentRounds);
  const double before = from == 0 ? 0 : status.history(from - 1).seconds();
  return NumberOrNull((status.history(size - 1).seconds() - before) / (size - from));
}

}  // namespace

std::string RunInWords(const RunStatus& status) {
  std::string text;
  if (status.state() == "running") {
    text = absl::StrCat("Round ", status.round() + 1, " of ", status.rounds(), ", attempt ",
                        status.attempt(), ": ", status.phase());
  } else if (status.state() == "waiting") {
    text = absl::StrCat("Waiting: ", status.phase());
  } else if (status.state() == "evaluating") {
    text = absl::StrCat("All rounds are done: ", status.phase());
  } else if (status.state() == "paused") {
    text = absl::StrCat("Paused by the organiser",
                        status.phase() == "paused" ? "" : absl::StrCat(": ", status.phase()));
  } else if (status.state() == "finished") {
    text = absl::StrCat("Finished after ", status.round(), " of ", status.rounds(), " rounds");
  } else {
    text = absl::StrCat("Stopped after round ", status.round(), " of ", status.rounds());
  }
  if (!status.awaited().empty()) absl::StrAppend(&text, "; waiting for ", NamesInWords(status));
  if (!status.text().empty()) absl::StrAppend(&text, "; ", status.text());
  return text;
}

std::map<std::string, WebCurve> CurvesOf(const RunStatus& status) {
  struct Mean {
    double sum = 0, weight = 0;
  };
  std::map<std::string, std::map<uint32_t, Mean>> means;
  for (const Evaluation& evaluation : status.evaluations()) {
    const auto weight = static_cast<double>(evaluation.metrics().records());
    for (const MetricFigure& figure : FiguresOf(evaluation.metrics())) {
      Mean& mean = means[figure.name][evaluation.round()];
      mean.sum += weight * figure.value;
      mean.weight += weight;
    }
  }
  std::map<std::string, WebCurve> curves;
  for (const auto& [name, rounds] : means) {
    for (const auto& [round, mean] : rounds) {
      curves[name].emplace_back(round, mean.sum / mean.weight);
    }
  }
  return curves;
}

std::string WebViewToJson(const WebFederation& federation, const WebView& view) {
  const RunStatus& status = view.status;
  const bool protects = status.unit() != "none";
  json awaited = json::array();
  for (const std::string& name : status.awaited()) awaited.push_back(name);
  const json object = {
      {"dure", kVersion},
      {"now_unix", absl::ToUnixSeconds(view.at)},
      {"federation",
       {{"name", status.federation()},
        {"purpose", federation.purpose},
        {"license", federation.license}}},
      {"sentence", RunInWords(status)},
      {"state", status.state()},
      {"phase", status.phase()},
      {"phase_seconds", status.phase_seconds()},
      {"awaited", awaited},
      {"text", status.text()},
      {"round", status.round()},
      {"rounds", status.rounds()},
      {"attempts", status.attempt()},
      {"max_attempts", status.max_attempts()},
      {"failed_attempts", status.failed_attempts()},
      {"members_connected", status.connected()},
      {"evaluators_connected", status.evaluators()},
      {"cohort", status.cohort()},
      {"minimum", status.minimum()},
      {"parameters", status.dim()},
      {"model_hash", status.model_hash()},
      {"privacy",
       {{"unit", status.unit()},
        {"mode", status.mode()},
        {"secure_aggregation", status.secure_aggregation()},
        {"epsilon", protects ? NumberOrNull(status.epsilon()) : json()},
        {"max_epsilon", protects ? NumberOrNull(status.max_epsilon()) : json()},
        {"delta", protects ? json(status.delta()) : json()}}},
      {"bytes_received", status.bytes_received()},
      {"bytes_sent", status.bytes_sent()},
      {"seconds", status.seconds()},
      {"seconds_a_round", RecentSeconds(status)},
      {"eta_seconds", status.eta_seconds() < 0 ? json() : NumberOrNull(status.eta_seconds())},
      {"best", status.has_best() ? json({{"round", status.best().round()},
                                         {"loss", NumberOrNull(status.best().loss())}})
                                 : json()},
      {"history", RoundsOf(status)},
      {"curves", CurvesToJson(status)},
      {"members", MembersOf(view.members)},
      {"members_total", view.members.members_size()}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dure
