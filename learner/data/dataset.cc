#include "learner/data/dataset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "learner/data/idx.h"
#include "learner/data/table.h"

namespace dure {
namespace {

constexpr std::array<const char*, 2> kEndings = {"", ".gz"};
constexpr const char* kStem = "records";
constexpr const char* kHeldOutStem = "heldout";
constexpr const char* kTableSchema = "records.schema";

std::vector<std::string> Prefixes(DataPart part) {
  if (part == DataPart::kHeldOut) return {"t10k-"};
  return {"", "train-"};
}

// Opens the first of `stem` and `stem`.gz that is there.
absl::StatusOr<std::pair<FileDescriptor, std::string>> OpenFirst(const std::string& stem) {
  for (const char* ending : kEndings) {
    std::string path = absl::StrCat(stem, ending);
    FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.valid()) return std::make_pair(std::move(fd), path);
    if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  return absl::NotFoundError(absl::StrCat(stem, " is missing (with or without .gz)"));
}

// Record `index` of `from`, if that is what has the records.
template <typename T>
void Append(const std::vector<T>& from, size_t index, size_t size, std::vector<T>* to) {
  if (from.empty()) return;
  const auto begin = from.begin() + static_cast<ptrdiff_t>(index * size);
  to->insert(to->end(), begin, begin + static_cast<ptrdiff_t>(size));
}

absl::StatusOr<FileDescriptor> Open(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  return file;
}

absl::StatusOr<DataFiles> OpenTable(const std::string& folder, const std::string& table) {
  DataFiles files{.images_path = table,
                  .labels_path = absl::StrCat(folder, "/", kTableSchema),
                  .kind = DataKind::kTable};
  DURE_ASSIGN_OR_RETURN(files.images, Open(table));
  absl::StatusOr<FileDescriptor> schema = Open(files.labels_path);
  if (absl::IsNotFound(schema.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(files.labels_path, " is missing: `dure data schema ", table,
                     " --label COLUMN` prints what belongs there"));
  }
  DURE_RETURN_IF_ERROR(schema.status());
  files.labels = *std::move(schema);
  return files;
}

// A table, a text or tensors, whichever is there first.
absl::StatusOr<DataFiles> OpenRecords(const std::string& folder, DataPart part) {
  const std::string stem =
      absl::StrCat(folder, "/", part == DataPart::kHeldOut ? kHeldOutStem : kStem);
  absl::StatusOr<DataFiles> table = OpenTable(folder, stem + ".csv");
  if (!absl::IsNotFound(table.status())) return table;
  for (const auto& [ending, kind] :
       {std::pair(".txt", DataKind::kText), std::pair(".pt", DataKind::kTorch),
        std::pair(".own", DataKind::kOwn)}) {
    const std::string path = stem + ending;
    DataFiles files{.images_path = path, .labels_path = path, .kind = kind};
    absl::StatusOr<FileDescriptor> file = Open(path);
    if (absl::IsNotFound(file.status())) continue;
    DURE_RETURN_IF_ERROR(file.status());
    files.images = *std::move(file);
    DURE_ASSIGN_OR_RETURN(files.labels, Open(path));
    return files;
  }
  return table.status();
}

std::string Times(std::span<const uint32_t> dims) { return absl::StrJoin(dims, " x "); }

// Whether records of shape `have` can be read as `want`: the same row of bytes.
bool ShapeFits(const std::vector<uint32_t>& have, const std::vector<uint32_t>& want) {
  if (have == want) return true;
  std::vector<uint32_t> one_channel = {1};
  one_channel.insert(one_channel.end(), have.begin(), have.end());
  if (one_channel == want) return true;
  uint64_t size = 1;
  for (uint32_t dim : have) size *= dim;
  return want.size() == 1 && want[0] == size;
}

absl::Status CheckLabels(const std::vector<float>& labels, const ModelSection& model,
                         const std::string& name) {
  const bool number = model.loss() == ModelSection::MSE;
  const bool binary = model.loss() == ModelSection::BCE_WITH_LOGITS;
  const uint32_t classes = binary ? 2 : model.input().classes();
  const auto good = [&](float label) {
    if (number) return std::isfinite(label);
    return label >= 0 && label < static_cast<float>(classes) && std::floor(label) == label;
  };
  const auto bad = std::find_if_not(labels.begin(), labels.end(), good);
  if (bad == labels.end()) return absl::OkStatus();
  const std::string what =
      absl::StrCat(name, ": record ", bad - labels.begin(), " has label ", *bad);
  if (number) return absl::FailedPreconditionError(what + ", which is no finite number");
  if (binary) {
    return absl::FailedPreconditionError(what + ", the loss bce_with_logits takes 0 and 1");
  }
  const bool whole = std::floor(*bad) == *bad && *bad >= 0;
  return absl::FailedPreconditionError(
      absl::StrCat(what, ", the model has ", classes, " classes (0 to ", classes - 1, ")",
                   whole ? "" : "; a number to predict goes with model.loss = \"mse\""));
}

absl::Status CheckTokens(const Dataset& data, std::vector<uint32_t> want, const ModelSection& model,
                         const std::string& name) {
  for (uint32_t& length : want) ++length;  // there is one
  if (data.shape != want) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " holds records of shape ", Times(data.shape),
                     ", the model takes texts in records of ", Times(want), " tokens"));
  }
  const auto classes = static_cast<float>(model.input().classes());
  const FeatureView tokens = data.All();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < classes && std::floor(tokens[i]) == tokens[i]) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": record ", i / data.record_size(), " has the token ", tokens[i],
                     ", the model has ", model.input().classes(), " (model.input.classes)"));
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t Dataset::record_size() const {
  uint64_t size = 1;
  for (uint32_t dim : shape) size *= dim;
  return size;
}

