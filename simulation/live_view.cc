#include "simulation/live_view.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "simulation/main_figure.h"

namespace dure::simulation {
namespace {

constexpr char kRow[] = "%11s  %9s  %10s  %8s  %11s  %9s  %7s\n";
constexpr size_t kIndent = 12;
constexpr size_t kFigureWidth = 10;
// Failed attempts that are told one by one.
constexpr uint32_t kFailuresTold = 5;

// Four decimals, or as many digits as have room.
std::string FigureText(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "-" : "inf";
  return std::abs(value) < 1000 ? absl::StrFormat("%.4f", value) : absl::StrFormat("%.4g", value);
}

// Rounded up: no smaller than it is.
std::string EpsilonInRow(const std::optional<double>& epsilon) {
  if (!epsilon || !std::isfinite(*epsilon)) return "-";
  return FigureText(std::ceil(*epsilon * 1e4) / 1e4);
}

}  // namespace

void LiveView::Begin(const RunHeading& heading) {
  begun_ = clock_->Now();
  rounds_ = heading.rounds;
  first_round_ = heading.resumed_after;
  newest_.round = heading.resumed_after;
  std::string text;
  AppendParagraph(
      absl::StrCat(Printable(heading.name, 40), ": "),
      absl::StrFormat("%s, %s, %s of %s", Counted(heading.clients, "client"),
                      Counted(heading.records, "record"), Counted(heading.rounds, "round"),
                      Counted(heading.cohort, "client")),
      2, &text);
  const auto line = [&text](absl::string_view label, const std::string& words) {
    if (words.empty()) return;
    AppendParagraph(absl::StrCat("  ", label), Printable(words), kIndent, &text);
  };
  line("model", absl::StrCat(heading.model, ", ", Counted(heading.parameters, "parameter")));
  line("privacy", heading.privacy);
  line("sums", heading.secure_aggregation);
  std::string machine = Counted(heading.threads, "thread");
  if (heading.ranks > 1) {
    absl::StrAppend(&machine, " in each of ", heading.ranks, " processes");
  }
  if (heading.memory_bytes > 0) {
    absl::StrAppend(&machine, "; about ", BytesInWords(heading.memory_bytes), " of memory",
                    heading.ranks > 1 ? " each" : "");
  }
  line("on", machine);
  line("into", heading.folder);
  if (first_round_ > 0) {
    line("from", absl::StrCat("the checkpoint after round ", first_round_));
  }
  line_.Print(text);
  ShowBar(0);
}

void LiveView::Progress(uint32_t done, uint32_t clients) {
  ShowBar(clients == 0 ? 0 : static_cast<double>(done) / clients);
}

void LiveView::ShowBar(double of_this_round) {
  const double seconds = absl::ToDoubleSeconds(clock_->Now() - begun_);
  // A round that is being released counts as one that is not.
  const double at = newest_.round + std::min(of_this_round, 0.999);
  const double done = at - first_round_;
  const double left = done > 0 && seconds > 0 ? (rounds_ - at) * seconds / done : -1;
  line_.Show({.label = absl::StrCat("round ", newest_.round, "/", rounds_),
              .share = rounds_ == 0 ? 1 : at / rounds_,
              .fields = {left < 0 ? "" : absl::StrCat(SecondsInWords(left), " left"),
                         RateText(done, seconds, "round"),
                         failures_ == 0 ? "" : absl::StrCat(failures_, " failed")}});
}

void LiveView::Show(const RoundLine& round) {
  newest_ = round;
  ShowBar(0);
}

void LiveView::Show(const AttemptFailedLine& failure) {
  ++failures_;
  std::string text;
  if (failures_ <= kFailuresTold) {
    AppendParagraph("",
                    absl::StrFormat("round %d, attempt %d failed: %s", failure.round,
                                    failure.attempt, Printable(failure.reason)),
                    2, &text);
  }
  if (failures_ == kFailuresTold) {
    absl::StrAppend(&text, "  (further ones are counted; metrics.jsonl has them all)\n");
  }
  if (!text.empty()) line_.Print(text);
  ShowBar(0);
}

void LiveView::Show(const EvaluationLine& evaluation) {
  const std::string figure = MainFigureOf(evaluation.metrics);
  std::string text;
  if (!header_printed_) {
    text = absl::StrFormat(kRow, "round", "loss", Printable(figure, kFigureWidth), "epsilon",
                           "survivors", "simulated", "time");
    header_printed_ = true;
  }
  const bool has_round = newest_.round == evaluation.round && newest_.attempt > 0;
  absl::StrAppendFormat(
      &text, kRow, absl::StrCat(evaluation.round, "/", rounds_),
      FigureText(evaluation.metrics.loss()), FigureText(FigureOf(evaluation.metrics, figure)),
      has_round ? EpsilonInRow(newest_.epsilon) : "-",
      has_round ? absl::StrCat(newest_.survivors, "/", newest_.cohort) : "-",
      SecondsInWords(evaluation.virtual_seconds), SecondsInWords(evaluation.wall_seconds));
  line_.Print(text);
}

void LiveView::Note(const std::string& text) {
  std::string lines;
  AppendParagraph("  note: ", Printable(text), 4, &lines);
  line_.Print(lines);
}

void LiveView::End(const EndLine& end) {
  line_.Finish();
  std::string text = absl::StrCat("after round ", newest_.round, " of ", rounds_);
  const char* label = "failed ";
  if (end.status == RunEnd::kStopped) label = "stopped ";
  if (end.status == RunEnd::kFinished) {
    label = "done: ";
    text = Counted(newest_.round, "round");
  }
  absl::StrAppend(&text, " in ", SecondsInWords(end.wall_seconds), ", ",
                  SecondsInWords(end.virtual_seconds), " of simulated time");
  if (failures_ > 0) absl::StrAppend(&text, "; ", Counted(failures_, "attempt"), " failed");
  if (end.peak_memory_bytes > 0) {
    absl::StrAppend(&text, "; at most ", BytesInWords(end.peak_memory_bytes), " of memory");
  }
  std::string lines;
  AppendParagraph(label, text, 2, &lines);
  // Not what has just been said.
  const bool known = absl::StartsWith(absl::StrCat(label, text), end.text) ||
                     (end.status == RunEnd::kFinished && newest_.round == rounds_);
  if (!known) AppendParagraph("  ", Printable(end.text), 2, &lines);
  line_.Print(lines);
}

}  // namespace dure::simulation
