// What every file that calls LibTorch needs: its exceptions as statuses. Thread-safe.
#ifndef DURE_LEARNER_GUARDED_TORCH_H_
#define DURE_LEARNER_GUARDED_TORCH_H_

#include <c10/util/Exception.h>

#include <exception>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dure {

// What LibTorch says went wrong, without its stack. Where a TorchScript module raised it, its text
// ends with the message and begins with where in the module's source.
std::string TextOf(const c10::Error& error);
std::string TextOf(const std::exception& error);

// Runs `work` and turns what LibTorch throws into a status of `code`.
template <typename Work>
auto Guarded(absl::StatusCode code, const std::string& what, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return absl::Status(code, absl::StrCat(what, ": ", TextOf(error)));
  } catch (const std::exception& error) {
    return absl::Status(code, absl::StrCat(what, ": ", TextOf(error)));
  }
}

}  // namespace dure

#endif  // DURE_LEARNER_GUARDED_TORCH_H_
