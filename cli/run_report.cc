#include "cli/run_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/paragraph.h"
#include "base/quantity.h"
#include "federation/model_metrics.h"
#include "federation/terms/terms.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

constexpr size_t kIndent = 12;

// The evaluation of the newest round; null if there is none.
const Evaluation* Newest(const RunStatus& status) {
  const Evaluation* newest = nullptr;
  for (const Evaluation& evaluation : status.evaluations()) {
    if (newest == nullptr || evaluation.round() >= newest->round()) newest = &evaluation;
  }
  return newest;
}

std::string EvaluationInWords(const Evaluation& evaluation) {
  return absl::StrFormat("%s on %s held by %s, after round %d",
                         MetricsInWords(evaluation.metrics()),
                         Counted(evaluation.metrics().records(), "record"), evaluation.evaluator(),
                         evaluation.round());
}

std::string BestInWords(const RunStatus& status) {
  std::string text =
      absl::StrFormat("round %d, loss %.4f on %s", status.best().round(), status.best().loss(),
                      Counted(status.best().records(), "record"));
  if (status.patience() > 0) {
    absl::StrAppendFormat(&text, "; %s in a row without improvement, the run ends early after %d",
                          Counted(status.without_improvement(), "measurement"), status.patience());
  }
  return text;
}

PrivacySection::Unit UnitOf(const RunStatus& status) {
  if (status.unit() == "none") return PrivacySection::NONE;
  return status.unit() == "client" ? PrivacySection::CLIENT : PrivacySection::RECORD;
}

// Whether nothing but trust keeps the coordinator from what single members sent.
bool CoordinatorIsTrusted(const RunStatus& status) {
  return !status.secure_aggregation() && status.mode() != "dp_sgd";
}

std::string PrivacyOfStatus(const RunStatus& status) {
  const std::string attempts =
      absl::StrCat(status.attempt(), " of ", Counted(status.max_attempts(), "attempt"),
                   status.failed_attempts() == 0
                       ? ""
                       : absl::StrCat(" (", status.failed_attempts(), " failed)"));
  if (UnitOf(status) == PrivacySection::NONE) {
    return absl::StrCat(NoPrivacyInWords(status.secure_aggregation()), "; ", attempts);
  }
  return absl::StrFormat("epsilon %s of at most %g per %s, delta %g; %s%s",
                         EpsilonText(status.epsilon()), status.max_epsilon(),
                         std::string(ProtectedUnit(UnitOf(status))), status.delta(), attempts,
                         CoordinatorIsTrusted(status)
                             ? "; the coordinator sees every member's update and adds the noise"
                             : "");
}

// What the whole run promises, each line behind two spaces.
std::string PrivacyAtTheEnd(const RunStatus& status) {
  const PrivacySection::Unit unit = UnitOf(status);
  std::string text;
  if (unit == PrivacySection::NONE) {
    AppendParagraph("  ", NoPrivacyInWords(status.secure_aggregation()), 2, &text);
    return text;
  }
  absl::StrAppendFormat(&text, "  epsilon %s at delta %g per %s\n", EpsilonText(status.epsilon()),
                        status.delta(), std::string(ProtectedUnit(unit)));
  AppendParagraph("  ", EpsilonInWords(unit, status.epsilon(), status.delta()), 2, &text);
  if (CoordinatorIsTrusted(status)) {
    AppendParagraph("  ",
                    "This holds against whoever sees the models. The coordinator saw every "
                    "member's update and was trusted to add the noise.",
                    2, &text);
  }
  return text;
}

// Infinity is no JSON number: null.
json NumberOrNull(double value) { return std::isfinite(value) ? json(value) : json(); }

}  // namespace

std::string StatusToText(const RunStatus& status) {
  std::string text = absl::StrFormat("%s: %s, round %d of %d\n", status.federation(),
                                     status.state(), status.round(), status.rounds());
  auto line = [&text](absl::string_view label, absl::string_view words) {
    AppendParagraph(absl::StrCat("  ", label), words, kIndent, &text);
  };
  line("now", absl::StrCat(status.phase(), status.awaited().empty() ? "" : "; waiting for ",
                           absl::StrJoin(status.awaited(), ", "),
                           status.phase_seconds() < 1
                               ? ""
                               : absl::StrCat("; for ", SecondsInWords(status.phase_seconds()))));
  if (!status.text().empty()) line("because", status.text());
  line("here", absl::StrFormat("%s of a cohort of %d (at least %d), %s",
                               Counted(status.connected(), "member"), status.cohort(),
                               status.minimum(), Counted(status.evaluators(), "evaluator")));
  line("privacy", PrivacyOfStatus(status));
  if (const Evaluation* newest = Newest(status)) line("quality", EvaluationInWords(*newest));
  if (status.has_best()) line("best", BestInWords(status));
  line("traffic", absl::StrFormat("%s received, %s sent", BytesInWords(status.bytes_received()),
                                  BytesInWords(status.bytes_sent())));
  line("time", absl::StrFormat("%s in rounds, %s left", SecondsInWords(status.seconds()),
                               SecondsInWords(status.eta_seconds())));
  return text;
}

