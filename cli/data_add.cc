#include "cli/data_add.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/exit_code.h"
#include "cli/programs.h"
#include "cli/stop_signal.h"
#include "client/policy.h"
#include "client/service/data_ledger_file.h"
#include "client/service/node.h"
#include "client/service/node_files.h"
#include "learner/data/text.h"

namespace dure::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kLongestSide = 4096;
// A data folder of the member's own: NODE/data-1, NODE/data-2, ...
constexpr char kOwnFolder[] = "data-";

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// The folder of the node that is being filled, removed with everything in it unless it is kept.
class Staging {
 public:
  static absl::StatusOr<Staging> Make(const Node& node) {
    std::error_code error;
    for (uint32_t number = 1;; ++number) {
      const fs::path path =
          fs::absolute(node.folder).lexically_normal() / absl::StrCat(kOwnFolder, number);
      if (fs::exists(path, error)) continue;
      DURE_RETURN_IF_ERROR(MakeFolder(path.string(), 0700));
      return Staging(path.string());
    }
  }
  Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  Staging& operator=(Staging&&) = delete;
  ~Staging() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  void Keep() { path_.clear(); }

 private:
  explicit Staging(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

absl::Status Link(const std::string& file, const std::string& link) {
  std::error_code error;
  const fs::path target = fs::canonical(file, error);
  if (!error) fs::create_symlink(target, link, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make ", link));
  return absl::OkStatus();
}

// ---- tables ----

// What the federation's schema and the model say of a table, added to what the person says.
absl::StatusOr<TableFlags> FlagsForNode(const Node& node, TableFlags flags) {
  if (node.spec.data().has_schema()) {
    if (!flags.schema.empty()) {
      return absl::FailedPreconditionError(
          "the federation states the schema of its members' tables: leave --schema out");
    }
    flags.schema = NodeFilePath(node.folder, AttachmentOf(node.spec, "data.schema"));
    if (FileIsMissing(flags.schema)) {
      DURE_RETURN_IF_ERROR(FetchFiles(node.spec, node.folder, SourceOf(node)));
    }
  } else if (node.spec.model().loss() == ModelSection::MSE && flags.schema.empty() &&
             !flags.label.empty()) {
    flags.numeric.push_back(flags.label);
  }
  return flags;
}

// The table at `path` by the schema of the flags, its held-out part too where there is one.
absl::Status StageTable(const std::string& path, const std::string& held_out,
                        const TableFlags& flags, const std::string& to) {
  DURE_ASSIGN_OR_RETURN(const Schema schema, SchemaOfFile(path, flags));
  DURE_RETURN_IF_ERROR(Link(path, to + "/records.csv"));
  if (!held_out.empty()) {
    DURE_RETURN_IF_ERROR(SchemaOfFile(held_out, flags).status());
    DURE_RETURN_IF_ERROR(Link(held_out, to + "/heldout.csv"));
  }
  return WriteFileAtomic(to + "/records.schema", SchemaToText(schema), 0600);
}

// ---- pictures ----

absl::StatusOr<std::pair<uint32_t, uint32_t>> ParseSize(const std::string& text) {
  std::pair<uint32_t, uint32_t> size(0, 0);
  if (text.empty()) return size;
  const std::vector<std::string> sides = absl::StrSplit(text, absl::ByAnyChar("xX"));
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], &size.first) &&
      absl::SimpleAtoi(sides[1], &size.second) && size.first > 0 && size.second > 0 &&
      size.first <= kLongestSide && size.second <= kLongestSide) {
    return size;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--size \"", text, "\": it must be HEIGHTxWIDTH, such as 28x28, at most ",
                   kLongestSide, " each"));
}

// A class without a folder would move the numbers of those after it.
absl::Status CheckClassFolders(const Addition& addition, const ModelSection& model) {
  if (!addition.table.classes.empty()) return absl::OkStatus();
  uint32_t folders = 0;
  std::error_code error;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(addition.path, unreadable)) {
    folders +=
        entry.is_directory(error) && !absl::StartsWith(entry.path().filename().string(), ".");
  }
  if (unreadable) {
    return ErrnoStatus(unreadable.value(), absl::StrCat("cannot read ", addition.path));
  }
  const uint32_t classes =
      model.loss() == ModelSection::BCE_WITH_LOGITS ? 2 : model.input().classes();
  if (folders < 2 || folders == classes) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(addition.path, " has ", folders, " class folders, the model has ", classes,
                   " classes: name all of them, in their order, with --classes"));
}

