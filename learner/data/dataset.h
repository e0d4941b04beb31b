// A member's records in memory, and the folder they come from.
//
// A data folder holds IDX files (learner/data/idx.h): `images-idx3-ubyte` and `labels-idx1-ubyte`,
// each plain or with `.gz`, or the MNIST names, `train-…` for the records to learn from and
// `t10k-…` for the held-out ones. Or it holds a table (learner/data/table.h): `records.csv`,
// `heldout.csv` for the held-out ones, and `records.schema` for both. Or text
// (learner/data/text.h): `records.txt` and `heldout.txt`. Or tensors written by PyTorch, which only
// the trainer reads: `records.pt` and `heldout.pt`. docs/formats/data.md. Thread-safe: values and
// pure functions.
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

// What a feature byte means to a model.
inline float ByteToFloat(uint8_t byte) { return static_cast<float>(byte) / 255.0f; }

// Features in a row, kept as bytes or as floats: what a model sees is floats. Borrowed.
class FeatureView {
 public:
  FeatureView(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  FeatureView(std::span<uint8_t> bytes) : bytes_(bytes) {}
  FeatureView(std::span<const float> floats) : floats_(floats) {}
  FeatureView(const std::vector<uint8_t>& bytes) : bytes_(bytes) {}
  FeatureView(const std::vector<float>& floats) : floats_(floats) {}

  size_t size() const { return bytes_.size() + floats_.size(); }
  float operator[](size_t i) const { return bytes_.empty() ? floats_[i] : ByteToFloat(bytes_[i]); }
  FeatureView subspan(size_t offset, size_t count) const {
    if (bytes_.empty()) return floats_.subspan(offset, count);
    return bytes_.subspan(offset, count);
  }
  std::vector<float> ToFloats() const {
    std::vector<float> floats(size());
    for (size_t i = 0; i < floats.size(); ++i) floats[i] = (*this)[i];
    return floats;
  }

 private:
  std::span<const uint8_t> bytes_;  // one of the two is empty
  std::span<const float> floats_;
};

// Records with features of one byte each, 0 to 255 for 0 to 1 (ByteToFloat), a quarter of the
// memory of floats; or with features that are floats. Invariant: one of `features` and `numbers` is
// empty, the other has records() * record_size() values.
struct Dataset {
  std::vector<uint32_t> shape;    // of one record, row-major: [channels, height, width], [features]
  std::vector<uint8_t> features;  // record after record
  std::vector<float> labels;      // one per record: a class number, or a number to predict
  std::vector<float> numbers{};   // record after record, in the place of `features`

  uint64_t records() const { return labels.size(); }
  // Product of the shape.
  uint64_t record_size() const;
  // All records, one after the other.
  FeatureView All() const { return numbers.empty() ? FeatureView(features) : FeatureView(numbers); }
  // Record `index` < records().
  FeatureView Record(uint64_t index) const {
    const uint64_t size = record_size();
    return All().subspan(index * size, size);
  }
  // The records at `indices`, each < records(), in that order.
  Dataset Select(std::span<const uint32_t> indices) const;
  // How many records have each label, from label 0 to the largest that occurs, at least `classes`.
  // Labels are class numbers.
  std::vector<uint64_t> LabelCounts(uint64_t classes = 0) const;
};

// All records of a dataset, or some of them in an order of their own: so that thousands of members
// share one dataset. Borrows the dataset and the numbers.
class DataView {
 public:
  DataView(const Dataset& data) : data_(&data), count_(data.records()) {}
  // Record i of the view is record records[i], below data.records(), of the dataset.
  DataView(const Dataset& data, std::span<const uint32_t> records)
      : data_(&data), places_(records.data()), count_(records.size()) {}

  uint64_t records() const { return count_; }
  // Where record i < records() is in dataset().
  uint64_t place(uint64_t i) const { return places_ == nullptr ? i : places_[i]; }
  FeatureView Record(uint64_t i) const { return data_->Record(place(i)); }
  float label(uint64_t i) const { return data_->labels[place(i)]; }
  const Dataset& dataset() const { return *data_; }

 private:
  const Dataset* data_;
  const uint32_t* places_ = nullptr;  // count_ of them; null: every record is at its own place
  uint64_t count_;
};

enum class DataPart {
  kTraining,  // images-idx3-ubyte, train-images-idx3-ubyte, records.csv, .txt, .pt or .own
  kHeldOut,   // t10k-images-idx3-ubyte, heldout.csv, .txt, .pt or .own
};

// Numbers travel (proto/trainer.proto): they stay as they are.
enum class DataKind : uint32_t {
  kIdx = 0,    // pictures, and their labels
  kTable = 1,  // a CSV file, and its schema
  kText = 2,   // one file
  kTorch = 3,  // one file
  kOwn = 4,    // one file, which a trainer program of one's own reads
};

// The two files of a data folder, open for reading only, so that they can be handed to a process
// that may open nothing. Where there is one file only, both are it.
struct DataFiles {
  FileDescriptor images;    // or a table, a text, tensors
  FileDescriptor labels;    // or the schema of that table
  std::string images_path;  // for messages
  std::string labels_path;
  DataKind kind = DataKind::kIdx;
  // Of the federation, not of the folder; not valid where the terms name none.
  FileDescriptor vocabulary;
  FileDescriptor schema;
};

// NotFound, naming the folder and the file names that were looked for, if it has no such part;
// FailedPrecondition if it has the images but not the labels.
absl::StatusOr<DataFiles> OpenDataFolder(const std::string& folder,
                                         DataPart part = DataPart::kTraining);

inline bool IsTable(const DataFiles& files) { return files.kind == DataKind::kTable; }
inline bool IsText(const DataFiles& files) { return files.kind == DataKind::kText; }
inline bool IsTorchFile(const DataFiles& files) { return files.kind == DataKind::kTorch; }
// What only a trainer can read, within a sentence: "tensors of PyTorch"; "" of the other kinds.
std::string OpaqueInWords(const DataFiles& files);

// Reads both files, plain or gzip, from their start; a table as ReadTable and ToDataset.
// InvalidArgument, naming the file and the numbers, for anything that is not IDX, is cut short or
// has a tail, and if images and labels differ in number; ResourceExhausted above the limits.
// FailedPrecondition for text, which is cut as a model says (ReadDatasetFor), and for tensors.
absl::StatusOr<Dataset> ReadDataset(const DataFiles& files);
absl::StatusOr<Dataset> ReadDataFolder(const std::string& folder,
                                       DataPart part = DataPart::kTraining);

// Whether a model of this kind can learn from `data`. FailedPrecondition, naming `name` (the
// folder, for messages), if there is no record, if the shapes differ (one channel may be left out:
// [1, 28, 28] takes 28 x 28 pictures, [784] too; a text has one token more than the model sees), or
// if a label, or with loss next_token a token, is none that the loss takes: which record, which
// value, and the limit.
absl::Status CheckDataset(const Dataset& data, const ModelSection& model, const std::string& name);

// What `dure data show` prints. Stays on the member's machine.
struct DataPreview {
  std::string images_path;
  std::string labels_path;
  uint64_t records = 0;
  std::vector<uint32_t> shape;
  std::vector<uint64_t> label_counts;  // from label 0 to the largest that occurs
};
// Errors as ReadDataset.
absl::StatusOr<DataPreview> PreviewDataFolder(const std::string& folder,
                                              DataPart part = DataPart::kTraining);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_DATASET_H_
