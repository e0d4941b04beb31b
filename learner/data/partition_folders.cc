// PartitionIntoFolders: what is split, and how its parts are written.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "learner/data/column_coder.h"
#include "learner/data/csv.h"
#include "learner/data/idx.h"
#include "learner/data/partition.h"
#include "learner/data/table.h"
#include "learner/data/table_fields.h"
#include "learner/data/text.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

absl::Status Wrong(const std::string& text) { return absl::InvalidArgumentError(text); }

// What is split: records with labels, and how those of one group are written into a folder.
struct Source {
  std::vector<float> labels;
  uint64_t classes = 0;                // 0: labels are no classes
  std::optional<ColumnValues> values;  // with by:COLUMN
  std::function<absl::Status(std::span<const uint32_t> records, const std::string& folder)> write;
};

std::vector<uint64_t> LabelCounts(const Source& source, std::span<const uint32_t> records) {
  std::vector<uint64_t> counts(source.classes);
  for (uint32_t record : records) {
    if (source.classes > 0) ++counts[static_cast<size_t>(source.labels[record])];
  }
  return counts;
}

// ---- IDX ----

absl::Status WriteIdx(const Dataset& data, const std::string& path) {
  const std::vector<uint8_t> labels(data.labels.begin(), data.labels.end());
  std::vector<uint32_t> dims = {static_cast<uint32_t>(data.records())};
  dims.insert(dims.end(), data.shape.begin(), data.shape.end());
  DURE_RETURN_IF_ERROR(
      WriteFileAtomic(absl::StrCat(path, "/images-idx3-ubyte"), EncodeIdx(dims, data.features)));
  return WriteFileAtomic(absl::StrCat(path, "/labels-idx1-ubyte"),
                         EncodeIdx(std::span(dims).first(1), labels));
}

absl::StatusOr<Source> IdxSource(const DataFiles& files) {
  DURE_ASSIGN_OR_RETURN(Dataset read, BlameFile(ReadDataset(files)));
  // The function that writes is copied with its source.
  auto data = std::make_shared<const Dataset>(std::move(read));
  return Source{.labels = data->labels,
                .classes = data->LabelCounts().size(),
                .values = std::nullopt,
                .write = [data](std::span<const uint32_t> records, const std::string& folder) {
                  return WriteIdx(data->Select(records), folder);
                }};
}

// ---- tables ----

// Lines of a CSV file, one after the other, in memory.
struct Lines {
  std::string header;  // "" without one
  std::string text;
  std::vector<size_t> ends;  // of each line in `text`
};

void AppendField(std::string_view field, bool alone, char delimiter, std::string* out) {
  const char special[] = {delimiter, '"', '\n', '\r', ' ', '\t'};
  const bool plain =
      field.find_first_of(std::string_view(special, sizeof(special))) == std::string_view::npos &&
      !(alone && field.empty());
  if (plain) return static_cast<void>(out->append(field));
  out->push_back('"');
  for (char c : field) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

void AppendLine(std::span<const std::string_view> fields, char delimiter, std::string* out) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out->push_back(delimiter);
    AppendField(fields[i], fields.size() == 1, delimiter, out);
  }
  out->push_back('\n');
}

// Of a file that ReadTable has read. `column`: whose values are wanted, or "".
absl::StatusOr<Lines> ReadLines(const DataFiles& files, const CsvFormat& format,
                                const std::string& column, ColumnCoder* values) {
  CsvReader reader(files.images.get(), files.images_path, format.delimiter);
  bool at_record = false;
  DURE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        ReadColumnNames(reader, format, &at_record));
  Lines lines;
  if (format.header) {
    const std::vector<std::string_view> fields(names.begin(), names.end());
    AppendLine(fields, format.delimiter, &lines.header);
  }
  size_t index = 0;
  if (!column.empty()) {
    DURE_ASSIGN_OR_RETURN(index, FindColumn(names, column, reader));
  }
  for (;; at_record = false) {
    if (!at_record) {
      DURE_ASSIGN_OR_RETURN(const bool more, reader.Next());
      if (!more) return lines;
    }
    DURE_RETURN_IF_ERROR(CheckFieldCount(reader, names));
    if (!column.empty()) values->Add(Trimmed(reader.fields()[index]));
    AppendLine(reader.fields(), format.delimiter, &lines.text);
    lines.ends.push_back(lines.text.size());
  }
}

