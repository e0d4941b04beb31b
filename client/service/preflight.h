// What `dure preflight` looks at before somebody leaves a client to itself: each check says that
// something holds, that it does not and what to do, or what is worth knowing. Blocking.
#ifndef DURE_CLIENT_SERVICE_PREFLIGHT_H_
#define DURE_CLIENT_SERVICE_PREFLIGHT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace dure {

struct PreflightCheck {
  enum class Result { kPass, kNote, kFail };
  std::string name;
  Result result = Result::kPass;
  std::string text;    // what was found; the cause of a failure
  std::string remedy;  // what to do; "" where nothing is
};

// "PASS", "NOTE", "FAIL".
const char* ResultWord(PreflightCheck::Result result);

struct PreflightOptions {
  std::string node_folder;
  std::string trainer_program;
  int threads = 1;
};

// Calls `done` with each check when it is done. What cannot be found out because an earlier check
// failed is left out.
void RunPreflight(const PreflightOptions& options, const std::function<void(PreflightCheck)>& done);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_PREFLIGHT_H_
