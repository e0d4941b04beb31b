// For crypto/x509*.cc only: what the writer and the reader of certificates share of OpenSSL. Its
// types are named here without its headers. Thread-safe.
#ifndef DURE_CRYPTO_X509_NATIVE_H_
#define DURE_CRYPTO_X509_NATIVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "crypto/ed25519.h"

// X509, X509_NAME and EVP_PKEY of OpenSSL.
struct x509_st;
struct X509_name_st;
struct evp_pkey_st;

namespace dure::x509_internal {

inline constexpr size_t kSerialBytes = 16;
inline constexpr size_t kMaxCommonNameBytes = 64;  // ub-common-name of RFC 5280
inline constexpr int kVersion3 = 2;
// The common name of an enrolment CA begins so.
inline constexpr std::string_view kCaPrefix = "dure enrolment CA of ";

struct FreeX509 {
  void operator()(x509_st* certificate) const;
};
using X509Ptr = std::unique_ptr<x509_st, FreeX509>;

// What OPENSSL_malloc gave.
struct FreeBytes {
  void operator()(void* bytes) const;
};
using OpenSslBytes = std::unique_ptr<uint8_t, FreeBytes>;

// Takes away the errors that OpenSSL queued on this thread meanwhile: TLS connections served by
// the same thread would take them for their own.
class ErrorScope {
 public:
  ErrorScope();
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
  ~ErrorScope();
};

inline absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// "2026-01-31 09:00:00 UTC".
std::string TimeText(absl::Time time);

// InvalidArgument unless `size` is from 1 to kMaxCertificateBytes.
absl::Status CheckSize(std::string_view what, size_t size);

// A subject: CN, then O, which may be absent.
struct NameParts {
  std::string common_name;
  std::string organisation;
};
// The parts of a name that has these two and nothing else.
std::optional<NameParts> ReadName(const X509_name_st* name);
// The common name of anybody, in quotes and escaped, for a message.
std::string QuotedCommonName(const X509_name_st* name);

// Between a certificate and its one encoding. InvalidArgument for any other bytes; empty for a
// certificate that has none.
absl::StatusOr<X509Ptr> Decode(std::string_view der);
std::string Encode(const x509_st* certificate);

std::optional<PublicKey> Ed25519KeyOf(const evp_pkey_st* key);

}  // namespace dure::x509_internal

#endif  // DURE_CRYPTO_X509_NATIVE_H_
