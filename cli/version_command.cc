// `dure version`.
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "coordinator/service/store.h"
#include "crypto/digest.h"

namespace dure::cli {
namespace {

// The versions that this process runs on. LibTorch is not among them: only the trainer and
// `dure model` use it, and they were built with DURE_TORCH_VERSION.
void PrintLibraryVersions() {
  std::printf("gRPC %s\nProtobuf %s\n%s\nSQLite %s\nLibTorch %s, in dure-trainer and dure-model\n",
              grpc::Version().c_str(),
              google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION).c_str(),
              CryptoLibraryVersion().c_str(), SqliteVersion().c_str(), DURE_TORCH_VERSION);
}

}  // namespace

void AddVersionCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = AddCommand(app, "version", "Prints the version", "dure version --verbose");
  auto verbose = std::make_shared<bool>(false);
  command->add_flag("--verbose", *verbose, "and the versions of everything it runs on");
  command->callback([verbose, exit_code] {
    std::printf("dure %s\n", kVersion);
    if (*verbose) PrintLibraryVersions();
    *exit_code = kSuccess;
  });
}

}  // namespace dure::cli