absl::StatusOr<Source> TableSource(const DataFiles& files, const Schema& schema,
                                   const PartitionSpec& spec) {
  DURE_ASSIGN_OR_RETURN(Table table,
                        BlameFile(ReadTable(files.images.get(), files.images_path, schema)));
  Source source{.labels = std::move(table.labels), .classes = schema.label.classes.size()};
  const auto* by = std::get_if<ByPartition>(&spec);
  ColumnCoder values;
  DURE_ASSIGN_OR_RETURN(Lines read, ReadLines(files, schema.format, by ? by->column : "", &values));
  if (by != nullptr) source.values = std::move(values).Finish();
  if (read.ends.size() != source.labels.size()) {
    return absl::DataLossError(absl::StrCat(files.images_path, " changed while it was read"));
  }
  // The function that writes is copied with its source.
  auto lines = std::make_shared<const Lines>(std::move(read));
  source.write = [lines, text = SchemaToText(schema)](std::span<const uint32_t> records,
                                                      const std::string& folder) -> absl::Status {
    DURE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(folder + "/records.csv"));
    std::string part = lines->header;
    for (uint32_t record : records) {
      const size_t begin = record == 0 ? 0 : lines->ends[record - 1];
      part.append(lines->text, begin, lines->ends[record] - begin);
    }
    DURE_RETURN_IF_ERROR(file.Add(part));
    DURE_RETURN_IF_ERROR(file.Commit());
    return WriteFileAtomic(folder + "/records.schema", text);
  };
  return source;
}

// ---- text ----

// Where piece `i` of `pieces` begins: after a line break if one is in the piece before, else
// between two characters.
size_t PieceBegin(const std::string& text, uint64_t i, uint64_t pieces) {
  if (i == 0 || i >= pieces) return i == 0 ? 0 : text.size();
  size_t at = text.size() * i / pieces;
  const size_t limit = text.size() * (i + 1) / pieces;
  if (const size_t feed = text.find('\n', at); feed != std::string::npos && feed + 1 < limit) {
    return feed + 1;
  }
  while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

// ---- folders ----

// Numbers and names of this file's own; what a person typed is made printable.
std::string ToJson(const PartitionReport& report, const PartitionRequest& request) {
  auto folder = [&](const PartitionReport::Folder& f) {
    return absl::StrCat("    {\"folder\": \"", f.path.substr(request.out.size() + 1),
                        "\", \"records\": ", f.records, ", \"label_counts\": [",
                        absl::StrJoin(f.label_counts, ", "), "]}");
  };
  auto folders = [&](const std::vector<PartitionReport::Folder>& list) {
    return absl::StrJoin(list, ",\n", [&](std::string* out, const PartitionReport::Folder& f) {
      out->append(folder(f));
    });
  };
  std::string how;
  for (char c : Printable(PartitionToString(request.spec))) {
    if (c == '"' || c == '\\') how.push_back('\\');
    how.push_back(c);
  }
  std::string json = absl::StrCat("{\n  \"partition\": \"", how, "\",\n  \"seed\": ", request.seed,
                                  ",\n  \"members\": [\n", folders(report.members), "\n  ]");
  if (!report.held_out.empty()) {
    absl::StrAppend(&json, ",\n  \"held_out\": [\n", folders(report.held_out), "\n  ]");
  }
  return absl::StrCat(json, "\n}\n");
}

std::string Unfinished(const std::string& out) { return absl::StrCat(out, "/.unfinished"); }

// Writes parts into out/.unfinished, and in the end moves them to their places at once.
class Folders {
 public:
  explicit Folders(const PartitionRequest& request) : request_(request) {
    std::error_code ignored;
    fs::remove_all(Unfinished(request.out), ignored);  // of an earlier process
  }

  absl::StatusOr<std::string> Make(const std::string& name) {
    if (request_.stopped()) return absl::CancelledError("stopped");
    const std::string path = absl::StrCat(Unfinished(request_.out), "/", name);
    DURE_RETURN_IF_ERROR(MakeFolder(path));
    return path;
  }
  void AddMember(const std::string& name, uint64_t records, std::vector<uint64_t> counts) {
    report_.members.push_back({absl::StrCat(request_.out, "/", name), records, std::move(counts)});
  }
  void AddHeldOut(uint64_t records, std::vector<uint64_t> counts) {
    report_.held_out.push_back({request_.out + "/heldout", records, std::move(counts)});
  }

  absl::StatusOr<PartitionReport> Finish() {
    std::error_code error;
    for (const auto* folders : {&report_.members, &report_.held_out}) {
      for (const PartitionReport::Folder& folder : *folders) {
        const fs::path made = fs::path(Unfinished(request_.out)) / fs::path(folder.path).filename();
        fs::rename(made, folder.path, error);
        if (error) {
          return ErrnoStatus(error.value(), absl::StrCat("cannot make the folder ", folder.path));
        }
      }
    }
    fs::remove(Unfinished(request_.out), error);
    DURE_RETURN_IF_ERROR(
        WriteFileAtomic(request_.out + "/partition.json", ToJson(report_, request_)));
    return std::move(report_);
  }

 private:
  const PartitionRequest& request_;
  PartitionReport report_;
};

std::string MemberName(size_t index, size_t members) {
  const size_t digits = std::max<size_t>(2, absl::StrCat(members).size());
  const std::string number = absl::StrCat(index + 1);
  return absl::StrCat("member-", std::string(digits - number.size(), '0'), number);
}

// A data folder's part, or the file itself.
absl::StatusOr<DataFiles> OpenSource(const PartitionRequest& request, DataPart part) {
  std::error_code error;
  if (!fs::is_regular_file(request.source, error)) return OpenDataFolder(request.source, part);
  if (part == DataPart::kHeldOut) return absl::NotFoundError("a file has no held-out part");
  DataFiles files{.images_path = request.source,
                  .labels_path = request.source,
                  .kind = request.schema ? DataKind::kTable : DataKind::kText};
  files.images = FileDescriptor(open(request.source.c_str(), O_RDONLY | O_CLOEXEC));
  if (!files.images.valid()) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", request.source));
  }
  return files;
}

