// Commands of whoever organises a federation.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/federation_files.h"
#include "cli/programs.h"
#include "cli/simulated_here.h"
#include "cli/stop_signal.h"
#include "coordinator/service/federation_folder.h"
#include "crypto/pem_files.h"
#include "crypto/x509.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "federation/terms/check.h"
#include "learner/first_model.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

constexpr int kMostRemovals = 100;
constexpr char kDefaultExample[] = "fashion";

// ---- dure init ----

struct InitFlags {
  std::string folder;
  std::string from = kDefaultExample;
  std::string name;
  std::string address;
  std::string trainer;  // a program of one's own, which knows a model of its own
  std::string ca;       // certificate of an enrolment CA whose key is elsewhere
};

// Runs `dure model init`, or the same of a trainer of one's own, which says on standard error what
// it does not like. Weights of a built-in architecture need no other program.
absl::StatusOr<int> MakeInitialWeights(const InitFlags& flags, const std::string& example,
                                       const FederationSpec& spec) {
  std::string program = flags.trainer;
  if (program.empty() && spec.model().architecture() != ModelSection::TORCHSCRIPT) {
    const absl::StatusOr<ModelFile> made = FirstBuiltInModel(spec, spec.model().seed());
    if (!made.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(example, ": ", made.status().message()));
    }
    const ModelFile& model = *made;
    const std::string path = InitialModelPath(flags.folder);
    DURE_RETURN_IF_ERROR(MakeFolder(flags.folder + "/model"));
    DURE_RETURN_IF_ERROR(WriteFileAtomic(path, EncodeSafetensors(model)));
    absl::PrintF("%s: %s, %d parameters, seed %d\n", path,
                 model.metadata.at("dure.architecture"), model.manifest.dim(),
                 spec.model().seed());
    return kSuccess;
  }
  if (program.empty()) {
    DURE_ASSIGN_OR_RETURN(program, FindProgram("dure-model"));
  }
  return RunProgram(
      program, {"init", "--federation", example, "--out", InitialModelPath(flags.folder), "--seed",
                absl::StrCat(spec.model().seed())});
}

// federation.toml comes last: a folder without it is no federation, and can be tried again. A
// signal leaves no new folder behind. `code` is that of `dure model init`.
// The certificate of the federation's CA, DER.
absl::StatusOr<std::string> MakeFederation(const InitFlags& flags, const std::string& example,
                                           const FederationSpec& spec, int* code) {
  namespace fs = std::filesystem;
  const bool fresh = !FileExists(flags.folder);
  UndoOnSignal undo([&] {
    EndRunningProgram();
    std::error_code ignored;
    // More than once: the command may be writing.
    for (int i = 0; fresh && i < kMostRemovals && FileExists(flags.folder); ++i) {
      fs::remove_all(flags.folder, ignored);
    }
  });
  DURE_RETURN_IF_ERROR(MakeFolder(FederationPrivateFolder(flags.folder), 0700));
  std::error_code ignored;
  fs::remove(InitialModelPath(flags.folder), ignored);  // of an init that was killed
  DURE_ASSIGN_OR_RETURN(*code, MakeInitialWeights(flags, example, spec));
  if (*code != kSuccess) return absl::AbortedError("dure model init failed, and said why");
  DURE_RETURN_IF_ERROR(CopyAttachments(spec, fs::path(example).parent_path(), flags.folder));
  SystemRandom random;
  if (!flags.ca.empty()) {
    DURE_ASSIGN_OR_RETURN(const std::string ca, ReadCertificateFile(flags.ca));
    DURE_ASSIGN_OR_RETURN(
        const std::string request,
        MakeFederationFolderWithoutCaKey(flags.folder, spec, ca, absl::Now(), random));
    std::printf("The coordinator's certificate waits for the CA's signature: %s\n", request.c_str());
    return ca;
  }
  DURE_ASSIGN_OR_RETURN(FederationFolder made,
                        MakeFederationFolder(flags.folder, spec, absl::Now(), random));
  return std::move(made.ca_certificate);
}