Dataset Dataset::Select(std::span<const uint32_t> indices) const {
  Dataset selected;
  selected.shape = shape;
  selected.labels.reserve(indices.size());
  (numbers.empty() ? selected.features.reserve(indices.size() * record_size())
                   : selected.numbers.reserve(indices.size() * record_size()));
  for (uint32_t index : indices) {
    DURE_CHECK(index < records());
    Append(features, index, record_size(), &selected.features);
    Append(numbers, index, record_size(), &selected.numbers);
    selected.labels.push_back(labels[index]);
  }
  return selected;
}

std::vector<uint64_t> Dataset::LabelCounts(uint64_t classes) const {
  std::vector<uint64_t> counts(classes);
  for (float label : labels) {
    const auto index = static_cast<size_t>(label);
    if (index >= counts.size()) counts.resize(index + 1);
    ++counts[index];
  }
  return counts;
}

absl::StatusOr<DataFiles> OpenDataFolder(const std::string& folder, DataPart part) {
  if (FileIsMissing(folder)) {
    return absl::NotFoundError(absl::StrCat(
        "there is no folder ", folder, ": name one with images-idx3-ubyte and labels-idx1-ubyte"));
  }
  if (struct stat info; stat(folder.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder,
                     " is a file, not a folder of records: if it is a table, `dure data "
                     "show ",
                     folder, " --label COLUMN` reads it"));
  }
  std::vector<std::string> looked_for;
  for (const std::string& prefix : Prefixes(part)) {
    const std::string images = absl::StrCat(folder, "/", prefix, "images-idx");
    auto opened = OpenFirst(images + "3-ubyte");
    if (absl::IsNotFound(opened.status())) opened = OpenFirst(images + "4-ubyte");
    if (absl::IsNotFound(opened.status())) {
      looked_for.push_back(absl::StrCat(prefix, "images-idx3-ubyte"));
      continue;
    }
    DURE_RETURN_IF_ERROR(opened.status());
    DataFiles files;
    files.images = std::move(opened->first);
    files.images_path = std::move(opened->second);
    auto labels = OpenFirst(absl::StrCat(folder, "/", prefix, "labels-idx1-ubyte"));
    if (absl::IsNotFound(labels.status())) {
      return absl::FailedPreconditionError(labels.status().message());
    }
    DURE_RETURN_IF_ERROR(labels.status());
    files.labels = std::move(labels->first);
    files.labels_path = std::move(labels->second);
    return files;
  }
  absl::StatusOr<DataFiles> records = OpenRecords(folder, part);
  if (!absl::IsNotFound(records.status())) return records;
  const char* stem = part == DataPart::kHeldOut ? kHeldOutStem : kStem;
  return absl::NotFoundError(absl::StrCat(
      folder, " holds no ", absl::StrJoin(looked_for, " and no "),
      " (with or without .gz), and no ", stem, ".csv, ", stem, ".txt or ", stem, ".pt"));
}

