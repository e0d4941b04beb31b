#include "cli/run_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/paragraph.h"
#include "cli/progress.h"
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
  return absl::StrFormat("accuracy %.4f, loss %.4f on %s held by %s, after round %d",
                         evaluation.accuracy(), evaluation.loss(),
                         Counted(evaluation.records(), "record"), evaluation.evaluator(),
                         evaluation.round());
}

}  // namespace

std::string StatusToText(const RunStatus& status) {
  std::string text = absl::StrFormat("%s: %s, round %d of %d\n", status.federation(),
                                     status.state(), status.round(), status.rounds());
  auto line = [&text](absl::string_view label, absl::string_view words) {
    AppendParagraph(absl::StrCat("  ", label), words, kIndent, &text);
  };
  line("now", absl::StrCat(status.phase(), status.awaited().empty() ? "" : "; waiting for ",
                           absl::StrJoin(status.awaited(), ", ")));
  if (!status.text().empty()) line("because", status.text());
  line("here", absl::StrFormat("%s of a cohort of %d (at least %d), %s",
                               Counted(status.connected(), "member"), status.cohort(),
                               status.minimum(), Counted(status.evaluators(), "evaluator")));
  line("privacy",
       absl::StrFormat("epsilon %s of at most %g per record, delta %g; %d of %d attempts",
                       EpsilonText(status.epsilon()), status.max_epsilon(), status.delta(),
                       status.attempt(), status.max_attempts()));
  if (const Evaluation* newest = Newest(status)) line("quality", EvaluationInWords(*newest));
  line("traffic", absl::StrFormat("%s received, %s sent", BytesInWords(status.bytes_received()),
                                  BytesInWords(status.bytes_sent())));
  line("time", absl::StrFormat("%s in rounds, %s left", SecondsInWords(status.seconds()),
                               SecondsInWords(status.eta_seconds())));
  return text;
}

std::string StatusToJson(const RunStatus& status) {
  json object = {{"federation", status.federation()},
                 {"state", status.state()},
                 {"phase", status.phase()},
                 {"awaited", json::array()},
                 {"round", status.round()},
                 {"rounds", status.rounds()},
                 {"attempts", status.attempt()},
                 {"max_attempts", status.max_attempts()},
                 {"members_connected", status.connected()},
                 {"evaluators_connected", status.evaluators()},
                 {"cohort", status.cohort()},
                 {"minimum", status.minimum()},
                 {"epsilon", status.epsilon()},
                 {"delta", status.delta()},
                 {"max_epsilon", status.max_epsilon()},
                 {"bytes_received", status.bytes_received()},
                 {"bytes_sent", status.bytes_sent()},
                 {"seconds", status.seconds()},
                 {"model_hash", status.model_hash()},
                 {"parameters", status.dim()},
                 {"history", json::array()},
                 {"evaluations", json::array()}};
  if (status.eta_seconds() >= 0) object["eta_seconds"] = status.eta_seconds();
  if (!status.text().empty()) object["text"] = status.text();
  for (const std::string& name : status.awaited()) object["awaited"].push_back(name);
  for (const RoundReport& round : status.history()) {
    object["history"].push_back({{"round", round.round()},
                                 {"attempt", round.attempt()},
                                 {"survivors", round.survivors()},
                                 {"cohort", round.cohort()},
                                 {"epsilon", round.epsilon()},
                                 {"bytes_received", round.bytes_received()},
                                 {"bytes_sent", round.bytes_sent()},
                                 {"seconds", round.seconds()},
                                 {"model_hash", round.model_hash()}});
  }
  for (const Evaluation& evaluation : status.evaluations()) {
    object["evaluations"].push_back({{"round", evaluation.round()},
                                     {"evaluator", evaluation.evaluator()},
                                     {"loss", evaluation.loss()},
                                     {"accuracy", evaluation.accuracy()},
                                     {"records", evaluation.records()}});
  }
  return object.dump();
}

std::string EndOfRun(const RunStatus& status, const std::string& folder) {
  std::string text = absl::StrFormat("done: %s in %s\n", Counted(status.round(), "round"),
                                     SecondsInWords(status.seconds()));
  if (const Evaluation* newest = Newest(status)) {
    absl::StrAppend(&text, "  ", EvaluationInWords(*newest), "\n");
  } else {
    absl::StrAppend(&text, "  no evaluator measured the model\n");
  }
  absl::StrAppendFormat(&text, "  epsilon %s at delta %g per record\n",
                        EpsilonText(status.epsilon()), status.delta());
  AppendParagraph("  ", EpsilonInWords(status.epsilon(), status.delta()), 2, &text);
  absl::StrAppend(&text, "  the model: dure model export ", folder,
                  " --format torchscript --out model.pt\n");
  return text;
}

}  // namespace dure::cli