absl::Status StagePictures(const Addition& addition, const std::string& to) {
  DURE_ASSIGN_OR_RETURN(const auto size, ParseSize(addition.pictures.size));
  DURE_ASSIGN_OR_RETURN(const std::string program, FindProgram("dure-pictures"));
  std::vector<std::string> arguments = {addition.path,
                                        to,
                                        absl::StrCat(size.first),
                                        absl::StrCat(size.second),
                                        absl::StrCat(addition.pictures.channels),
                                        absl::StrCat(addition.pictures.held_out)};
  arguments.insert(arguments.end(), addition.table.classes.begin(), addition.table.classes.end());
  UndoOnSignal undo([&] {
    EndRunningProgram();
    std::error_code ignored;
    fs::remove_all(to, ignored);
  });
  DURE_ASSIGN_OR_RETURN(const int code, RunProgram(program, arguments));
  if (code == kSuccess) return absl::OkStatus();
  return absl::AbortedError("dure-pictures failed, and said why");
}

// ---- all formats ----

// What --format says, or what the path looks like.
std::string FormatOf(const Addition& addition) {
  if (addition.format != "auto") return addition.format;
  if (!IsFile(addition.path)) return "folder";
  if (!addition.table.label.empty() || !addition.table.schema.empty()) return "csv";
  if (absl::EndsWithIgnoreCase(addition.path, ".txt")) return "text";
  if (absl::EndsWithIgnoreCase(addition.path, ".pt")) return "pt";
  if (absl::EndsWithIgnoreCase(addition.path, ".own")) return "own";
  return "csv";
}

// A folder that holds what a federation with a schema reads by its own; nothing for other folders.
absl::StatusOr<bool> StageFolder(const Node& node, const Addition& addition,
                                 const std::string& to) {
  if (!node.spec.data().has_schema()) return false;
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(addition.path));
  if (!IsTable(files)) return false;
  DURE_ASSIGN_OR_RETURN(const Schema here, ReadSchema(files.labels.get(), files.labels_path));
  DURE_ASSIGN_OR_RETURN(TableFlags flags, FlagsForNode(node, {}));
  flags.delimiter = std::string(1, here.format.delimiter);
  flags.no_header = !here.format.header;
  flags.missing_values = here.format.missing_values;
  const std::string held_out = addition.path + "/heldout.csv";
  DURE_RETURN_IF_ERROR(
      StageTable(files.images_path, FileExists(held_out) ? held_out : "", flags, to));
  return true;
}

// Fills `to`, or leaves it empty where the folder named is registered itself.
absl::Status Stage(const Node& node, const Addition& addition, const std::string& to) {
  const std::string format = FormatOf(addition);
  if (format == "idx" || format == "folder") {
    return StageFolder(node, addition, to).status();
  }
  if (FileIsMissing(addition.path)) {
    return absl::NotFoundError(absl::StrCat("there is no file or folder ", addition.path));
  }
  if (format == "images") {
    if (IsFile(addition.path)) {
      return absl::FailedPreconditionError(
          absl::StrCat(addition.path, " is a file: name the folder with a folder for each class"));
    }
    DURE_RETURN_IF_ERROR(CheckClassFolders(addition, node.spec.model()));
    return StagePictures(addition, to);
  }
  if (!IsFile(addition.path)) {
    return absl::FailedPreconditionError(
        absl::StrCat(addition.path, " is a folder: --format ", format, " goes with a file"));
  }
  if (format == "text") return Link(addition.path, to + "/records.txt");
  if (format == "pt") return Link(addition.path, to + "/records.pt");
  if (format == "own") return Link(addition.path, to + "/records.own");
  DURE_ASSIGN_OR_RETURN(const TableFlags flags, FlagsForNode(node, addition.table));
  return StageTable(addition.path, "", flags, to);
}

std::string NoteOn(const Dataset& data, const ModelSection& model) {
  if (model.loss() != ModelSection::CROSS_ENTROPY &&
      model.loss() != ModelSection::BCE_WITH_LOGITS) {
    return "";
  }
  const float first = data.labels.front();
  if (std::any_of(data.labels.begin(), data.labels.end(),
                  [&](float label) { return label != first; })) {
    return "";
  }
  return absl::StrCat("note: every record here has the label ", first,
                      "; such data can be trained on, and what it adds is one class only");
}

