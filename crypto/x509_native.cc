#include "crypto/x509_native.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/x509.h"

namespace dure::x509_internal {
namespace {

// The entry at `index` as UTF-8, if it is one of `nid`.
std::optional<std::string> EntryOf(const X509_NAME* name, int index, int nid) {
  X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, index);
  if (entry == nullptr || OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != nid) {
    return std::nullopt;
  }
  uint8_t* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return std::nullopt;
  OpenSslBytes owned(utf8);
  return std::string(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
}

}  // namespace

void FreeX509::operator()(x509_st* certificate) const { X509_free(certificate); }
void FreeBytes::operator()(void* bytes) const { OPENSSL_free(bytes); }

ErrorScope::ErrorScope() { ERR_set_mark(); }
ErrorScope::~ErrorScope() { ERR_pop_to_mark(); }

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

absl::Status CheckSize(std::string_view what, size_t size) {
  if (size > 0 && size <= kMaxCertificateBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(View(what), " of ", size, " bytes, limit 1 to ", kMaxCertificateBytes));
}

std::optional<NameParts> ReadName(const X509_NAME* name) {
  int entries = X509_NAME_entry_count(name);
  if (entries < 1 || entries > 2) return std::nullopt;
  std::optional<std::string> common_name = EntryOf(name, 0, NID_commonName);
  if (!common_name) return std::nullopt;
  std::optional<std::string> organisation = std::string();
  if (entries == 2) organisation = EntryOf(name, 1, NID_organizationName);
  if (!organisation || !CheckOrganisation("it", *organisation).ok()) return std::nullopt;
  return NameParts{*std::move(common_name), *std::move(organisation)};
}

std::string QuotedCommonName(const X509_NAME* name) {
  std::optional<std::string> text =
      EntryOf(name, X509_NAME_get_index_by_NID(name, NID_commonName, -1), NID_commonName);
  if (!text) return "(no name)";
  if (text->size() > kMaxCommonNameBytes) text->resize(kMaxCommonNameBytes);
  return absl::StrCat("\"", absl::CHexEscape(*text), "\"");
}

std::string Encode(const x509_st* certificate) {
  uint8_t* der = nullptr;
  int size = i2d_X509(certificate, &der);
  if (size <= 0) return "";
  OpenSslBytes owned(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

absl::StatusOr<X509Ptr> Decode(std::string_view der) {
  DURE_RETURN_IF_ERROR(CheckSize("a certificate", der.size()));
  auto* next = reinterpret_cast<const uint8_t*>(der.data());
  const uint8_t* end = next + der.size();
  X509Ptr certificate(d2i_X509(nullptr, &next, static_cast<long>(der.size())));
  if (certificate == nullptr || next != end) {
    return absl::InvalidArgumentError("not a certificate in DER");
  }
  // One certificate has one encoding, so that its fingerprint names it.
  if (Encode(certificate.get()) != der) {
    return absl::InvalidArgumentError("a certificate that is not in canonical DER");
  }
  return certificate;
}

std::optional<PublicKey> Ed25519KeyOf(const EVP_PKEY* key) {
  PublicKey raw;
  size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size()) {
    return std::nullopt;
  }
  return raw;
}

}  // namespace dure::x509_internal
