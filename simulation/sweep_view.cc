#include "simulation/sweep_view.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "simulation/main_figure.h"

namespace dure::simulation {
namespace {

constexpr char kRow[] = "%7s  %-30s  %6s  %9s  %9s  %8s\n";
constexpr size_t kLabelWidth = 30;
constexpr size_t kTextIndent = 9;  // below the label

std::string Number(double value) {
  if (!std::isfinite(value)) return "-";
  return std::abs(value) < 1000 ? absl::StrFormat("%.4f", value) : absl::StrFormat("%.4g", value);
}

// What is different about a run is often at its end.
std::string ShortLabel(const std::string& label) {
  const std::string whole = Printable(label);
  if (whole.size() <= kLabelWidth) return whole;
  constexpr size_t kHalf = (kLabelWidth - 2) / 2;
  return Printable(absl::StrCat(whole.substr(0, kHalf), "..", whole.substr(whole.size() - kHalf)));
}

}  // namespace

void SweepView::Begin(const SweepHeading& heading) {
  heading_ = heading;
  begun_ = clock_->Now();
  ended_ = heading.ended_before;
  std::string text = absl::StrFormat("%s: %s, %d at once\n", Printable(heading.name, 40),
                                     Counted(heading.runs, "run"), heading.at_once);
  if (ended_ > 0) absl::StrAppend(&text, "  ", Counted(ended_, "run"), " of them ended before\n");
  if (!heading.folder.empty()) AppendParagraph("  into", Printable(heading.folder), 12, &text);
  line_.Print(text);
  ShowBar();
}

void SweepView::Progress(uint32_t running, double done) {
  running_ = running;
  part_ = std::clamp(done, 0.0, static_cast<double>(running));
  ShowBar();
}

void SweepView::ShowBar() {
  const double seconds = absl::ToDoubleSeconds(clock_->Now() - begun_);
  const double at = std::min<double>(ended_ + part_, heading_.runs);
  const double done = at - heading_.ended_before;
  const double left = done > 0 && seconds > 0 ? (heading_.runs - at) * seconds / done : -1;
  line_.Show({.label = absl::StrCat("run ", ended_, "/", heading_.runs),
              .share = heading_.runs == 0 ? 1 : at / heading_.runs,
              .fields = {left < 0 ? "" : absl::StrCat(SecondsInWords(left), " left"),
                         running_ == 0 ? "" : absl::StrCat(running_, " running"),
                         failed_ == 0 ? "" : absl::StrCat(failed_, " failed")}});
}

void SweepView::Show(const SweptRun& run) {
  ++ended_;
  const std::string figure = run.newest ? MainFigureOf(run.newest->metrics) : "accuracy";
  std::string text;
  if (!header_printed_) {
    text = absl::StrFormat(kRow, "run", "", "seed", "loss", Printable(figure, 9), "time");
    header_printed_ = true;
  }
  const ModelMetrics none;
  const ModelMetrics& metrics = run.newest ? run.newest->metrics : none;
  absl::StrAppendFormat(
      &text, kRow, absl::StrCat(ended_, "/", heading_.runs), ShortLabel(run.label),
      absl::StrCat(run.seed), run.newest ? Number(metrics.loss()) : "-",
      run.newest ? Number(FigureOf(metrics, figure)) : "-", SecondsInWords(run.end.wall_seconds));
  if (run.end.status != RunEnd::kFinished) {
    ++failed_;
    AppendParagraph("",
                    absl::StrCat(run.end.status == RunEnd::kFailed ? "failed: " : "stopped: ",
                                 Printable(run.end.text)),
                    kTextIndent, &text);
  }
  line_.Print(text);
  ShowBar();
}

void SweepView::End() {
  line_.Finish();
  std::string text = absl::StrCat("done: ", ended_, " of ", Counted(heading_.runs, "run"), " in ",
                                  SecondsInWords(absl::ToDoubleSeconds(clock_->Now() - begun_)));
  if (failed_ > 0) absl::StrAppend(&text, "; ", failed_, " failed");
  line_.Print(absl::StrCat(text, "\n"));
}

}  // namespace dure::simulation
