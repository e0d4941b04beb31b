#include "crypto/pem_files.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/x509.h"

namespace dure {

absl::StatusOr<std::string> ReadCertificateFile(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(std::string pem, ReadFile(path, kMaxPemFileBytes));
  absl::StatusOr<std::string> der = CertificateFromPem(pem);
  if (!der.ok()) return absl::DataLossError(absl::StrCat(path, ": ", der.status().message()));
  return der;
}

absl::Status WriteCertificateFile(const std::string& path, const std::string& der) {
  return WriteFileAtomic(path, CertificateToPem(der));
}

absl::StatusOr<SigningKey> ReadKeyFile(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(std::string pem, ReadFile(path, kMaxPemFileBytes));
  absl::StatusOr<SigningKey> key = SigningKey::FromPem(pem);
  WipeBytes({reinterpret_cast<uint8_t*>(pem.data()), pem.size()});
  if (!key.ok()) return absl::DataLossError(absl::StrCat(path, ": ", key.status().message()));
  return key;
}

absl::Status WriteKeyFile(const std::string& path, const SigningKey& key) {
  SecretBytes pem = key.ToPem();
  return WriteFileAtomic(path, {reinterpret_cast<const char*>(pem.view().data()), pem.size()},
                         0600);
}

}  // namespace dure
