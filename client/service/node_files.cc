#include "client/service/node_files.h"

#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/x509.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

// Longest wait for one piece.
constexpr absl::Duration kPieceTimeout = absl::Seconds(60);

std::string FilesFolder(const std::string& node_folder) { return node_folder + "/files"; }

// Whether the file is there, whole.
bool IsThere(const std::string& path, const Attachment& attachment) {
  const absl::StatusOr<OpenAttachment> opened = OpenForAttaching(path, attachment.max_bytes);
  return opened.ok() && ToHex(opened->sha256) == attachment.sha256;
}

absl::Status FetchFile(const Attachment& attachment, const std::string& path,
                       const FetchSource& source) {
  DURE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, 0600));
  const absl::Status fetched =
      Fetch(source, absl::HexStringToBytes(attachment.sha256), attachment.max_bytes, kPieceTimeout,
            [&](std::string_view piece) { return file.Add(piece); });
  if (fetched.ok()) return file.Commit();
  return absl::Status(fetched.code(), absl::StrCat("cannot fetch ", attachment.file, " (",
                                                   attachment.key, "): ", fetched.message()));
}

}  // namespace

std::string NodeFilePath(const std::string& node_folder, const Attachment& attachment) {
  if (attachment.file.empty()) return "";
  return absl::StrCat(FilesFolder(node_folder), "/", attachment.sha256);
}

absl::Status FetchFiles(const FederationSpec& spec, const std::string& node_folder,
                        const FetchSource& source) {
  DURE_RETURN_IF_ERROR(CheckAttachmentsBound(spec));
  for (const Attachment& attachment : AttachmentsOf(spec)) {
    const std::string path = NodeFilePath(node_folder, attachment);
    if (IsThere(path, attachment)) continue;
    DURE_RETURN_IF_ERROR(MakeFolder(FilesFolder(node_folder), 0700));
    DURE_RETURN_IF_ERROR(FetchFile(attachment, path, source));
  }
  return absl::OkStatus();
}

FetchSource SourceOf(const Invitation& invitation) {
  return {.address = invitation.address(),
          .ca_certificate = invitation.ca_certificate(),
          .secret = invitation.secret()};
}

FetchSource SourceOf(const Node& node) {
  return {.address = node.membership.address,
          .ca_certificate = node.ca_certificate,
          .certificate_pem = CertificateToPem(node.certificate),
          .key_pem = ToString(node.key.ToPem().view())};
}

void ForgetOtherFiles(const FederationSpec& spec, const std::string& node_folder) {
  std::set<std::string> named;
  for (const Attachment& attachment : AttachmentsOf(spec)) named.insert(attachment.sha256);
  std::vector<fs::path> others;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(FilesFolder(node_folder), ignored)) {
    if (!named.contains(entry.path().filename().string())) others.push_back(entry.path());
  }
  for (const fs::path& path : others) fs::remove(path, ignored);
  if (named.empty()) fs::remove(FilesFolder(node_folder), ignored);  // if it is empty
}

absl::StatusOr<std::string> FilesInWords(const FederationSpec& spec, const FetchSource& source) {
  DURE_RETURN_IF_ERROR(CheckAttachmentsBound(spec));
  std::string text;
  for (const Attachment& attachment : AttachmentsOf(spec)) {
    DURE_ASSIGN_OR_RETURN(
        const uint64_t bytes,
        FetchSize(source, absl::HexStringToBytes(attachment.sha256), kPieceTimeout));
    if (bytes > attachment.max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(attachment.file, " (", attachment.key,
                                                       ") has ", bytes, " bytes, limit ",
                                                       attachment.max_bytes));
    }
    absl::StrAppend(&text, "  ", attachment.key, "  ", attachment.file, ", ", bytes,
                    " bytes\n    SHA-256 ", attachment.sha256, "\n");
  }
  return text.empty() ? text : absl::StrCat("Files that members receive:\n", text);
}

}  // namespace dure
