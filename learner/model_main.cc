// dure-model: what `dure model ...` runs. Reads and writes model files; needs no federation that is
// running and no network.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/command_tree.h"
#include "federation/suggest.h"
#include "learner/model_commands.h"
#include "learner/personalize.h"

namespace dure {
namespace {

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;

const std::map<std::string, ModelFormat> kFormats = {{"safetensors", ModelFormat::kSafetensors},
                                                     {"torchscript", ModelFormat::kTorchScript},
                                                     {"huggingface", ModelFormat::kHuggingFace}};

// A whole number from `least`: what CLI11 alone would take also below 0, modulo 2^64.
CLI::Validator WholeNumber(uint64_t least) {
  return CLI::Validator(
      [least](std::string& text) -> std::string {
        uint64_t number = 0;
        if (absl::SimpleAtoi(text, &number) && number >= least) return "";
        return absl::StrCat("\"", text, "\" is no whole number from ", least);
      },
      "");
}

// Adds a subcommand with an example; once parsed, it sets `run` to what is to be done.
using Run = std::function<absl::Status()>;
template <typename Command>
CLI::App* Add(CLI::App* app, const char* name, const char* summary, const char* example,
              std::shared_ptr<Command> command, Run* run,
              absl::Status (*work)(const Command&, bool, std::ostream&)) {
  CLI::App* added = app->add_subcommand(name, summary);
  auto json = std::make_shared<bool>(false);
  added->add_flag("--json", *json, "results as JSON, one object a line");
  added->footer(std::string("Example: ") + example);
  // Shared with the options, which fill in the command after this function has returned.
  added->callback([=] { *run = [=] { return work(*command, *json, std::cout); }; });
  return added;
}

void AddInit(CLI::App* app, Run* run) {
  auto command = std::make_shared<InitCommand>();
  CLI::App* init =
      Add(app, "init", "Writes the weights a federation begins with.",
          "dure model init --federation federation.toml --out model/initial.safetensors", command,
          run, RunInit);
  init->add_option("--federation", command->federation, "federation file")->required();
  init->add_option("--out", command->out, "safetensors file to write")->required();
  init->add_option_function<uint64_t>(
          "--seed", [command](uint64_t seed) { command->seed = seed; },
          "seed of the weights, instead of the federation's")
      ->check(WholeNumber(0));
}

void AddExport(CLI::App* app, Run* run) {
  auto command = std::make_shared<ExportCommand>();
  CLI::App* exporting =
      Add(app, "export", "Writes a model in another format.",
          "dure model export --model model.safetensors --format torchscript --out model.pt",
          command, run, RunExport);
  exporting->add_option("--model", command->model, "safetensors file")->required();
  exporting
      ->add_option_function<std::string>(
          "--format",
          [command](const std::string& format) { command->format = kFormats.at(format); },
          "safetensors, torchscript or huggingface")
      ->required()
      ->check(CLI::IsMember({"safetensors", "torchscript", "huggingface"}));
  exporting->add_option("--module", command->module,
                        "TorchScript file that the parameters belong to, if it is one");
  exporting->add_option("--out", command->out, "file (huggingface: folder) to write")->required();
  exporting->add_option("--metadata", command->metadata,
                        "KEY=VALUE to add to what the file says of itself");
}

void AddPredict(CLI::App* app, Run* run) {
  auto command = std::make_shared<PredictCommand>();
  CLI::App* predict =
      Add(app, "predict", "Runs a model on pictures.",
          "dure model predict model.pt t10k-images-idx3-ubyte.gz --index 5 --count 10", command,
          run, RunPredict);
  predict->add_option("MODEL", command->model, "safetensors or TorchScript file")->required();
  predict->add_option("INPUT", command->inputs, "IDX files of records, 8-bit grey PNG files")
      ->required();
  predict->add_option("--index", command->index, "first record of an IDX file")
      ->check(WholeNumber(0))
      ->capture_default_str();
  predict->add_option("--count", command->count, "how many records of an IDX file")
      ->capture_default_str()
      ->check(WholeNumber(1));
  predict->add_option("--labels", command->labels, "IDX file of labels, to count what is right");
  predict->add_option("--classes", command->classes, "file with the name of a class a line");
}

void AddEvaluate(CLI::App* app, Run* run) {
  auto command = std::make_shared<EvaluateCommand>();
  CLI::App* evaluate =
      Add(app, "evaluate", "Measures loss and accuracy on a data folder.",
          "dure model evaluate model.safetensors data/heldout", command, run, RunEvaluate);
  evaluate->add_option("MODEL", command->model, "safetensors or TorchScript file")->required();
  evaluate->add_option("FOLDER", command->folder, "data folder")->required();
  evaluate->add_option("--vocabulary", command->vocabulary,
                       "file of the words of a model of words, one a line");
  evaluate->add_flag_callback(
      "--held-out", [command] { command->part = DataPart::kHeldOut; },
      "use its held-out part (t10k-...)");
}

void AddPersonalize(CLI::App* app, Run* run) {
  auto command = std::make_shared<PersonalizeCommand>();
  CLI::App* personalize =
      Add(app, "personalize", "Tunes a released model on your own data, on this machine.",
          "dure model personalize released.safetensors data/clinic --out mine.safetensors "
          "--only 'fc2.*'",
          command, run, RunPersonalize);
  personalize->add_option("MODEL", command->model, "safetensors file")->required();
  personalize->add_option("FOLDER", command->folder, "data folder")->required();
  personalize->add_option("--out", command->out, "safetensors file to write")->required();
  personalize->add_option("--vocabulary", command->vocabulary,
                          "file of the words of a model of words, one a line");
  personalize->add_option("--epochs", command->epochs, "passes over the records, 1 to 1000")
      ->check(WholeNumber(1))
      ->capture_default_str();
  personalize
      ->add_option("--learning-rate", command->learning_rate, "factor of a step, at most 1000")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  personalize->add_option("--batch-size", command->batch_size, "records of a step, 1 to 1000000")
      ->check(WholeNumber(1))
      ->capture_default_str();
  personalize->add_option("--seed", command->seed, "of the order of the records")
      ->check(WholeNumber(0))
      ->capture_default_str();
  personalize->add_option("--only", command->only,
                          "tune only the parameters of these names; * stands for any characters");
}

void AddDescribe(CLI::App* app, Run* run) {
  auto command = std::make_shared<DescribeCommand>();
  CLI::App* describe =
      Add(app, "describe", "Shows the layers and tensors of a model.",
          "dure model describe cnn --shape 1,28,28 --classes 10", command, run, RunDescribe);
  describe
      ->add_option("NAME", command->model,
                   "built-in architecture, safetensors file or TorchScript file")
      ->required();
  describe
      ->add_option("--shape", command->shape,
                   "shape of a record, for a built-in one: 1,28,28, for texts 80, unless said")
      ->delimiter(',');
  describe
      ->add_option("--classes", command->classes,
                   "number of classes, for a built-in one: 10, for texts 256, unless said")
      ->check(WholeNumber(1));
  describe
      ->add_option("--ring-bits", command->ring_bits,
                   "bits of a masked number, for the bytes a round (`dure check` says how many)")
      ->check(CLI::Range(1, 62));
}

// One line: what is wrong, and what to do next.
std::string FailureLine(const CLI::App* app, const CLI::Error& error) {
  const std::vector<CLI::App*> called = app->get_subcommands();
  const CLI::App* command = called.empty() ? app : called.front();
  const std::vector<std::string> rest = command->remaining();
  std::string what = error.what();
  if (called.empty() && !rest.empty() && rest.front().front() != '-') {
    std::vector<std::string> names;
    for (const CLI::App* known : app->get_subcommands({})) names.push_back(known->get_name());
    return absl::StrCat("dure model: ", NoSuchWord("command", rest.front(), names), "\n");
  }
  if (!rest.empty()) {
    what = absl::StrCat("the argument \"", rest.front(), "\" was not expected");
  } else if (called.empty()) {
    what = "a command is missing";
  }
  return absl::StrCat("dure model: ", what, "; see dure model ",
                      called.empty() ? "" : absl::StrCat(command->get_name(), " "), "--help\n");
}

int Main(int argc, char** argv) {
  CLI::App app("Models: what is built in, new weights, predictions, other formats.", "dure model");
  app.require_subcommand(1);
  app.failure_message(FailureLine);
  Run run;
  AddInit(&app, &run);
  AddExport(&app, &run);
  AddPredict(&app, &run);
  AddEvaluate(&app, &run);
  AddPersonalize(&app, &run);
  AddDescribe(&app, &run);
  Add(&app, "list", "Lists the built-in architectures.", "dure model list",
      std::make_shared<ListCommand>(), &run, RunList);
  if (PrintedCommandTree(argc, argv, app)) return 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  const absl::Status status = run();
  if (status.ok()) return 0;
  // One line, whatever a file's name has in it.
  std::cerr << "dure model: " << absl::StrReplaceAll(status.message(), {{"\n", " "}}) << "\n";
  return absl::IsInvalidArgument(status) ? kWrongUsage : kFailure;
}

}  // namespace
}  // namespace dure

int main(int argc, char** argv) { return dure::Main(argc, argv); }
