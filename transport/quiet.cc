#include "transport/quiet.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace dure {

void QuietLibraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(
        [](gpr_log_func_args* entry) { LogDebug(absl::StrCat("gRPC: ", entry->message)); });
    google::protobuf::SetLogHandler(
        [](google::protobuf::LogLevel, const char*, int, const std::string& text) {
          LogDebug(absl::StrCat("protobuf: ", text));
        });
  });
}

}  // namespace dure
