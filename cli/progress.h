// The table of a running federation: on a terminal a row for each evaluated round and a last line
// that lives; piped, plain lines. Not thread-safe.
#ifndef DURE_CLI_PROGRESS_H_
#define DURE_CLI_PROGRESS_H_

#include <cstdio>
#include <string>

#include "proto/control.pb.h"

namespace dure::cli {

class ProgressTable {
 public:
  // `terminal`: `out` is a terminal that understands "\r" and "ESC [ K". Rounds up to `last_round`
  // are not shown.
  ProgressTable(FILE* out, bool terminal, uint32_t last_round = 0)
      : out_(out), terminal_(terminal), last_round_(last_round) {}

  // `status.history` and `.evaluations` must begin after last_round().
  void Update(const RunStatus& status);
  // Ends the live line.
  void Finish();
  // What to ask for next (StatusRequest.after_round).
  uint32_t last_round() const { return last_round_; }

 private:
  void PrintHeader(const char* figure);
  void PrintRow(const RunStatus& status, const Evaluation& evaluation);
  void PrintLive(const RunStatus& status);

  FILE* out_;
  bool terminal_;
  bool header_printed_ = false;
  bool live_ = false;
  uint32_t last_round_;          // of the evaluations shown
  std::string last_state_line_;  // piped: said once
};

}  // namespace dure::cli

#endif  // DURE_CLI_PROGRESS_H_
