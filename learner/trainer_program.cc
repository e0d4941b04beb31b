#include "learner/trainer_program.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/attachments.h"
#include "federation/model_file.h"
#include "learner/initial_weights.h"
#include "learner/sandbox.h"
#include "learner/trainer_service.h"

namespace dure {
namespace {

constexpr int kWrongUsage = 2;

// Ends the process when the client is gone, also in the middle of a computation. (PR_SET_PDEATHSIG
// would fire when the thread that started the trainer ends, not the process.)
void EndWithClient(int socket) {
  for (;;) {
    pollfd entry = {.fd = socket, .events = POLLRDHUP, .revents = 0};
    if (poll(&entry, 1, -1) < 0 && errno == EINTR) continue;
    _exit(0);
  }
}

bool IsServed() {
  int type = 0;
  socklen_t length = sizeof(type);
  return getsockopt(kTrainerSocket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
         type == SOCK_SEQPACKET;
}

// "--NAME VALUE" pairs. InvalidArgument unless they are some of `known`.
absl::StatusOr<std::map<std::string, std::string>> ReadFlags(
    int argc, char** argv, const std::vector<std::string>& known) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const bool good = name.starts_with("--") && i + 1 < argc &&
                      std::find(known.begin(), known.end(), name.substr(2)) != known.end();
    if (!good) {
      return absl::InvalidArgumentError(absl::StrCat(argv[1], " takes --",
                                                     absl::StrJoin(known, " VALUE, --"),
                                                     " VALUE; \"", argv[i], "\" is none of them"));
    }
    flags[std::string(name.substr(2))] = argv[i + 1];
  }
  return flags;
}

absl::StatusOr<ModelSection> ReadModelSection(const std::string& file) {
  if (file.empty()) return absl::InvalidArgumentError("name the federation file with --federation");
  DURE_ASSIGN_OR_RETURN(const FederationSpec spec, ReadFederationWithFiles(file));
  return spec.model();
}

absl::Status WriteInitial(const TrainerParts& parts, std::map<std::string, std::string> flags) {
  DURE_ASSIGN_OR_RETURN(const ModelSection section, ReadModelSection(flags["federation"]));
  uint64_t seed = section.seed();
  if (flags.contains("seed") && !absl::SimpleAtoi(flags["seed"], &seed)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--seed \"", flags["seed"], "\" is no whole number from 0"));
  }
  const std::string& out = flags["out"];
  if (out.empty()) return absl::InvalidArgumentError("name the file to write with --out");
  if (FileExists(out)) {
    return absl::AlreadyExistsError(absl::StrCat(out, " is there already: remove it first"));
  }
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<TrainableModel> model, parts.make_model(section, 1));
  ModelFile file{.manifest = model->manifest(), .params = {}, .metadata = parts.metadata};
  if (section.architecture() == ModelSection::OWN) file.metadata[kOwnModelKey] = section.own();
  file.params =
      parts.initial ? parts.initial(*model, seed) : InitialWeights(model->manifest(), seed);
  if (file.params.size() != model->dim()) {
    return absl::InternalError(absl::StrCat(file.params.size(), " initial weights, the model has ",
                                            model->dim(), " parameters"));
  }
  const std::string folder = out.substr(0, out.find_last_of('/') + 1);
  if (!folder.empty()) DURE_RETURN_IF_ERROR(MakeFolder(folder.substr(0, folder.size() - 1)));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(out, EncodeSafetensors(file)));
  std::printf("%s: %zu parameters, seed %llu\n", out.c_str(), file.params.size(),
              static_cast<unsigned long long>(seed));
  return absl::OkStatus();
}

absl::Status Describe(const TrainerParts& parts, std::map<std::string, std::string> flags) {
  DURE_ASSIGN_OR_RETURN(const ModelSection section, ReadModelSection(flags["federation"]));
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<TrainableModel> model, parts.make_model(section, 1));
  for (const ParamEntry& entry : model->manifest().params) {
    std::printf("%-32s %s\n", entry.name.c_str(), absl::StrJoin(entry.shape, " x ").c_str());
  }
  std::printf("%zu parameters\n", model->dim());
  return absl::OkStatus();
}

int Usage(const TrainerProgram& program, bool asked) {
  std::fprintf(asked ? stdout : stderr,
               "%s trains for `dure client`, which starts it. By hand: `%s init --federation FILE "
               "--out FILE [--seed S]` writes the weights a run begins with, `%s describe "
               "--federation FILE` prints the parameters.\n",
               program.name.c_str(), program.name.c_str(), program.name.c_str());
  return asked ? 0 : kWrongUsage;
}

int ByHand(int argc, char** argv, const TrainerProgram& program) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "--help" || command == "-h") return Usage(program, true);
  if (command != "init" && command != "describe") return Usage(program, false);
  const bool init = command == "init";
  absl::Status status = program.prepare ? program.prepare() : absl::OkStatus();
  if (status.ok()) {
    auto flags = ReadFlags(argc, argv,
                           init ? std::vector<std::string>{"federation", "out", "seed"}
                                : std::vector<std::string>{"federation"});
    status = !flags.ok() ? flags.status()
             : init      ? WriteInitial(program.parts, *std::move(flags))
                         : Describe(program.parts, *std::move(flags));
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", program.name.c_str(), std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kWrongUsage : 1;
}

}  // namespace

int TrainerMain(int argc, char** argv, TrainerProgram program) {
  if (argc > 1 || !IsServed()) return ByHand(argc, argv, program);
  std::thread(EndWithClient, kTrainerSocket).detach();
  absl::Status status = program.prepare ? program.prepare() : absl::OkStatus();
  if (status.ok()) {
    status = TrainerService(kTrainerSocket, EnterSandbox({}), std::move(program.parts)).Run();
  }
  if (!status.ok()) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), std::string(status.message()).c_str());
  }
  // Without the static destructors of the libraries, whose threads are still there.
  std::fflush(stderr);
  _exit(status.ok() ? 0 : 1);
}

}  // namespace dure
