// `dure model …` is a program of its own, dure-model, because it needs LibTorch. Only the export of
// a federation's released model begins here, where the federation's folder is understood.
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/programs.h"
#include "cli/stop_signal.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/released_model.h"
#include "federation/attachments.h"

namespace dure::cli {
namespace {

namespace fs = std::filesystem;

struct ExportFlags {
  std::string folder, format = "torchscript", out;
  bool best = false;
};

absl::StatusOr<int> Export(const ExportFlags& flags) {
  DURE_ASSIGN_OR_RETURN(std::string program, FindProgram("dure-model"));
  DURE_ASSIGN_OR_RETURN(
      ModelFile model,
      ReadReleasedModel(flags.folder, flags.best ? ReleasedRound::kBest : ReleasedRound::kNewest));
  const std::string released =
      absl::StrCat(flags.folder, "/model/", flags.best ? "best" : "released", ".safetensors");
  const bool fresh = !FileExists(flags.out);
  UndoOnSignal undo([&] {
    const pid_t pid = EndRunningProgram();
    std::error_code ignored;
    if (fresh) fs::remove_all(flags.out, ignored);
    fs::remove(absl::StrCat(flags.out, ".new-", pid), ignored);  // base/file.h
    fs::remove(absl::StrCat(released, ".new-", getpid()), ignored);
  });
  DURE_RETURN_IF_ERROR(WriteFileAtomic(released, EncodeSafetensors(model)));
  std::vector<std::string> arguments = {"export", "--model", released, "--format", flags.format,
                                        "--out",  flags.out};
  if (model.metadata["dure.architecture"] == "torchscript") {
    // The parameters go back into the module that they are of.
    DURE_ASSIGN_OR_RETURN(const FederationSpec spec,
                          ReadFederationWithFiles(FederationFilePath(flags.folder)));
    arguments.insert(arguments.end(),
                     {"--module", absl::StrCat(flags.folder, "/", spec.model().torchscript())});
  }
  return RunProgram(program, arguments);
}

}  // namespace

void AddModelCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      AddCommand(app, "model", "Exports, runs and measures models: dure model --help", "");
  command->prefix_command();
  command->set_help_flag();  // dure-model has its own
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* exporting = AddCommand(*command, "export", "Writes a federation's released model",
                                   "dure model export clinics --format torchscript --out model.pt");
  exporting->set_help_flag("-h,--help", "Print this help message and exit");
  exporting->add_option("DIR", flags->folder, "the federation's folder")->required();
  exporting->add_option("--format", flags->format, "torchscript, safetensors or huggingface")
      ->check(CLI::IsMember({"torchscript", "safetensors", "huggingface"}))
      ->capture_default_str();
  exporting->add_option("--out", flags->out, "the file or folder to write")->required();
  exporting->add_flag("--best", flags->best,
                      "the model with the lowest loss at the evaluators, not the newest");
  exporting->callback([flags, exit_code] {
    absl::StatusOr<int> code = Export(*flags);
    *exit_code = code.ok() ? *code : Fail(code.status());
  });
  command->callback([command, exit_code] {
    if (!command->get_subcommands().empty()) return;
    absl::StatusOr<std::string> program = FindProgram("dure-model");
    *exit_code =
        program.ok() ? Fail(BecomeProgram(*program, command->remaining())) : Fail(program.status());
  });
}

}  // namespace dure::cli
