// `dure data …`: a member's own data, and the splitting of a data set for demonstrations.
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/data_add.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "cli/partition_show.h"
#include "cli/stop_signal.h"
#include "cli/table_flags.h"
#include "client/service/node.h"
#include "federation/attachments.h"
#include "learner/data/dataset.h"
#include "learner/data/partition.h"
#include "learner/data/text.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

// "28 x 28"
std::string ShapeInWords(const std::vector<uint32_t>& shape) { return absl::StrJoin(shape, " x "); }

// "0: 612, 1: 38, ..."
std::string CountsInWords(const std::vector<uint64_t>& counts) {
  std::string text;
  for (size_t label = 0; label < counts.size(); ++label) {
    absl::StrAppend(&text, label == 0 ? "" : ", ", label, ": ", counts[label]);
  }
  return text;
}

int PrintTextFile(const std::string& path, bool as_json) {
  absl::StatusOr<OpenAttachment> file = OpenForAttaching(path, kMaxTextBytes);
  if (!file.ok()) return Fail(file.status(), kFailure);
  absl::StatusOr<std::string> text = ReadText(file->file.get(), path);
  if (!text.ok()) return Fail(text.status(), kFailure);
  const std::vector<std::string> words = SplitWords(*text);
  const size_t kinds = std::set<std::string>(words.begin(), words.end()).size();
  if (as_json) {
    std::printf("%s\n", json({{"path", path},
                              {"bytes", text->size()},
                              {"lines", CountLines(*text)},
                              {"words", words.size()},
                              {"different_words", kinds}})
                            .dump(-1, ' ', false, json::error_handler_t::replace)
                            .c_str());
    return kSuccess;
  }
  absl::PrintF("%s\n  text  %d bytes, %d lines, %d words, %d different ones\n", path, text->size(),
               CountLines(*text), words.size(), kinds);
  return kSuccess;
}

int PrintOpaque(const DataFiles& files, bool as_json) {
  const absl::StatusOr<FileStamp> stamp = StampOfFile(files.images_path);
  if (!stamp.ok()) return Fail(stamp.status(), kFailure);
  if (as_json) {
    std::printf("%s\n", json({{"path", files.images_path}, {"bytes", stamp->bytes}})
                            .dump(-1, ' ', false, json::error_handler_t::replace)
                            .c_str());
    return kSuccess;
  }
  absl::PrintF("%s\n  %s, %d bytes, which only the trainer reads\n", files.images_path,
               OpaqueInWords(files), stamp->bytes);
  return kSuccess;
}

// A folder, or a table as the flags say.
int PrintPreview(const std::string& folder, bool as_json, const TableFlags& flags = {}) {
  if (IsTableFile(folder) && flags.label.empty() && flags.schema.empty() &&
      absl::EndsWithIgnoreCase(folder, ".txt")) {
    return PrintTextFile(folder, as_json);
  }
  absl::StatusOr<std::optional<Table>> table = TableAt(folder, flags);
  if (!table.ok()) return Fail(table.status(), kFailure);
  if (*table) {
    PrintTable(folder, **table, as_json);
    return kSuccess;
  }
  if (absl::StatusOr<DataFiles> files = OpenDataFolder(folder); files.ok()) {
    if (IsText(*files)) return PrintTextFile(files->images_path, as_json);
    if (!OpaqueInWords(*files).empty()) return PrintOpaque(*files, as_json);
  }
  absl::StatusOr<DataPreview> preview = PreviewDataFolder(folder);
  if (!preview.ok()) return Fail(preview.status(), kFailure);
  if (as_json) {
    std::printf("%s\n", json({{"path", folder},
                              {"records", preview->records},
                              {"shape", preview->shape},
                              {"label_counts", preview->label_counts}})
                            .dump()
                            .c_str());
    return kSuccess;
  }
  absl::PrintF("%s\n  records  %d, each %s\n  labels   %s\n", folder, preview->records,
               ShapeInWords(preview->shape), CountsInWords(preview->label_counts));
  return kSuccess;
}

int RunAdd(const Addition& addition) {
  const absl::StatusOr<Added> added = AddData(addition);
  if (absl::IsAborted(added.status())) return kFailure;  // told by another program
  if (!added.ok()) return Fail(added.status(), kFailure);
  std::printf("registered, to be read and never written or sent:\n");
  if (!added->note.empty()) std::fprintf(stderr, "%s\n", added->note.c_str());
  return PrintPreview(added->folder, false);
}

int RunSchema(const std::string& path, const TableFlags& flags) {
  absl::StatusOr<Schema> schema = SchemaOfFile(path, flags);
  if (!schema.ok()) return Fail(schema.status(), kFailure);
  std::printf("%s", SchemaToText(*schema).c_str());
  return kSuccess;
}

int RunList(const std::string& node_folder, bool as_json) {
  absl::StatusOr<Node> node = ReadNode(node_folder);
  if (!node.ok()) return Fail(node.status());
  if (!node->data_folder) {
    std::printf("%s\n", as_json ? "{\"path\":null}" : "no data is registered: dure data add PATH");
    return kSuccess;
  }
  return PrintPreview(*node->data_folder, as_json);
}

