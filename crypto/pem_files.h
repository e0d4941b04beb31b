// Keys and certificates as PEM files. Errors are those of base/file.h, and DataLoss, naming the
// file, for contents that are neither. Thread-safe for different files.
#ifndef DURE_CRYPTO_PEM_FILES_H_
#define DURE_CRYPTO_PEM_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crypto/ed25519.h"

namespace dure {

// Largest such file, in bytes.
inline constexpr uint64_t kMaxPemFileBytes = uint64_t{1} << 16;

// DER of the one certificate in the file.
absl::StatusOr<std::string> ReadCertificateFile(const std::string& path);
absl::Status WriteCertificateFile(const std::string& path, const std::string& der);

absl::StatusOr<SigningKey> ReadKeyFile(const std::string& path);
// Readable by the owner alone (0600).
absl::Status WriteKeyFile(const std::string& path, const SigningKey& key);

}  // namespace dure

#endif  // DURE_CRYPTO_PEM_FILES_H_
