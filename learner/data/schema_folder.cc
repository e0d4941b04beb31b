#include "learner/data/schema_folder.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/data/table.h"
#include "learner/data/text.h"

namespace dure {

namespace {

absl::StatusOr<Dataset> ReadTextBy(const WantedRecords& wanted, DataFiles files) {
  ModelSection model;
  model.set_loss(wanted.loss);
  model.mutable_input()->mutable_shape()->Add(wanted.shape.begin(), wanted.shape.end());
  if (!wanted.vocabulary.empty()) {
    model.set_tokens(ModelSection::WORDS);
    model.set_vocabulary(wanted.vocabulary);
    files.vocabulary = FileDescriptor(open(wanted.vocabulary.c_str(), O_RDONLY | O_CLOEXEC));
    if (!files.vocabulary.valid()) {
      return ErrnoStatus(errno, absl::StrCat("cannot open ", wanted.vocabulary));
    }
  }
  return ReadDatasetFor(files, model);
}

}  // namespace

absl::StatusOr<Dataset> ReadDataFolderBy(const WantedRecords& wanted, const std::string& folder,
                                         DataPart part) {
  DURE_ASSIGN_OR_RETURN(DataFiles files, OpenDataFolder(folder, part));
  if (IsText(files)) return ReadTextBy(wanted, std::move(files));
  if (wanted.schema.empty() || !IsTable(files)) return ReadDataset(files);
  DURE_ASSIGN_OR_RETURN(Schema schema, SchemaFromText(wanted.schema, "the model's schema"));
  DURE_ASSIGN_OR_RETURN(const Schema beside, ReadSchema(files.labels.get(), files.labels_path));
  DURE_RETURN_IF_ERROR(CheckSchemaAgainst(schema, beside, files.images_path));
  schema.format = beside.format;
  DURE_ASSIGN_OR_RETURN(Table table, ReadTable(files.images.get(), files.images_path, schema));
  return ToDataset(std::move(table), files.images_path);
}

}  // namespace dure
