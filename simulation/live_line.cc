#include "simulation/live_line.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/terminal.h"

namespace dure::simulation {
namespace {

constexpr absl::Duration kBetweenDrawings = absl::Milliseconds(100);
constexpr size_t kWidestBar = 30;
constexpr size_t kNarrowestBar = 8;

}  // namespace

std::string BarText(const ProgressBar& bar, size_t columns) {
  const double share = std::clamp(bar.share, 0.0, 1.0);
  std::string tail = absl::StrFormat(" %3d %%", static_cast<int>(std::floor(100 * share)));
  const size_t brackets = 3;
  size_t used = bar.label.size() + brackets + kNarrowestBar + tail.size();
  for (const std::string& field : bar.fields) {
    if (field.empty() || used + 2 + field.size() > columns) continue;
    absl::StrAppend(&tail, "  ", field);
    used += 2 + field.size();
  }
  std::string text = bar.label;
  if (used <= columns) {
    const size_t width = std::min(kWidestBar, kNarrowestBar + columns - used);
    const auto full = static_cast<size_t>(share * static_cast<double>(width));
    absl::StrAppend(&text, " [", std::string(full, '#'), std::string(width - full, '-'), "]");
  }
  absl::StrAppend(&text, tail);
  text.resize(std::min(text.size(), columns));
  return text;
}

std::string RateText(double done, double seconds, std::string_view noun) {
  if (!(done > 0) || !(seconds > 0)) return "";
  const double rate = done / seconds;
  if (rate < 1) return absl::StrFormat("%.1f s a %s", 1 / rate, noun);
  return rate < 99.95 ? absl::StrFormat("%.1f %ss/s", rate, noun)
                      : absl::StrFormat("%.0f %ss/s", rate, noun);
}

void LiveLine::Print(std::string_view lines) {
  Clear();
  std::fwrite(lines.data(), 1, lines.size(), out_);
  std::fflush(out_);
  if (terminal_ && !bar_.label.empty()) Draw();
}

void LiveLine::Show(ProgressBar bar) {
  if (!terminal_) return;
  bar_ = std::move(bar);
  if (clock_->Now() >= next_) Draw();
}

void LiveLine::Finish() {
  Clear();
  std::fflush(out_);
  bar_ = {};
}

void LiveLine::Draw() {
  next_ = clock_->Now() + kBetweenDrawings;
  // The last column stays free: some terminals begin a new line when it is filled.
  const size_t columns = TerminalColumns(fileno(out_)) - 1;
  absl::FPrintF(out_, "\r%s\033[K", BarText(bar_, columns));
  std::fflush(out_);
  drawn_ = true;
}

void LiveLine::Clear() {
  if (drawn_) absl::FPrintF(out_, "\r\033[K");
  drawn_ = false;
}

}  // namespace dure::simulation