absl::StatusOr<Source> SourceOf(const DataFiles& files, const PartitionRequest& request,
                                const PartitionSpec& spec) {
  if (!IsTable(files)) return IdxSource(files);
  if (request.schema) return TableSource(files, *request.schema, spec);
  DURE_ASSIGN_OR_RETURN(const Schema schema,
                        BlameFile(ReadSchema(files.labels.get(), files.labels_path)));
  return TableSource(files, schema, spec);
}

absl::Status WriteText(const DataFiles& files, const PartitionRequest& request, Folders& folders) {
  if (!std::holds_alternative<ContiguousPartition>(request.spec)) {
    return Wrong(absl::StrCat(files.images_path,
                              " is text, which is split into consecutive "
                              "pieces: --partition contiguous"));
  }
  DURE_ASSIGN_OR_RETURN(const std::string text,
                        BlameFile(ReadText(files.images.get(), files.images_path)));
  for (uint32_t i = 0; i < request.clients; ++i) {
    const size_t begin = PieceBegin(text, i, request.clients);
    const size_t end = PieceBegin(text, uint64_t{i} + 1, request.clients);
    if (end <= begin) {
      return Wrong(absl::StrCat(files.images_path, " has ", text.size(), " bytes, too few for ",
                                request.clients, " clients"));
    }
    const std::string name = MemberName(i, request.clients);
    DURE_ASSIGN_OR_RETURN(const std::string path, folders.Make(name));
    DURE_RETURN_IF_ERROR(
        WriteFileAtomic(path + "/records.txt", std::string_view(text).substr(begin, end - begin)));
    folders.AddMember(name, end - begin, {});
  }
  absl::StatusOr<DataFiles> held_out = OpenSource(request, DataPart::kHeldOut);
  if (absl::IsNotFound(held_out.status())) return absl::OkStatus();
  DURE_RETURN_IF_ERROR(held_out.status());
  DURE_ASSIGN_OR_RETURN(const std::string rest,
                        BlameFile(ReadText(held_out->images.get(), held_out->images_path)));
  DURE_ASSIGN_OR_RETURN(const std::string path, folders.Make("heldout"));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(path + "/records.txt", rest));
  folders.AddHeldOut(rest.size(), {});
  return absl::OkStatus();
}

