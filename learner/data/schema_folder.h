// A data folder read as a released model wants it: a table by the schema that the model's file
// carries (dure.schema), with the standardisation that it was trained on, in place of the schema
// beside the table; a text cut into records of the model's length. Thread-safe.
#ifndef DURE_LEARNER_DATA_SCHEMA_FOLDER_H_
#define DURE_LEARNER_DATA_SCHEMA_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "proto/federation.pb.h"

namespace dure {

// What a model's file says of its records, and its user.
struct WantedRecords {
  std::string schema;  // as SchemaToText writes it; "": the one beside the table
  ModelSection::Loss loss = ModelSection::CROSS_ENTROPY;
  std::vector<uint32_t> shape;  // of one record
  std::string vocabulary;       // file of the words that tokens are; "": they are bytes
};

// FailedPrecondition with the differences if the folder's table has not the model's columns; else
// as ReadDataFolder, SchemaFromText and ReadDatasetFor.
absl::StatusOr<Dataset> ReadDataFolderBy(const WantedRecords& wanted, const std::string& folder,
                                         DataPart part = DataPart::kTraining);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_SCHEMA_FOLDER_H_