std::string StatusToJson(const RunStatus& status) {
  const bool protects = UnitOf(status) != PrivacySection::NONE;
  json object = {{"federation", status.federation()},
                 {"state", status.state()},
                 {"phase", status.phase()},
                 {"awaited", json::array()},
                 {"round", status.round()},
                 {"rounds", status.rounds()},
                 {"attempts", status.attempt()},
                 {"max_attempts", status.max_attempts()},
                 {"failed_attempts", status.failed_attempts()},
                 {"phase_seconds", status.phase_seconds()},
                 {"members_connected", status.connected()},
                 {"evaluators_connected", status.evaluators()},
                 {"cohort", status.cohort()},
                 {"minimum", status.minimum()},
                 {"unit", status.unit()},
                 {"epsilon", NumberOrNull(status.epsilon())},
                 {"delta", protects ? json(status.delta()) : json()},
                 {"max_epsilon", protects ? json(status.max_epsilon()) : json()},
                 {"clip_norm", protects ? json(status.clip_norm()) : json()},
                 {"bytes_received", status.bytes_received()},
                 {"bytes_sent", status.bytes_sent()},
                 {"seconds", status.seconds()},
                 {"model_hash", status.model_hash()},
                 {"parameters", status.dim()},
                 {"history", json::array()},
                 {"evaluations", json::array()}};
  if (status.eta_seconds() >= 0) object["eta_seconds"] = status.eta_seconds();
  if (status.has_best()) {
    object["best"] = {{"round", status.best().round()},
                      {"loss", status.best().loss()},
                      {"records", status.best().records()}};
  }
  if (status.patience() > 0) {
    object["patience"] = status.patience();
    object["without_improvement"] = status.without_improvement();
  }
  if (!status.text().empty()) object["text"] = status.text();
  for (const std::string& name : status.awaited()) object["awaited"].push_back(name);
  for (const RoundReport& round : status.history()) {
    object["history"].push_back({{"round", round.round()},
                                 {"attempt", round.attempt()},
                                 {"survivors", round.survivors()},
                                 {"cohort", round.cohort()},
                                 {"epsilon", NumberOrNull(round.epsilon())},
                                 {"bytes_received", round.bytes_received()},
                                 {"bytes_sent", round.bytes_sent()},
                                 {"seconds", round.seconds()},
                                 {"model_hash", round.model_hash()}});
  }
  for (const Evaluation& evaluation : status.evaluations()) {
    json report = {{"round", evaluation.round()},
                   {"evaluator", evaluation.evaluator()},
                   {"records", evaluation.metrics().records()}};
    for (const MetricFigure& figure : FiguresOf(evaluation.metrics())) {
      report.emplace(figure.name, NumberOrNull(figure.value));
    }
    if (evaluation.metrics().confusion_size() > 0) {
      report["confusion"] = json(evaluation.metrics().confusion());
    }
    object["evaluations"].push_back(std::move(report));
  }
  return object.dump();
}

std::string EndOfRun(const RunStatus& status, const std::string& folder) {
  std::string text = absl::StrFormat("done: %s in %s\n", Counted(status.round(), "round"),
                                     SecondsInWords(status.seconds()));
  if (status.round() < status.rounds() && !status.text().empty()) {
    AppendParagraph("  ", status.text(), 2, &text);
  }
  if (const Evaluation* newest = Newest(status)) {
    absl::StrAppend(&text, "  ", EvaluationInWords(*newest), "\n");
  } else {
    absl::StrAppend(&text, "  no evaluator measured the model\n");
  }
  absl::StrAppend(&text, PrivacyAtTheEnd(status));
  absl::StrAppend(&text, "  the model: dure model export ", folder,
                  " --format torchscript --out model.pt\n");
  if (status.has_best() && status.best().round() != status.round()) {
    absl::StrAppendFormat(&text, "  the best, of round %d with loss %.4f: add --best\n",
                          status.best().round(), status.best().loss());
  }
  return text;
}

}  // namespace dure::cli
