// A data folder read as a released model wants it: a table by the schema that the model's file
// carries (dure.schema), with the standardisation that it was trained on, in place of the schema
// beside the table. Thread-safe.
#ifndef DURE_LEARNER_DATA_SCHEMA_FOLDER_H_
#define DURE_LEARNER_DATA_SCHEMA_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"

namespace dure {

// `schema_text` as SchemaToText writes it; "": as ReadDataFolder. FailedPrecondition with the
// differences if the folder's table has not the model's columns; else as ReadDataFolder and
// SchemaFromText.
absl::StatusOr<Dataset> ReadDataFolderBy(const std::string& schema_text, const std::string& folder,
                                         DataPart part = DataPart::kTraining);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_SCHEMA_FOLDER_H_
