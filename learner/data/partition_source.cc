// PartitionDataset: what ways to split need to know that is neither in the labels nor in the seed.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "federation/attachments.h"
#include "learner/data/column_coder.h"
#include "learner/data/csv.h"
#include "learner/data/partition.h"
#include "learner/data/table.h"
#include "learner/data/table_fields.h"

namespace dure {
namespace {

constexpr char kClientColumn[] = "client";

bool IsClientNumber(std::string_view field, uint32_t* number) {
  const absl::string_view text(field.data(), field.size());
  return !field.empty() && std::all_of(field.begin(), field.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, number) && *number < kMaxSimulatedClients;
}

bool BeginsWithDigit(std::string_view text) {
  return !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.front()));
}

absl::Status Wrong(const CsvReader& reader, size_t index, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat(reader.name(), ":", reader.LineOf(index), ": ", why));
}

absl::StatusOr<std::vector<uint32_t>> OwnersOf(CsvReader& reader, uint64_t records) {
  std::vector<uint32_t> owners;
  std::vector<std::string> names;
  size_t index = 0;
  for (bool first = true;; first = false) {
    DURE_ASSIGN_OR_RETURN(const bool more, reader.Next());
    if (!more) break;
    if (first && !(reader.fields().size() == 1 && BeginsWithDigit(Trimmed(reader.fields()[0])))) {
      for (const std::string_view field : reader.fields()) names.emplace_back(Trimmed(field));
      DURE_ASSIGN_OR_RETURN(index, FindColumn(names, kClientColumn, reader));
      continue;
    }
    if (!names.empty()) {
      DURE_RETURN_IF_ERROR(CheckFieldCount(reader, names));
    } else if (reader.fields().size() != 1 || reader.LineOf(0) != owners.size() + 1) {
      return Wrong(reader, 0,
                   reader.fields().size() != 1
                       ? "it must be one number, that of the client whose record this is"
                       : "the line before this one is empty: each line is a record");
    }
    if (owners.size() == records) {
      return Wrong(reader, index,
                   absl::StrCat("there are only ", records, " records, and this is one more"));
    }
    uint32_t owner = 0;
    const std::string_view field = Trimmed(reader.fields()[index]);
    if (!IsClientNumber(field, &owner)) {
      return Wrong(
          reader, index,
          absl::StrCat("\"", Excerpt(field), "\" is no number of a client: it must be 0 to ",
                       kMaxSimulatedClients - 1));
    }
    owners.push_back(owner);
  }
  if (owners.size() != records || owners.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(reader.name(), " says whose ", owners.size(),
                                                   " records are, and there are ", records,
                                                   ": it must have a line for each"));
  }
  return owners;
}

}  // namespace

absl::StatusOr<ColumnValues> ReadColumnValues(const DataFiles& files, const Schema& schema,
                                              const std::string& column) {
  CsvReader reader(files.images.get(), files.images_path, schema.format.delimiter);
  bool at_record = false;
  DURE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        ReadColumnNames(reader, schema.format, &at_record));
  DURE_ASSIGN_OR_RETURN(const size_t index, FindColumn(names, column, reader));
  ColumnCoder coder;
  for (;; at_record = false) {
    if (!at_record) {
      DURE_ASSIGN_OR_RETURN(const bool more, reader.Next());
      if (!more) return std::move(coder).Finish();
    }
    DURE_RETURN_IF_ERROR(CheckFieldCount(reader, names));
    coder.Add(Trimmed(reader.fields()[index]));
  }
}

absl::StatusOr<std::vector<uint32_t>> OwnersFromText(std::string_view text, std::string_view name,
                                                     uint64_t records) {
  CsvReader reader(text, text.size(), std::string(name), ',');
  return OwnersOf(reader, records);
}

absl::StatusOr<std::vector<uint32_t>> ReadOwners(const std::string& path, uint64_t records) {
  DURE_ASSIGN_OR_RETURN(const OpenAttachment file, OpenForAttaching(path, kMaxPartitionFileBytes));
  CsvReader reader(file.file.get(), path, ',');
  return OwnersOf(reader, records);
}

absl::StatusOr<Partition> PartitionLabels(const DataFiles& files, const Schema* schema,
                                          std::span<const float> labels, uint64_t classes,
                                          SplitRequest request) {
  request.labels = labels;
  const bool by_class = std::holds_alternative<DirichletPartition>(request.spec) ||
                        std::holds_alternative<ShardPartition>(request.spec);
  if (by_class && classes == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.images_path, ": its labels are no classes, and ", PartitionToString(request.spec),
        " deals out classes: choose iid, contiguous or quantity:ALPHA"));
  }
  ColumnValues values;
  if (const auto* by = std::get_if<ByPartition>(&request.spec)) {
    if (schema == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(files.images_path, " is no table: by:COLUMN splits tables only"));
    }
    DURE_ASSIGN_OR_RETURN(values, ReadColumnValues(files, *schema, by->column));
    if (values.of.size() != labels.size()) {
      return absl::DataLossError(absl::StrCat(files.images_path, " changed while it was read"));
    }
    request.values = &values;
  }
  std::vector<uint32_t> owners;
  if (const auto* file = std::get_if<FilePartition>(&request.spec)) {
    DURE_ASSIGN_OR_RETURN(owners, ReadOwners(file->path, labels.size()));
    request.owners = owners;
  }
  return SplitRecords(request);
}

absl::StatusOr<Partition> PartitionDataset(const DataFiles& files, const Dataset& data,
                                           uint64_t classes, SplitRequest request) {
  std::optional<Schema> schema;
  if (IsTable(files) && std::holds_alternative<ByPartition>(request.spec)) {
    DURE_ASSIGN_OR_RETURN(schema, ReadSchema(files.labels.get(), files.labels_path));
  }
  return PartitionLabels(files, schema ? &*schema : nullptr, data.labels, classes,
                         std::move(request));
}

}  // namespace dure
