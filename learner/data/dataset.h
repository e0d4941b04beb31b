// A member's records in memory, and the folder they come from.
//
// A data folder holds IDX files (learner/data/idx.h): `images-idx3-ubyte` and `labels-idx1-ubyte`,
// each plain or with `.gz`, or the MNIST names, `train-…` for the records to learn from and
// `t10k-…` for the held-out ones. Thread-safe: values and pure functions.
#ifndef DURE_LEARNER_DATA_DATASET_H_
#define DURE_LEARNER_DATA_DATASET_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "proto/federation.pb.h"

namespace dure {

// Most records, and most bytes of features, that one dataset may hold.
inline constexpr uint64_t kMaxDatasetRecords = uint64_t{1} << 24;
inline constexpr uint64_t kMaxDatasetBytes = uint64_t{4} << 30;

// Records with features of one byte each: 0 to 255 stands for 0 to 1 (ByteToFloat). Kept as bytes,
// a quarter of the memory of floats. Invariant: features.size() == records() * record_size().
struct Dataset {
  std::vector<uint32_t> shape;    // of one record, row-major: [channels, height, width], [features]
  std::vector<uint8_t> features;  // record after record
  std::vector<uint8_t> labels;    // one per record

  uint64_t records() const { return labels.size(); }
  // Product of the shape.
  uint64_t record_size() const;
  // Record `index` < records().
  std::span<const uint8_t> Record(uint64_t index) const {
    return std::span(features).subspan(index * record_size(), record_size());
  }
  // The records at `indices`, each < records(), in that order.
  Dataset Select(std::span<const uint32_t> indices) const;
  // How many records have each label, from label 0 to the largest that occurs, at least `classes`.
  std::vector<uint64_t> LabelCounts(uint64_t classes = 0) const;
};

// What a feature byte means to a model.
inline float ByteToFloat(uint8_t byte) { return static_cast<float>(byte) / 255.0f; }

enum class DataPart {
  kTraining,  // images-idx3-ubyte or train-images-idx3-ubyte
  kHeldOut,   // t10k-images-idx3-ubyte
};

// The two files of a data folder, open for reading only, so that they can be handed to a process
// that may open nothing.
struct DataFiles {
  FileDescriptor images;
  FileDescriptor labels;
  std::string images_path;  // for messages
  std::string labels_path;
};

// NotFound, naming the folder and the file names that were looked for, if it has no such part;
// FailedPrecondition if it has the images but not the labels.
absl::StatusOr<DataFiles> OpenDataFolder(const std::string& folder,
                                         DataPart part = DataPart::kTraining);

// Reads both files, plain or gzip, from their start. InvalidArgument, naming the file and the
// numbers, for anything that is not IDX, is cut short or has a tail, and if images and labels
// differ in number; ResourceExhausted above the limits.
absl::StatusOr<Dataset> ReadDataset(const DataFiles& files);
absl::StatusOr<Dataset> ReadDataFolder(const std::string& folder,
                                       DataPart part = DataPart::kTraining);

// Whether a model of this kind can learn from `data`. FailedPrecondition, naming `name` (the
// folder, for messages), if there is no record, if the shapes differ (one channel may be left out:
// [1, 28, 28] takes 28 x 28 pictures, [784] too), or if a label is not below the number of classes:
// which record, which label, and the limit.
absl::Status CheckDataset(const Dataset& data, const ModelSection& model, const std::string& name);

// What `dure data show` prints. Stays on the member's machine.
struct DataPreview {
  std::string images_path;
  std::string labels_path;
  uint64_t records = 0;
  std::vector<uint32_t> shape;
  std::vector<uint64_t> label_counts;  // from label 0 to the largest that occurs
};
absl::StatusOr<DataPreview> PreviewDataFolder(const std::string& folder,
                                              DataPart part = DataPart::kTraining);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_DATASET_H_