int RunPartition(const PartitionRequest& request, const std::string& how, const TableFlags& table,
                 bool as_json) {
  absl::StatusOr<PartitionSpec> spec = ParsePartition(how);
  if (!spec.ok()) return Fail(spec.status());
  PartitionRequest complete = request;
  complete.spec = *spec;
  if (IsTableFile(request.source) && !absl::EndsWithIgnoreCase(request.source, ".txt")) {
    absl::StatusOr<Schema> schema = SchemaOfFile(request.source, table);
    if (!schema.ok()) return Fail(schema.status(), kFailure);
    complete.schema = *std::move(schema);
  }
  StopSignal stop;
  complete.stopped = [&] { return stop.Requested(); };
  absl::StatusOr<PartitionReport> report = PartitionIntoFolders(complete);
  if (stop.Requested() && !report.ok()) return stop.ExitCode();
  if (!report.ok()) return Fail(report.status());
  auto print = [&](const PartitionReport::Folder& folder) {
    if (as_json) {
      std::printf("%s\n", json({{"path", folder.path},
                                {"records", folder.records},
                                {"label_counts", folder.label_counts}})
                              .dump()
                              .c_str());
    } else {
      absl::PrintF("%s  %6d records  %s\n", folder.path, folder.records,
                   absl::StrJoin(folder.label_counts, " "));
    }
  };
  if (!as_json) std::printf("folder, records, records of each label from 0:\n");
  for (const auto& folder : report->members) print(folder);
  for (const auto& folder : report->held_out) print(folder);
  return kSuccess;
}

void AddShow(CLI::App* data, int* exit_code) {
  auto show = std::make_shared<PartitionView>();
  CLI::App* command =
      AddCommand(*data, "show", "Previews records, and how simulated clients would share them",
                 "dure data show /usr/share/datasets/fashion-mnist --partition dirichlet:0.1 "
                 "--clients 100");
  command->add_option("PATH", show->path, "the folder or file")->required();
  AddTableFlags(command, &show->table, /*with_schema=*/true);
  command->add_option("--partition", show->how,
                      "draw this split: iid, contiguous, dirichlet:ALPHA, shards:K, "
                      "quantity:ALPHA, by:COLUMN or file:PATH");
  command->add_option("--clients", show->clients, "among so many");
  command->add_option("--seed", show->seed, "the same seed splits the same way")
      ->check(WholeNumber(0))
      ->capture_default_str();
  command->add_option("--records", show->records, "the most records of one client; 0: all")
      ->check(WholeNumber(0));
  command->add_flag("--json", show->as_json, "one JSON object");
  command->callback([=] {
    if (!show->wanted()) {
      *exit_code = PrintPreview(show->path, show->as_json, show->table);
      return;
    }
    const absl::Status status = ShowPartition(*show);
    *exit_code = status.ok() ? kSuccess : Fail(status);
  });
}

}  // namespace

void AddDataCommands(CLI::App& app, int* exit_code) {
  CLI::App* data = AddCommand(app, "data", "Registers, shows and splits data", "");
  data->require_subcommand(1);

  auto add = std::make_shared<Addition>(Addition{.node_folder = DefaultNodeFolder()});
  CLI::App* command =
      AddCommand(*data, "add", "Registers records, after checking that they fit",
                 "dure data add /srv/patients.csv --label outcome --missing constant:0");
  command
      ->add_option("PATH", add->path,
                   "a CSV or text file, a folder with images-idx3-ubyte and labels-idx1-ubyte, or "
                   "with --format images a folder of pictures for each class")
      ->required();
  AddNodeOption(command, &add->node_folder);
  AddFormatFlags(command, add.get());
  AddTableFlags(command, &add->table, /*with_schema=*/true);
  command->callback([=] { *exit_code = RunAdd(*add); });

  auto list = std::make_shared<std::string>(DefaultNodeFolder());
  auto list_json = std::make_shared<bool>(false);
  command = AddCommand(*data, "list", "Shows what is registered", "dure data list");
  AddNodeOption(command, list.get());
  command->add_flag("--json", *list_json, "one JSON object");
  command->callback([=] { *exit_code = RunList(*list, *list_json); });

  AddShow(data, exit_code);

  auto schema = std::make_shared<Addition>();
  command = AddCommand(*data, "schema", "Prints what the columns of a CSV file are, for --schema",
                       "dure data schema /srv/patients.csv --label outcome > patients.schema");
  command->add_option("PATH", schema->path, "the file")->required();
  AddTableFlags(command, &schema->table, /*with_schema=*/false);
  command->callback([=] { *exit_code = RunSchema(schema->path, schema->table); });

  struct PartitionFlags {
    PartitionRequest request;
    std::string how;
    TableFlags table;
    bool as_json = false;
  };
  auto partition = std::make_shared<PartitionFlags>();
  command = AddCommand(*data, "partition", "Splits a data set into one folder for each client",
                       "dure data partition /usr/share/datasets/fashion-mnist --clients 10 "
                       "--partition dirichlet:0.5 --out members");
  command
      ->add_option("PATH", partition->request.source, "a folder of records, a CSV file or a text")
      ->required();
  command->add_option("--clients", partition->request.clients,
                      "how many; by:COLUMN and file:PATH know it without");
  command
      ->add_option("--partition", partition->how,
                   "iid, contiguous, dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN or "
                   "file:PATH")
      ->required();
  AddTableFlags(command, &partition->table, /*with_schema=*/true);
  command->add_option("--out", partition->request.out, "the folder to fill")->required();
  command->add_option("--seed", partition->request.seed, "the same seed splits the same way")
      ->check(WholeNumber(0))
      ->capture_default_str();
  command->add_flag("--json", partition->as_json, "one JSON object a folder");
  command->callback([=] {
    *exit_code =
        RunPartition(partition->request, partition->how, partition->table, partition->as_json);
  });
}

}  // namespace dure::cli
