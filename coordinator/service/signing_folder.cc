#include "coordinator/service/signing_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/pem_files.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

// Regular files in `folder` that end in `extension`, sorted, at most kMaxSigningFiles.
std::vector<std::string> FilesIn(const std::string& folder, std::string_view extension) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unknown;
    if (entry->path().extension() == extension && entry->is_regular_file(unknown)) {
      paths.push_back(entry->path().string());
    }
    if (paths.size() == kMaxSigningFiles) break;
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::string RequestsFolder(const std::string& private_folder) {
  return private_folder + "/requests";
}
std::string SignedFolder(const std::string& private_folder) { return private_folder + "/signed"; }

std::vector<WaitingRequest> ListWaiting(const std::string& private_folder) {
  std::vector<WaitingRequest> waiting;
  for (const std::string& path : FilesIn(RequestsFolder(private_folder), ".request")) {
    const absl::StatusOr<std::string> text = ReadFile(path, kMaxSigningRequestBytes);
    if (!text.ok()) continue;
    absl::StatusOr<SigningRequest> request = DecodeSigningRequest(*text);
    if (request.ok()) waiting.push_back({*std::move(request), path});
  }
  return waiting;
}

absl::StatusOr<std::string> AddWaiting(const std::string& private_folder,
                                       const SigningRequest& request) {
  const std::string folder = RequestsFolder(private_folder);
  DURE_RETURN_IF_ERROR(MakeFolder(folder, 0700));
  DURE_RETURN_IF_ERROR(MakeFolder(SignedFolder(private_folder), 0700));
  if (FilesIn(folder, ".request").size() >= kMaxSigningFiles) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxSigningFiles,
                     " requests wait for a signature, which is the limit: the "
                     "organiser has to sign them first"));
  }
  const std::string path = absl::StrCat(
      folder, "/", SigningFileName(request.role, request.name, request.key), ".request");
  DURE_RETURN_IF_ERROR(WriteFileAtomic(path, EncodeSigningRequest(request), 0600));
  return path;
}

size_t WithdrawWaiting(const std::string& private_folder, const std::string& name) {
  size_t withdrawn = 0;
  for (const WaitingRequest& waiting : ListWaiting(private_folder)) {
    if (waiting.request.role == CertificateRole::kCoordinator) continue;
    if (waiting.request.name != name) continue;
    RemoveWaiting(waiting);
    ++withdrawn;
  }
  return withdrawn;
}

void RemoveWaiting(const WaitingRequest& waiting) {
  std::error_code ignored;
  fs::remove(waiting.path, ignored);
}

std::optional<std::string> FindSigned(const std::string& private_folder, const PublicKey& key,
                                      const std::string& ca_der, absl::Time now) {
  std::optional<std::string> found;
  absl::Time ends = absl::InfinitePast();
  for (const std::string& path : FilesIn(SignedFolder(private_folder), ".pem")) {
    const absl::StatusOr<std::string> der = ReadCertificateFile(path);
    if (!der.ok()) continue;
    const absl::StatusOr<PublicKey> of = CertificateKey(*der);
    if (!of.ok() || *of != key) continue;
    const absl::StatusOr<Certificate> certificate = VerifyCertificateAtAnyTime(*der, ca_der);
    if (!certificate.ok()) continue;
    const Validity& validity = certificate->validity;
    if (now < validity.not_before || now > validity.not_after || validity.not_after <= ends) {
      continue;
    }
    ends = validity.not_after;
    found = *der;
  }
  return found;
}

}  // namespace dure
