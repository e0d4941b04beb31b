#include "learner/data/schema_folder.h"

#include <utility>

#include "base/status_macros.h"
#include "learner/data/table.h"

namespace dure {

absl::StatusOr<Dataset> ReadDataFolderBy(const std::string& schema_text, const std::string& folder,
                                         DataPart part) {
  if (schema_text.empty()) return ReadDataFolder(folder, part);
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(folder, part));
  if (!IsTable(files)) return ReadDataset(files);
  DURE_ASSIGN_OR_RETURN(Schema schema, SchemaFromText(schema_text, "the model's schema"));
  DURE_ASSIGN_OR_RETURN(const Schema beside, ReadSchema(files.labels.get(), files.labels_path));
  DURE_RETURN_IF_ERROR(CheckSchemaAgainst(schema, beside, files.images_path));
  schema.format = beside.format;
  DURE_ASSIGN_OR_RETURN(Table table, ReadTable(files.images.get(), files.images_path, schema));
  return ToDataset(std::move(table), files.images_path);
}

}  // namespace dure