absl::StatusOr<Partition> Split(const Source& source, const PartitionRequest& request,
                                const std::string& name) {
  SplitRequest split{.labels = source.labels,
                     .clients = request.clients,
                     .spec = request.spec,
                     .seed = request.seed};
  if (std::holds_alternative<ByPartition>(request.spec)) {
    if (!source.values) {
      return Wrong(absl::StrCat(name, " is no table: by:COLUMN splits tables only"));
    }
    split.values = &*source.values;
  }
  std::vector<uint32_t> owners;
  if (const auto* file = std::get_if<FilePartition>(&request.spec)) {
    DURE_ASSIGN_OR_RETURN(owners, ReadOwners(file->path, source.labels.size()));
    split.owners = owners;
  }
  const bool by_class = std::holds_alternative<DirichletPartition>(request.spec) ||
                        std::holds_alternative<ShardPartition>(request.spec);
  if (by_class && source.classes == 0) {
    return Wrong(absl::StrCat(name, ": its labels are numbers to predict, and ",
                              PartitionToString(request.spec), " deals out classes"));
  }
  return SplitRecords(split);
}

absl::Status WriteRecords(const DataFiles& files, const PartitionRequest& request,
                          Folders& folders) {
  DURE_ASSIGN_OR_RETURN(const Source source, SourceOf(files, request, request.spec));
  DURE_ASSIGN_OR_RETURN(const Partition partition, Split(source, request, files.images_path));
  for (uint32_t i = 0; i < partition.clients(); ++i) {
    const std::string name = MemberName(i, partition.clients());
    const std::span<const uint32_t> records = partition.Of(i);
    DURE_ASSIGN_OR_RETURN(const std::string path, folders.Make(name));
    DURE_RETURN_IF_ERROR(source.write(records, path));
    folders.AddMember(name, records.size(), LabelCounts(source, records));
  }
  absl::StatusOr<DataFiles> held_out = OpenSource(request, DataPart::kHeldOut);
  if (absl::IsNotFound(held_out.status())) return absl::OkStatus();
  DURE_RETURN_IF_ERROR(held_out.status());
  DURE_ASSIGN_OR_RETURN(Source rest, SourceOf(*held_out, request, IidPartition{}));
  rest.classes = std::max(rest.classes, source.classes);
  std::vector<uint32_t> all(rest.labels.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  DURE_ASSIGN_OR_RETURN(const std::string path, folders.Make("heldout"));
  DURE_RETURN_IF_ERROR(rest.write(all, path));
  folders.AddHeldOut(all.size(), LabelCounts(rest, all));
  return absl::OkStatus();
}

absl::StatusOr<PartitionReport> WritePartition(const PartitionRequest& request) {
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenSource(request, DataPart::kTraining));
  if (const std::string opaque = OpaqueInWords(files); !opaque.empty()) {
    return Wrong(absl::StrCat(files.images_path, " holds ", opaque,
                              ", which are not split here: write one file for each client"));
  }
  const bool counted = std::holds_alternative<ByPartition>(request.spec) ||
                       std::holds_alternative<FilePartition>(request.spec);
  if (request.clients > kMaxPartitionClients || (request.clients == 0 && !counted)) {
    return Wrong(absl::StrCat("a split among ", request.clients, " clients: it must be 1 to ",
                              kMaxPartitionClients));
  }
  for (const char* first : {"/member-01", "/member-001", "/member-0001", "/member-00001"}) {
    if (!FileExists(request.out + first)) continue;
    return absl::AlreadyExistsError(absl::StrCat(
        request.out, first, " is there already: choose another folder or remove this one"));
  }
  Folders folders(request);
  DURE_RETURN_IF_ERROR(IsText(files) ? WriteText(files, request, folders)
                                     : WriteRecords(files, request, folders));
  return folders.Finish();
}

}  // namespace

absl::StatusOr<PartitionReport> PartitionIntoFolders(const PartitionRequest& request) {
  absl::StatusOr<PartitionReport> report = WritePartition(request);
  if (!report.ok()) {
    std::error_code ignored;
    const std::uintmax_t removed = fs::remove_all(Unfinished(request.out), ignored);
    if (removed > 0) fs::remove(request.out, ignored);  // only if it is empty
  }
  return report;
}

}  // namespace dure
