// dure-model: what `dure model ...` runs. Reads and writes model files; needs no federation that is
// running and no network.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "learner/model_commands.h"

namespace {

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;

const std::map<std::string, dure::ModelFormat> kFormats = {
    {"safetensors", dure::ModelFormat::kSafetensors},
    {"torchscript", dure::ModelFormat::kTorchScript},
    {"huggingface", dure::ModelFormat::kHuggingFace}};

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << "dure model: " << std::string(status.message()) << "\n";
  return kFailure;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Models: what is built in, new weights, predictions, other formats.", "dure model");
  app.require_subcommand(1);
  bool json = false;
  const std::string json_help = "results as JSON, one object a line";

  dure::InitCommand init;
  uint64_t seed = 0;
  CLI::App* init_app = app.add_subcommand("init", "Writes the weights a federation begins with.");
  init_app->add_option("--federation", init.federation, "federation file")->required();
  init_app->add_option("--out", init.out, "safetensors file to write")->required();
  CLI::Option* seed_option =
      init_app->add_option("--seed", seed, "seed of the weights, instead of the federation's");
  init_app->add_flag("--json", json, json_help);
  init_app->footer(
      "Example: dure model init --federation federation.toml --out model/initial.safetensors");

  dure::ExportCommand export_command;
  CLI::App* export_app = app.add_subcommand("export", "Writes a model in another format.");
  export_app->add_option("--model", export_command.model, "safetensors file")->required();
  std::string format;
  export_app->add_option("--format", format, "safetensors, torchscript or huggingface")
      ->required()
      ->check(CLI::IsMember({"safetensors", "torchscript", "huggingface"}));
  export_app->add_option("--out", export_command.out, "file (huggingface: folder) to write")
      ->required();
  export_app->add_option("--metadata", export_command.metadata,
                         "KEY=VALUE to add to what the file says of itself");
  export_app->add_flag("--json", json, json_help);
  export_app->footer(
      "Example: dure model export --model model.safetensors --format torchscript --out model.pt");

  dure::PredictCommand predict;
  CLI::App* predict_app = app.add_subcommand("predict", "Runs a model on pictures.");
  predict_app->add_option("MODEL", predict.model, "safetensors or TorchScript file")->required();
  predict_app->add_option("INPUT", predict.inputs, "IDX files of records, 8-bit grey PNG files")
      ->required();
  predict_app->add_option("--index", predict.index, "first record of an IDX file")
      ->capture_default_str();
  predict_app->add_option("--count", predict.count, "how many records of an IDX file")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  predict_app->add_option("--labels", predict.labels, "IDX file of labels, to count what is right");
  predict_app->add_option("--classes", predict.classes, "file with the name of a class a line");
  predict_app->add_flag("--json", json, json_help);
  predict_app->footer(
      "Example: dure model predict model.pt t10k-images-idx3-ubyte.gz --index 5 --count 10");

  dure::EvaluateCommand evaluate;
  bool held_out = false;
  CLI::App* evaluate_app =
      app.add_subcommand("evaluate", "Measures loss and accuracy on a data folder.");
  evaluate_app->add_option("MODEL", evaluate.model, "safetensors or TorchScript file")->required();
  evaluate_app->add_option("FOLDER", evaluate.folder, "data folder")->required();
  evaluate_app->add_flag("--held-out", held_out, "use its held-out part (t10k-...)");
  evaluate_app->add_flag("--json", json, json_help);
  evaluate_app->footer("Example: dure model evaluate model.safetensors data/heldout");

  CLI::App* list_app = app.add_subcommand("list", "Lists the built-in architectures.");
  list_app->add_flag("--json", json, json_help);
  list_app->footer("Example: dure model list");

  dure::DescribeCommand describe;
  CLI::App* describe_app =
      app.add_subcommand("describe", "Shows the layers and tensors of a model.");
  describe_app->add_option("NAME", describe.model, "built-in architecture or safetensors file")
      ->required();
  describe_app->add_option("--shape", describe.shape, "shape of a record, for a built-in one")
      ->delimiter(',');
  describe_app->add_option("--classes", describe.classes, "number of classes, for a built-in one")
      ->capture_default_str();
  describe_app->add_flag("--json", json, json_help);
  describe_app->footer("Example: dure model describe cnn --shape 1,28,28 --classes 10");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  if (*seed_option) init.seed = seed;
  if (*export_app) export_command.format = kFormats.at(format);
  if (held_out) evaluate.part = dure::DataPart::kHeldOut;
  if (*init_app) return Finish(dure::RunInit(init, json, std::cout));
  if (*export_app) return Finish(dure::RunExport(export_command, json, std::cout));
  if (*predict_app) return Finish(dure::RunPredict(predict, json, std::cout));
  if (*evaluate_app) return Finish(dure::RunEvaluate(evaluate, json, std::cout));
  if (*list_app) return Finish(dure::RunList(json, std::cout));
  return Finish(dure::RunDescribe(describe, json, std::cout));
}
