#include "federation/attachments.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "federation/spec_check.h"

namespace dure {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;
// Largest number of input.classes (proto/federation.proto).
constexpr uint64_t kMostClasses = 65536;

// A name that stays in the folder; what else it may not have, FindFault says.
bool IsInFolder(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

void SetDigest(const std::string& key, const std::string& sha256, FederationSpec* spec) {
  if (key == "model.torchscript") {
    spec->mutable_model()->set_torchscript_sha256(sha256);
  } else if (key == "model.vocabulary") {
    spec->mutable_model()->set_vocabulary_sha256(sha256);
  } else {
    spec->mutable_data()->set_schema_sha256(sha256);
  }
}

// Calls `take` with each piece of the file.
template <typename Take>
absl::Status ReadPieces(int fd, const std::string& path, uint64_t max_bytes, Take take) {
  std::vector<char> part(kPartBytes);
  for (uint64_t offset = 0;;) {
    const ssize_t got = pread(fd, part.data(), part.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) return absl::OkStatus();
    offset += static_cast<uint64_t>(got);
    if (offset > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is larger than its limit of ", max_bytes, " bytes"));
    }
    DURE_RETURN_IF_ERROR(take(std::string_view(part.data(), static_cast<size_t>(got))));
  }
}

std::optional<SpecFault> FillInClasses(const std::string& path, FederationSpec* spec) {
  ModelSection* model = spec->mutable_model();
  if (model->tokens() != ModelSection::WORDS || model->input().has_classes()) return std::nullopt;
  absl::StatusOr<std::string> text = ReadFile(path, kMaxVocabularyBytes);
  if (!text.ok()) return SpecFault{"model.vocabulary", std::string(text.status().message())};
  const uint64_t lines = CountLines(*text);
  if (lines == 0 || lines >= kMostClasses) {
    return SpecFault{"model.vocabulary",
                     absl::StrCat("model.vocabulary: ", path, " has ", lines,
                                  " lines; it must have a word a line, at least 1 and at most ",
                                  kMostClasses - 1)};
  }
  model->mutable_input()->set_classes(static_cast<uint32_t>(lines) + 1);
  return std::nullopt;
}

std::optional<SpecFault> FillInAttachments(const std::string& folder, FederationSpec* spec) {
  for (const Attachment& attachment : AttachmentsOf(*spec)) {
    if (!IsInFolder(attachment.file)) {
      return SpecFault{attachment.key, absl::StrCat(attachment.key,
                                                    ": it must be the name of a file beside this "
                                                    "one, of letters, digits and -_.+")};
    }
    const std::string path = absl::StrCat(folder, "/", attachment.file);
    absl::StatusOr<OpenAttachment> opened = OpenForAttaching(path, attachment.max_bytes);
    if (absl::IsNotFound(opened.status())) {
      return SpecFault{attachment.key,
                       absl::StrCat(attachment.key, ": there is no file ", path,
                                    ": put it beside the federation file, or remove the key")};
    }
    if (!opened.ok()) {
      return SpecFault{attachment.key,
                       absl::StrCat(attachment.key, ": ", opened.status().message())};
    }
    if (attachment.sha256.empty()) {
      SetDigest(attachment.key, ToHex(opened->sha256), spec);
    } else if (attachment.sha256 != ToHex(opened->sha256)) {
      return SpecFault{attachment.key + "_sha256",
                       absl::StrCat(path, " is not the file of ", attachment.key,
                                    "_sha256: if it has changed on purpose, remove that key, and "
                                    "its new digest is filled in; otherwise put the file back")};
    }
    if (attachment.key == "model.vocabulary") {
      if (std::optional<SpecFault> fault = FillInClasses(path, spec)) return fault;
    }
  }
  return std::nullopt;
}

}  // namespace

uint64_t CountLines(std::string_view text) {
  const auto feeds = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return feeds + (!text.empty() && text.back() != '\n' ? 1 : 0);
}

std::vector<Attachment> AttachmentsOf(const FederationSpec& spec) {
  std::vector<Attachment> attachments;
  const ModelSection& model = spec.model();
  if (model.has_vocabulary()) {
    attachments.push_back(
        {"model.vocabulary", model.vocabulary(), model.vocabulary_sha256(), kMaxVocabularyBytes});
  }
  if (model.has_torchscript()) {
    attachments.push_back(
        {"model.torchscript", model.torchscript(), model.torchscript_sha256(), kMaxModuleBytes});
  }
  if (spec.data().has_schema()) {
    attachments.push_back(
        {"data.schema", spec.data().schema(), spec.data().schema_sha256(), kMaxSchemaFileBytes});
  }
  return attachments;
}

Attachment AttachmentOf(const FederationSpec& spec, const std::string& key) {
  for (Attachment& attachment : AttachmentsOf(spec)) {
    if (attachment.key == key) return std::move(attachment);
  }
  return {.key = key};
}

absl::Status CheckAttachmentsBound(const FederationSpec& spec) {
  for (const Attachment& attachment : AttachmentsOf(spec)) {
    if (attachment.sha256.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the terms name the file ", attachment.file, " (", attachment.key,
                       ") without its SHA-256: ask the organiser to update dure"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<OpenAttachment> OpenForAttaching(const std::string& path, uint64_t max_bytes) {
  // Not to wait for the other end of a pipe.
  OpenAttachment opened{.file =
                            FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
  if (!opened.file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info;
  if (fstat(opened.file.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is no plain file"));
  }
  Sha256Stream hash;
  DURE_RETURN_IF_ERROR(ReadPieces(opened.file.get(), path, max_bytes, [&](std::string_view piece) {
    hash.Add(AsBytes(piece));
    opened.bytes += piece.size();
    return absl::OkStatus();
  }));
  opened.sha256 = hash.Finish();
  return opened;
}

absl::StatusOr<std::string> ReadPiece(const OpenAttachment& file, uint64_t offset, uint64_t count) {
  std::string piece(count, '\0');
  for (uint64_t have = 0; have < count;) {
    const ssize_t got = pread(file.file.get(), piece.data() + have, count - have,
                              static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read a file of the federation");
    if (got == 0) {
      return absl::DataLossError("a file of the federation has become shorter: start again");
    }
    have += static_cast<uint64_t>(got);
  }
  return piece;
}

absl::StatusOr<FederationSpec> ReadFederationWithFiles(const std::string& path,
                                                       std::span<const KeyOverride> overrides) {
  DURE_ASSIGN_OR_RETURN(std::string toml, ReadFile(path, kMaxFederationFileBytes));
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  return ParseFederation(
      toml, path, [&](FederationSpec* spec) { return FillInAttachments(folder, spec); }, overrides);
}

absl::Status CopyAttachments(const FederationSpec& spec, const std::string& from,
                             const std::string& to) {
  for (const Attachment& attachment : AttachmentsOf(spec)) {
    const std::string source = absl::StrCat(from.empty() ? "." : from, "/", attachment.file);
    DURE_ASSIGN_OR_RETURN(const OpenAttachment opened,
                          OpenForAttaching(source, attachment.max_bytes));
    if (ToHex(opened.sha256) != attachment.sha256) {
      return absl::FailedPreconditionError(
          absl::StrCat(source, " has changed since it was read: try again"));
    }
    const std::string target = absl::StrCat(to, "/", attachment.file);
    DURE_ASSIGN_OR_RETURN(AtomicFile copy, AtomicFile::Create(target));
    DURE_RETURN_IF_ERROR(ReadPieces(opened.file.get(), source, attachment.max_bytes,
                                    [&](std::string_view piece) { return copy.Add(piece); }));
    DURE_RETURN_IF_ERROR(copy.Commit());
  }
  return absl::OkStatus();
}

}  // namespace dure
