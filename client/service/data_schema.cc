#include "client/service/data_schema.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/node_files.h"
#include "learner/data/dataset.h"
#include "learner/data/table.h"

namespace dure {

absl::Status FitTableToSchema(const Node& node) {
  if (!node.spec.data().has_schema()) return absl::OkStatus();
  const std::string& folder = *node.data_folder;
  const std::string again =
      absl::StrCat(": register a CSV file with `dure data add FILE.csv --node ", node.folder, "`");
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(folder));
  if (!IsTable(files)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " holds no table, and the federation's data are tables", again));
  }
  const std::string path = NodeFilePath(node.folder, AttachmentOf(node.spec, "data.schema"));
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  DURE_ASSIGN_OR_RETURN(Schema there, ReadSchema(file.get(), node.spec.data().schema()));
  DURE_ASSIGN_OR_RETURN(const Schema here, ReadSchema(files.labels.get(), files.labels_path));
  there.format = here.format;
  if (there == here) return absl::OkStatus();
  DURE_ASSIGN_OR_RETURN(const Schema found, InferSchema(files.images.get(), files.images_path,
                                                        {.format = here.format, .like = &there}));
  DURE_RETURN_IF_ERROR(CheckSchemaAgainst(there, found, files.images_path));
  const auto own = std::filesystem::absolute(node.folder).lexically_normal() / "data-";
  if (!absl::StartsWith(folder, own.string())) {
    return absl::FailedPreconditionError(
        absl::StrCat(files.labels_path, " is not the schema of the federation", again));
  }
  return WriteFileAtomic(files.labels_path, SchemaToText(there), 0600);
}

}  // namespace dure
