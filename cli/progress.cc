#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/quantity.h"
#include "base/terminal.h"
#include "federation/terms/terms.h"

namespace dure::cli {
namespace {

constexpr char kRow[] = "%9s  %9s  %7s  %8s  %7s  %9s  %7s  %7s\n";

// "3 of 10 members connected; waiting for clinic-4, clinic-7"
std::string StateLine(const RunStatus& status) {
  std::string line = status.phase();
  if (!status.awaited().empty()) {
    constexpr int kNamed = 4;
    int named = std::min(kNamed, status.awaited_size());
    absl::StrAppend(
        &line, ": ",
        absl::StrJoin(status.awaited().begin(), status.awaited().begin() + named, ", "));
    if (status.awaited_size() > named) {
      absl::StrAppend(&line, " and ", status.awaited_size() - named, " more");
    }
  }
  return line;
}

// Four decimals, rounded up; nothing is promised without noise.
std::string EpsilonInTable(const RunStatus& status, double epsilon) {
  if (status.unit() == "none") return "none";
  if (!std::isfinite(epsilon)) return "-";
  return absl::StrFormat("%.4f", std::ceil(epsilon * 1e4) / 1e4);
}

}  // namespace

void ProgressTable::Update(const RunStatus& status) {
  for (const Evaluation& evaluation : status.evaluations()) {
    if (evaluation.round() <= last_round_) continue;
    PrintRow(status, evaluation);
    last_round_ = evaluation.round();
  }
  if (terminal_) return PrintLive(status);
  // While rounds go by, the rows say enough.
  if (status.state() == "running" || status.state() == "finished") return;
  std::string line = StateLine(status);
  if (line != last_state_line_) {
    absl::FPrintF(out_, "%s\n", line);
    std::fflush(out_);
    last_state_line_ = line;
  }
}

void ProgressTable::PrintHeader(const char* figure) {
  absl::FPrintF(out_, kRow, "round", "survivors", "loss", figure, "epsilon", "received", "time",
                "left");
  header_printed_ = true;
}

void ProgressTable::PrintRow(const RunStatus& status, const Evaluation& evaluation) {
  if (live_) absl::FPrintF(out_, "\r\033[K");
  live_ = false;
  const ModelMetrics& metrics = evaluation.metrics();
  if (!header_printed_) PrintHeader(metrics.has_mae() ? "error" : "accuracy");
  const RoundReport* round = nullptr;
  double seconds = 0;
  for (const RoundReport& report : status.history()) {
    if (report.round() == evaluation.round()) round = &report;
  }
  if (round != nullptr) seconds = round->seconds();
  absl::FPrintF(out_, kRow, absl::StrCat(evaluation.round(), "/", status.rounds()),
                round ? absl::StrCat(round->survivors(), "/", round->cohort()) : "-",
                absl::StrFormat("%.4f", metrics.loss()),
                absl::StrFormat("%.4f", metrics.has_mae() ? metrics.mae() : metrics.accuracy()),
                round ? EpsilonInTable(status, round->epsilon()) : "-",
                round ? BytesInWords(round->bytes_received()) : "-",
                round ? SecondsInWords(seconds) : "-", SecondsInWords(status.eta_seconds()));
  std::fflush(out_);
}

void ProgressTable::PrintLive(const RunStatus& status) {
  // As many whole fields as fit, the more important first.
  const size_t columns = TerminalColumns(fileno(out_)) - 1;
  std::string line = absl::StrFormat("round %d/%d", status.round(), status.rounds());
  for (const std::string& field :
       {StateLine(status), absl::StrCat(SecondsInWords(status.eta_seconds()), " left"),
        status.unit() == "none"
            ? std::string(status.secure_aggregation() ? "no privacy beyond the sum" : "no privacy")
            : absl::StrFormat("epsilon %s of %g", EpsilonText(status.epsilon()),
                              status.max_epsilon()),
        absl::StrFormat("%s in, %s out", BytesInWords(status.bytes_received()),
                        BytesInWords(status.bytes_sent()))}) {
    if (line.size() + 2 + field.size() <= columns) absl::StrAppend(&line, "  ", field);
  }
  line.resize(std::min(line.size(), columns));
  absl::FPrintF(out_, "\r\033[K%s", line);
  std::fflush(out_);
  live_ = true;
}

void ProgressTable::Finish() {
  if (live_) absl::FPrintF(out_, "\n");
  live_ = false;
  std::fflush(out_);
}

}  // namespace dure::cli
