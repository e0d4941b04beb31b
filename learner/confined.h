// Runs a piece of work in a process of its own behind the trainer's sandbox: for what parses bytes
// of strangers in a program that must itself open files. Not thread-safe: the process must have no
// other threads that hold locks.
#ifndef DURE_LEARNER_CONFINED_H_
#define DURE_LEARNER_CONFINED_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "learner/sandbox.h"

namespace dure {

struct ConfinedOptions {
  SandboxOptions sandbox;
  absl::Duration timeout = absl::Minutes(2);
  uint64_t max_answer_bytes = uint64_t{4} << 30;
};

// What `work` returns, which it computes in the child: no file and no network is within its reach,
// and nothing that it changes is changed here. DeadlineExceeded after `timeout`, Aborted if the
// child died, ResourceExhausted if it ran out of memory, each saying so in a few words that begin
// with `what`; FailedPrecondition, naming the layer, if this system has no such sandbox.
absl::StatusOr<std::string> RunConfined(const std::string& what, const ConfinedOptions& options,
                                        const std::function<absl::StatusOr<std::string>()>& work);

}  // namespace dure

#endif  // DURE_LEARNER_CONFINED_H_