std::string OpaqueInWords(const DataFiles& files) {
  switch (files.kind) {
    case DataKind::kTorch:
      return "tensors of PyTorch";
    case DataKind::kOwn:
      return "data for a trainer program of one's own";
    default:
      return "";
  }
}

absl::StatusOr<Dataset> ReadDataset(const DataFiles& files) {
  if (IsTable(files)) {
    DURE_ASSIGN_OR_RETURN(Table table, ReadTable(files));
    return ToDataset(std::move(table), files.images_path);
  }
  if (IsText(files)) {
    return absl::FailedPreconditionError(absl::StrCat(
        files.images_path, " is text, which is cut into records as a federation's model says"));
  }
  if (const std::string opaque = OpaqueInWords(files); !opaque.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(files.images_path, " holds ", opaque, ", which only the trainer reads"));
  }
  DURE_ASSIGN_OR_RETURN(IdxArray labels,
                        ReadIdx(files.labels.get(), files.labels_path, kMaxDatasetRecords));
  if (labels.dims.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(files.labels_path, ": labels have 1 dimension, ",
                                                   "this file has ", labels.dims.size()));
  }
  DURE_ASSIGN_OR_RETURN(IdxArray images,
                        ReadIdx(files.images.get(), files.images_path, kMaxDatasetBytes));
  if (images.dims.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.images_path, ": records need 2 dimensions or more, this file has 1"));
  }
  if (images.dims[0] != labels.dims[0]) {
    return absl::InvalidArgumentError(absl::StrCat(files.images_path, " has ", images.dims[0],
                                                   " records, ", files.labels_path, " has ",
                                                   labels.dims[0], " labels"));
  }
  Dataset data;
  data.shape.assign(images.dims.begin() + 1, images.dims.end());
  data.features = std::move(images.bytes);
  data.labels.assign(labels.bytes.begin(), labels.bytes.end());
  return data;
}

absl::StatusOr<Dataset> ReadDataFolder(const std::string& folder, DataPart part) {
  DURE_ASSIGN_OR_RETURN(DataFiles files, OpenDataFolder(folder, part));
  return ReadDataset(files);
}

absl::Status CheckDataset(const Dataset& data, const ModelSection& model, const std::string& name) {
  if (data.records() == 0) {
    return absl::FailedPreconditionError(absl::StrCat(name, " holds no record"));
  }
  std::vector<uint32_t> want(model.input().shape().begin(), model.input().shape().end());
  if (model.loss() == ModelSection::NEXT_TOKEN) return CheckTokens(data, want, model, name);
  if (!ShapeFits(data.shape, want)) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " holds records of shape ", Times(data.shape), ", the model takes ", Times(want)));
  }
  return CheckLabels(data.labels, model, name);
}

absl::StatusOr<DataPreview> PreviewDataFolder(const std::string& folder, DataPart part) {
  DURE_ASSIGN_OR_RETURN(DataFiles files, OpenDataFolder(folder, part));
  DURE_ASSIGN_OR_RETURN(Dataset data, ReadDataset(files));
  return DataPreview{.images_path = files.images_path,
                     .labels_path = files.labels_path,
                     .records = data.records(),
                     .shape = data.shape,
                     .label_counts = data.LabelCounts()};
}

}  // namespace dure