int RunInit(const InitFlags& flags) {
  absl::StatusOr<std::string> example = FindExample(flags.from);
  if (!example.ok()) return Fail(example.status());
  absl::StatusOr<FederationSpec> spec = ReadOrganisersFile(*example);
  if (absl::IsAborted(spec.status())) return kFailure;  // told by another program
  if (!spec.ok()) return Fail(spec.status());
  if (!flags.name.empty()) spec->mutable_federation()->set_name(flags.name);
  if (!flags.address.empty()) spec->mutable_federation()->set_address(flags.address);
  if (absl::Status status = ValidateFederation(*spec); !status.ok()) return Fail(status, kUsage);
  if (FileExists(FederationFilePath(flags.folder))) {
    return Fail(HasFederationAlready(flags.folder));
  }
  if (absl::Status status = PartsOf(spec->model()).status(); !status.ok()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(*example, ": ", status.message())));
  }
  int code = kSuccess;
  const absl::StatusOr<std::string> ca = MakeFederation(flags, *example, *spec, &code);
  if (code != kSuccess) return code;
  if (!ca.ok()) return Fail(ca.status());
  std::printf(
      "A federation called \"%s\" is in %s.\n"
      "  federation.toml            its terms: read them, change them now; later they are fixed\n"
      "  private/                   its keys: keep them secret, keep a copy\n"
      "  model/initial.safetensors  the weights that training starts from\n"
      "Fingerprint of its enrolment CA, for members to compare:\n  %s\n"
      "Next: dure check %s, then dure coordinator %s\n",
      spec->federation().name().c_str(), flags.folder.c_str(),
      CertificateFingerprint(*ca).c_str(),
      FederationFilePath(flags.folder).c_str(), flags.folder.c_str());
  return kSuccess;
}

// ---- dure check ----

// What the file at `path` means, and what it says. InvalidArgument if it is wrong or cannot work.
absl::StatusOr<CheckReport> CheckFile(const std::string& path, const CheckOptions& options,
                                      FederationSpec* spec) {
  DURE_ASSIGN_OR_RETURN(*spec, ReadOrganisersFile(path));
  absl::StatusOr<CheckReport> report = CheckFederation(*spec, options);
  if (report.ok()) return report;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", report.status().message()));
}

struct CheckFlags {
  std::string path;
  std::optional<double> target_epsilon;
  bool as_json = false;
};

int RunCheck(const CheckFlags& flags) {
  CheckOptions options;
  if (flags.target_epsilon) {
    options.target_epsilon = *flags.target_epsilon;
    if (!(options.target_epsilon > 0 && options.target_epsilon <= 1000)) {
      return Fail(
          absl::InvalidArgumentError(absl::StrCat("--target-epsilon is ", options.target_epsilon,
                                                  " and must be a number above 0, at most 1000")));
    }
  }
  FederationSpec spec;
  absl::StatusOr<CheckReport> report = CheckFile(flags.path, options, &spec);
  if (absl::IsAborted(report.status())) return kFailure;  // told by another program
  if (!report.ok()) return Fail(report.status());
  const std::string text =
      flags.as_json ? WithSimulatedHere(CheckToJson(*report), spec, report->terms) + "\n"
                    : CheckToText(*report) + SimulatedHere(spec, report->terms);
  std::fputs(text.c_str(), stdout);
  return kSuccess;
}

}  // namespace

void AddOrganiserCommands(CLI::App& app, int* exit_code) {
  auto init = std::make_shared<InitFlags>();
  CLI::App* command = AddCommand(app, "init", "Makes a federation's folder: terms, keys, weights",
                                 "dure init clinics --address coordinator.example.org:7443");
  command->add_option("DIR", init->folder, "the folder to make")->required();
  command->add_option("--from", init->from, "an example's name, or a federation file")
      ->capture_default_str();
  command->add_option("--name", init->name, "of the federation");
  command->add_option("--address", init->address, "HOST:PORT that members will dial");
  command->add_option("--ca", init->ca,
                      "ca.pem of an enrolment CA on another machine: see dure sign init");
  command->add_option("--trainer", init->trainer,
                      "trainer program of your own, which writes the first weights of its model");
  command->callback([init, exit_code] { *exit_code = RunInit(*init); });

  auto check = std::make_shared<CheckFlags>();
  command =
      AddCommand(app, "check", "Says what a federation file means, and refuses what cannot work",
                 "dure check clinics/federation.toml");
  command->add_option("FEDERATION.toml", check->path, "the file")->required();
  command->add_option("--target-epsilon", check->target_epsilon,
                      "say what would reach this epsilon: how much noise, or how many rounds");
  command->add_flag("--json", check->as_json, "one JSON object");
  command->callback([=] { *exit_code = RunCheck(*check); });

  AddCoordinatorCommand(app, exit_code);
}

}  // namespace dure::cli
