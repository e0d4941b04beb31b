#include "learner/data/picture_folder.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "learner/data/dataset.h"
#include "learner/data/idx.h"
#include "learner/data/picture.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostClassFolders = 256;

struct Entry {
  std::string path;
  uint8_t label = 0;
  bool held_out = false;
};

std::string Shown(const std::string& path) { return Printable(path, 300); }

absl::Status Wrong(const std::string& text) { return absl::InvalidArgumentError(text); }

// Names in `folder` without those that begin with a dot, sorted by their bytes.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.front() != '.') names.push_back(std::move(name));
    if (names.size() > kMaxDatasetRecords) {
      return absl::ResourceExhaustedError(
          absl::StrCat(Shown(folder), " has more than ", kMaxDatasetRecords, " files"));
    }
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot read ", Shown(folder)));
  std::sort(names.begin(), names.end());
  return names;
}

bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The classes, each of which has a folder if none were named.
absl::StatusOr<std::vector<std::string>> ClassesOf(const std::string& folder,
                                                   const std::vector<std::string>& named) {
  DURE_ASSIGN_OR_RETURN(const std::vector<std::string> found, NamesIn(folder));
  for (const std::string& name : found) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (!IsFolder(path)) {
      return Wrong(absl::StrCat(Shown(path),
                                " lies beside the class folders: put it into the "
                                "folder of its class, or elsewhere"));
    }
    if (!named.empty() && std::find(named.begin(), named.end(), name) == named.end()) {
      return Wrong(absl::StrCat(Shown(path), " is the folder of no class: the classes are ",
                                Printable(absl::StrJoin(named, ", "), 300)));
    }
    if (name.find('\n') != std::string::npos) {
      return Wrong(absl::StrCat(Shown(path), ": a class has a line break in its name"));
    }
  }
  if (found.empty()) {
    return Wrong(absl::StrCat(Shown(folder),
                              " is empty: it needs a folder of pictures for each "
                              "class"));
  }
  if (named.empty() && found.size() == 1) {
    return Wrong(absl::StrCat(Shown(folder), " has one class folder, ", Shown(found[0]),
                              ": with --classes say which classes there are, in their order"));
  }
  const std::vector<std::string>& classes = named.empty() ? found : named;
  if (classes.size() > kMostClassFolders) {
    return Wrong(absl::StrCat(classes.size(), " classes, limit ", kMostClassFolders));
  }
  return classes;
}

absl::StatusOr<std::vector<Entry>> ListPictures(const std::string& folder,
                                                const std::vector<std::string>& classes,
                                                double held_out) {
  std::vector<Entry> entries;
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::string path = absl::StrCat(folder, "/", classes[label]);
    if (FileIsMissing(path)) continue;
    DURE_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(path));
    if (names.empty()) {
      return Wrong(absl::StrCat("the class folder ", Shown(path),
                                " holds no picture: fill it, or remove it"));
    }
    for (size_t i = 0; i < names.size(); ++i) {
      const double before = static_cast<double>(i) * held_out;
      entries.push_back({.path = absl::StrCat(path, "/", names[i]),
                         .label = static_cast<uint8_t>(label),
                         .held_out = std::floor(before + held_out) > std::floor(before)});
    }
  }
  if (entries.size() > kMaxDatasetRecords) {
    return absl::ResourceExhaustedError(
        absl::StrCat(entries.size(), " pictures, limit ", kMaxDatasetRecords));
  }
  return entries;
}

absl::StatusOr<Picture> ReadPicture(const std::string& path, const PackOptions& options) {
  if (IsFolder(path)) {
    return Wrong(absl::StrCat(Shown(path),
                              " is a folder inside a class folder, which may hold "
                              "pictures only"));
  }
  DURE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxPictureFileBytes));
  DURE_ASSIGN_OR_RETURN(Picture picture, DecodePicture(bytes, Shown(path)));
  if (options.height > 0) picture = Resized(picture, options.height, options.width);
  if (options.channels > 0) picture = WithChannels(std::move(picture), options.channels);
  return picture;
}

// What all pictures must be like.
absl::Status CheckLike(const Picture& first, const std::string& first_path, const Picture& picture,
                       const std::string& path) {
  if (picture.height != first.height || picture.width != first.width) {
    return Wrong(absl::StrCat(Shown(path), " is ", picture.height, " x ", picture.width,
                              " pixels (height x width), ", Shown(first_path), " is ", first.height,
                              " x ", first.width, ": --size HxW brings all to one size"));
  }
  if (picture.channels == first.channels) return absl::OkStatus();
  return Wrong(absl::StrCat(Shown(path), " is ", picture.channels == 3 ? "in colour" : "grey", ", ",
                            Shown(first_path), " is ", first.channels == 3 ? "in colour" : "grey",
                            ": --channels 1 makes all grey, --channels 3 all colour"));
}

