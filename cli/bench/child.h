// Processes that a benchmark starts: other programs, or this one again in a hidden role. Not
// thread-safe.
#ifndef DURE_CLI_BENCH_CHILD_H_
#define DURE_CLI_BENCH_CHILD_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "cli/bench/figure.h"

namespace dure::bench {

// Where this program is, and where `dure` is.
std::string OwnPath();
std::string DurePath();

// A process whose standard output is read line by line; what it says otherwise goes to a log in
// the folder of the settings. It ends with this object.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(const Settings& settings,
                                                      const std::string& program,
                                                      const std::vector<std::string>& arguments);
  // This program again as `role`; see roles.h.
  static absl::StatusOr<std::unique_ptr<Child>> StartRole(
      const Settings& settings, const std::string& role, const std::vector<std::string>& arguments);
  ~Child();

  // The next line, without its end. DeadlineExceeded after `timeout`; Cancelled when the person at
  // the keyboard asked for the end; Unavailable, with the last line of the log, if the process has
  // ended.
  absl::StatusOr<std::string> ReadLine(absl::Duration timeout);
  // Waits for its end. The exit code.
  int Wait();

  pid_t pid() const { return pid_; }
  // "VmRSS" or "VmHWM" of the process, in bytes; 0 if it has ended.
  uint64_t Memory(const std::string& which) const;
  // Seconds of processor time so far.
  double CpuSeconds() const;

 private:
  Child(const Settings& settings, pid_t pid, FileDescriptor output)
      : settings_(settings), pid_(pid), output_(std::move(output)) {}

  const Settings settings_;
  pid_t pid_;
  FileDescriptor output_;
  std::string pending_;
  bool ended_ = false;
};

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_CHILD_H_
