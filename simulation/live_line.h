// Lines that stay, above one that lives: a progress bar, on a terminal only. Not thread-safe.
#ifndef DURE_SIMULATION_LIVE_LINE_H_
#define DURE_SIMULATION_LIVE_LINE_H_

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

namespace dure::simulation {

// "round 12/300 [####------------]   4 %  3.2 rounds/s  0:56 left"
struct ProgressBar {
  std::string label;
  double share = 0;                 // 0 to 1
  std::vector<std::string> fields;  // the more important first
};

// The bar in at most `columns` columns: fields that do not fit are left out, and where there is
// little room the bar itself.
std::string BarText(const ProgressBar& bar, size_t columns);

// "3.2 rounds/s" or, of fewer than one a second, "12.5 s a round"; "" if nothing is done yet.
std::string RateText(double done, double seconds, std::string_view noun);

class LiveLine {
 public:
  // `terminal`: `out` understands "\r" and "ESC [ K"; otherwise the bar is never shown. Both
  // pointers are borrowed.
  LiveLine(FILE* out, bool terminal, Clock* clock)
      : out_(out), terminal_(terminal), clock_(clock) {}

  // `lines` end in a newline each.
  void Print(std::string_view lines);
  // At most 10 times a second; what comes sooner is shown with what comes later.
  void Show(ProgressBar bar);
  // Takes the bar away.
  void Finish();

 private:
  void Draw();
  void Clear();

  FILE* out_;
  bool terminal_;
  Clock* clock_;
  ProgressBar bar_;
  bool drawn_ = false;
  absl::Time next_ = absl::InfinitePast();
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_LIVE_LINE_H_