// One part of a data folder: its pixels and labels in memory.
struct Part {
  std::vector<uint8_t> pixels;
  std::vector<uint8_t> labels;
};

absl::Status WritePart(const Part& part, const Picture& like, const std::string& prefix) {
  const auto records = static_cast<uint32_t>(part.labels.size());
  std::vector<uint32_t> dims = {records, like.height, like.width};
  if (like.channels > 1) dims.insert(dims.begin() + 1, like.channels);
  DURE_ASSIGN_OR_RETURN(
      AtomicFile images,
      AtomicFile::Create(
          absl::StrCat(prefix, like.channels > 1 ? "images-idx4-ubyte" : "images-idx3-ubyte"),
          0600));
  DURE_RETURN_IF_ERROR(images.Add(EncodeIdx(dims, {})));
  DURE_RETURN_IF_ERROR(
      images.Add({reinterpret_cast<const char*>(part.pixels.data()), part.pixels.size()}));
  DURE_RETURN_IF_ERROR(images.Commit());
  const uint32_t label_dims[] = {records};
  return WriteFileAtomic(prefix + "labels-idx1-ubyte", EncodeIdx(label_dims, part.labels), 0600);
}

// Decodes all of `entries` into the two parts; pictures are dealt to threads one at a time, each to
// its own place.
absl::Status DecodeAll(const std::vector<Entry>& entries, const Picture& first,
                       const PackOptions& options, Part* training, Part* held_out) {
  const size_t size = first.pixels.size();
  std::vector<uint8_t*> places(entries.size());
  std::vector<size_t> index(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    Part& part = entries[i].held_out ? *held_out : *training;
    index[i] = part.labels.size();
    part.labels.push_back(entries[i].label);
  }
  for (Part* part : {training, held_out}) part->pixels.resize(part->labels.size() * size);
  for (size_t i = 0; i < entries.size(); ++i) {
    places[i] = (entries[i].held_out ? held_out : training)->pixels.data() + index[i] * size;
  }
  std::atomic<size_t> next = 0, faulty = entries.size();
  std::mutex mutex;
  absl::Status fault;  // of the picture `faulty`, the first one
  const auto work = [&] {
    for (size_t i; (i = next++) < faulty;) {
      absl::StatusOr<Picture> picture = ReadPicture(entries[i].path, options);
      absl::Status status = picture.status();
      if (status.ok()) status = CheckLike(first, entries[0].path, *picture, entries[i].path);
      if (status.ok()) {
        std::copy(picture->pixels.begin(), picture->pixels.end(), places[i]);
        continue;
      }
      std::lock_guard lock(mutex);
      if (i >= faulty) continue;
      faulty = i;
      fault = std::move(status);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return fault;
}

}  // namespace

absl::StatusOr<PackReport> PackPictures(const std::string& folder, const PackOptions& options,
                                        const std::string& out) {
  PackReport report;
  DURE_ASSIGN_OR_RETURN(report.classes, ClassesOf(folder, options.classes));
  DURE_ASSIGN_OR_RETURN(const std::vector<Entry> entries,
                        ListPictures(folder, report.classes, options.held_out));
  DURE_ASSIGN_OR_RETURN(const Picture first, ReadPicture(entries[0].path, options));
  const uint64_t bytes = first.pixels.size() * entries.size();
  if (bytes > kMaxDatasetBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(entries.size(), " pictures of ", first.pixels.size(), " bytes are ", bytes,
                     ", limit ", kMaxDatasetBytes, ": make them smaller with --size"));
  }
  Part training, held_out;
  DURE_RETURN_IF_ERROR(DecodeAll(entries, first, options, &training, &held_out));
  report.records = training.labels.size();
  report.held_out = held_out.labels.size();
  if (report.records == 0) {
    return Wrong("every picture would be held out, and none left to learn from");
  }
  DURE_RETURN_IF_ERROR(MakeFolder(out, 0700));
  DURE_RETURN_IF_ERROR(WritePart(training, first, out + "/"));
  if (report.held_out > 0) DURE_RETURN_IF_ERROR(WritePart(held_out, first, out + "/t10k-"));
  DURE_RETURN_IF_ERROR(
      WriteFileAtomic(out + "/classes.txt", absl::StrJoin(report.classes, "\n") + "\n", 0600));
  return report;
}

}  // namespace dure
