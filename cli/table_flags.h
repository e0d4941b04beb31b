// A CSV file named on the command line: what its flags say of it, what is printed of it, and how it
// becomes a member's data.
#ifndef DURE_CLI_TABLE_FLAGS_H_
#define DURE_CLI_TABLE_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/data/table.h"

namespace dure::cli {

struct TableFlags {
  std::string label;
  std::string schema;  // a file
  std::string delimiter = ",";
  bool no_header = false;
  std::vector<std::string> numeric, categorical, ignored, classes, missing_values;
  std::vector<std::string> ranges;  // NAME:LOW:HIGH
  std::string missing = "error";
};

// `with_schema`: also --schema.
void AddTableFlags(CLI::App* command, TableFlags* flags, bool with_schema);

// Whether `path` is a file, which only a table can be.
bool IsTableFile(const std::string& path);

// The schema of the file: that of --schema, once the file has been compared with it, or what is
// found. FailedPrecondition with the differences; InvalidArgument for flags that make no sense.
absl::StatusOr<Schema> SchemaOfFile(const std::string& path, const TableFlags& flags);
absl::StatusOr<Table> ReadTableFile(const std::string& path, const Schema& schema);
// The table that `path` is, or that is in the folder; nothing if it is a folder without one.
absl::StatusOr<std::optional<Table>> TableAt(const std::string& path, const TableFlags& flags);

// What `dure data show` says of a table at `path`.
void PrintTable(const std::string& path, const Table& table, bool as_json);

}  // namespace dure::cli

#endif  // DURE_CLI_TABLE_FLAGS_H_
