// Files that travel with the federation file: it names them, they lie beside it, and it binds each
// by its SHA-256, so that whoever agrees to the terms agrees to the files. Members fetch them by
// digest. Functions read files; thread-safe.
#ifndef DURE_FEDERATION_ATTACHMENTS_H_
#define DURE_FEDERATION_ATTACHMENTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "federation/toml_reader.h"
#include "proto/federation.pb.h"

namespace dure {

inline constexpr uint64_t kMaxModuleBytes = uint64_t{256} << 20;
inline constexpr uint64_t kMaxVocabularyBytes = uint64_t{4} << 20;
inline constexpr uint64_t kMaxSchemaFileBytes = uint64_t{4} << 20;

struct Attachment {
  std::string key;     // "model.torchscript"
  std::string file;    // its name in the organiser's folder
  std::string sha256;  // in hexadecimal; "" while nobody has filled it in
  uint64_t max_bytes = 0;
};

// Those that `spec` names, in the order of its keys.
std::vector<Attachment> AttachmentsOf(const FederationSpec& spec);
// The one of this key; nothing else in it but the key if `spec` names none.
Attachment AttachmentOf(const FederationSpec& spec, const std::string& key);

// FailedPrecondition if a file is named and not bound: terms that come from somebody else must say
// which file they mean.
absl::Status CheckAttachmentsBound(const FederationSpec& spec);

struct OpenAttachment {
  FileDescriptor file;  // for reading, at its beginning
  uint64_t bytes = 0;
  Digest sha256{};  // as it was read just now
};

// Opens and reads a file. NotFound; FailedPrecondition if it is no plain file; ResourceExhausted
// above `max_bytes`.
absl::StatusOr<OpenAttachment> OpenForAttaching(const std::string& path, uint64_t max_bytes);

// `count` bytes from `offset` on. DataLoss if the file has become shorter.
absl::StatusOr<std::string> ReadPiece(const OpenAttachment& file, uint64_t offset, uint64_t count);

// The organiser's file at `path`, read as ParseFederation does, with what its attachments beside it
// say: their digests, and input.classes of a model of words (the lines of the vocabulary, and one
// for all other words). InvalidArgument, with the place and the remedy, if a file is missing, too
// large, or another one than its digest says. `overrides` are keys of a command line.
absl::StatusOr<FederationSpec> ReadFederationWithFiles(const std::string& path,
                                                       std::span<const KeyOverride> overrides = {});

// Copies the attachments of `spec` from one folder into another. FailedPrecondition if one has
// changed meanwhile.
absl::Status CopyAttachments(const FederationSpec& spec, const std::string& from,
                             const std::string& to);

// How many lines a text has; the last needs no line feed.
uint64_t CountLines(std::string_view text);

}  // namespace dure

#endif  // DURE_FEDERATION_ATTACHMENTS_H_
