#include "transport/grpc_setup.h"

#include <grpc/support/log.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace dure {

void SetUpGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(
        [](gpr_log_func_args* entry) { LogDebug(absl::StrCat("gRPC: ", entry->message)); });
  });
}

}  // namespace dure