// Reads what was staged as the trainer will, and says what to tell the member.
absl::StatusOr<Dataset> ReadAndCheck(const Node& node, const std::string& folder,
                                     const std::string& name) {
  DURE_ASSIGN_OR_RETURN(DataFiles files, OpenDataFolder(folder));
  if (!OpaqueInWords(files).empty()) return Dataset();
  const Attachment vocabulary = AttachmentOf(node.spec, "model.vocabulary");
  if (IsText(files) && !vocabulary.file.empty()) {
    const std::string path = NodeFilePath(node.folder, vocabulary);
    if (FileIsMissing(path)) {
      DURE_RETURN_IF_ERROR(FetchFiles(node.spec, node.folder, SourceOf(node)));
    }
    DURE_ASSIGN_OR_RETURN(OpenAttachment words, OpenForAttaching(path, vocabulary.max_bytes));
    files.vocabulary = std::move(words.file);
  }
  if (node.spec.data().has_schema() && !IsTable(files)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is no table, and the federation's data are tables (data.schema)"));
  }
  DURE_ASSIGN_OR_RETURN(Dataset data, ReadDatasetFor(files, node.spec.model()));
  DURE_RETURN_IF_ERROR(CheckDataset(data, node.spec.model(), name));
  if (node.membership.role == MEMBER) {
    DURE_RETURN_IF_ERROR(CheckRecordCount(node.spec, data.records(), name));
  }
  return data;
}

// Folders of the node's own that are registered no more.
void RemoveOtherFolders(const std::string& node_folder, const std::string& registered) {
  std::vector<fs::path> others;
  std::error_code ignored;
  const fs::path node = fs::absolute(node_folder).lexically_normal();
  for (const auto& entry : fs::directory_iterator(node, ignored)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, kOwnFolder) && entry.path() != registered &&
        entry.is_directory(ignored)) {
      others.push_back(entry.path());
    }
  }
  for (const fs::path& path : others) fs::remove_all(path, ignored);
}

// What a person who names a folder of pictures is told.
absl::Status WithHint(absl::Status status, const Addition& addition) {
  std::error_code error;
  if (!absl::IsNotFound(status) || FormatOf(addition) != "folder") return status;
  for (const auto& entry : fs::directory_iterator(addition.path, error)) {
    if (!entry.is_directory(error)) continue;
    return absl::NotFoundError(absl::StrCat(status.message(),
                                            "; if it has a folder of pictures for each class, add "
                                            "--format images"));
  }
  return status;
}

}  // namespace

void AddFormatFlags(CLI::App* command, Addition* addition) {
  command
      ->add_option("--format", addition->format,
                   "idx (a folder), csv, images (a folder with a folder for each class), text, pt, "
                   "own (for a trainer of your own)")
      ->check(CLI::IsMember({"auto", "idx", "csv", "images", "text", "pt", "own"}));
  command
      ->add_option("--size", addition->pictures.size, "HEIGHTxWIDTH that pictures are brought to")
      ->group("For a folder of pictures");
  command->add_option("--channels", addition->pictures.channels, "1: all grey, 3: all in colour")
      ->check(CLI::IsMember({1, 3}))
      ->group("For a folder of pictures");
  command
      ->add_option("--held-out", addition->pictures.held_out,
                   "share of each class that is set aside to measure with")
      ->check(CLI::Range(0.0, 0.9))
      ->group("For a folder of pictures");
}

absl::StatusOr<Added> AddData(const Addition& addition) {
  DURE_ASSIGN_OR_RETURN(const Node node, ReadNode(addition.node_folder));
  DURE_ASSIGN_OR_RETURN(Staging staging, Staging::Make(node));
  DURE_RETURN_IF_ERROR(Stage(node, addition, staging.path()));
  std::error_code error;
  const bool own = !fs::is_empty(staging.path(), error);
  Added added{.folder =
                  own ? staging.path() : fs::absolute(addition.path).lexically_normal().string()};
  absl::StatusOr<Dataset> read = ReadAndCheck(node, added.folder, addition.path);
  if (!read.ok()) return WithHint(read.status(), addition);
  const Dataset data = *std::move(read);
  if (data.records() > 0) added.note = NoteOn(data, node.spec.model());
  // What an evaluator measures with is never spent.
  if (node.membership.role == EVALUATOR) {
    DURE_RETURN_IF_ERROR(WriteDataFolder(node.folder, added.folder));
  } else {
    DURE_ASSIGN_OR_RETURN(const std::string root, DataLedgersFolder());
    DURE_RETURN_IF_ERROR(RegisterData(node.folder, added.folder, data, root));
  }
  if (own) staging.Keep();
  RemoveOtherFolders(node.folder, added.folder);
  return added;
}

}  // namespace dure::cli
