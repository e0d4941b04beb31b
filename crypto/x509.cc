#include "crypto/x509.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/x509_native.h"

namespace dure {
namespace {

using namespace x509_internal;  // NOLINT: the other half of this file

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using BnPtr = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using NamePtr = std::unique_ptr<X509_NAME, Free<X509_NAME_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>>;

EVP_PKEY* Native(const SigningKey& key) { return static_cast<EVP_PKEY*>(key.native()); }

bool AddToName(X509_NAME* name, int nid, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

// A subject of CN and, unless it is empty, O; null if a text is not UTF-8.
NamePtr MakeName(std::string_view common_name, std::string_view organisation) {
  NamePtr name(X509_NAME_new());
  DURE_CHECK(name != nullptr);
  if (!AddToName(name.get(), NID_commonName, common_name)) return nullptr;
  if (!organisation.empty() && !AddToName(name.get(), NID_organizationName, organisation)) {
    return nullptr;
  }
  return name;
}

struct Extension {
  int nid;
  const char* value;
};

// What is common to all kinds. `issuer` is null for a certificate that signs itself.
absl::StatusOr<std::string> Sign(X509_NAME* subject, const PublicKey& subject_key,
                                 const Validity& validity, X509* issuer, const SigningKey& key,
                                 const std::vector<Extension>& extensions, Random& random) {
  if (validity.not_after < validity.not_before) {
    return absl::InvalidArgumentError(absl::StrCat("a certificate cannot hold from ",
                                                   TimeText(validity.not_before), " until ",
                                                   TimeText(validity.not_after)));
  }
  X509Ptr certificate(X509_new());
  KeyPtr public_key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, subject_key.data(),
                                                subject_key.size()));
  DURE_CHECK(certificate != nullptr && public_key != nullptr);
  X509* c = certificate.get();
  TimePtr not_before(ASN1_TIME_set(nullptr, absl::ToTimeT(validity.not_before)));
  TimePtr not_after(ASN1_TIME_set(nullptr, absl::ToTimeT(validity.not_after)));
  if (not_before == nullptr || not_after == nullptr) {
    return absl::InvalidArgumentError("a certificate must begin and end before the year 10000");
  }
  std::array<uint8_t, kSerialBytes> serial;
  random.Fill(serial);
  serial[0] |= 1;  // never 0, and always kSerialBytes long
  BnPtr number(BN_bin2bn(serial.data(), serial.size(), nullptr));
  DURE_CHECK(number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(c)));
  DURE_CHECK(
      X509_set_version(c, kVersion3) == 1 && X509_set_subject_name(c, subject) == 1 &&
      X509_set_issuer_name(c, issuer == nullptr ? subject : X509_get_subject_name(issuer)) == 1 &&
      X509_set1_notBefore(c, not_before.get()) == 1 &&
      X509_set1_notAfter(c, not_after.get()) == 1 && X509_set_pubkey(c, public_key.get()) == 1);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer == nullptr ? c : issuer, c, nullptr, nullptr, 0);
  for (const Extension& extension : extensions) {
    ExtensionPtr made(X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value));
    DURE_CHECK(made != nullptr && X509_add_ext(c, made.get(), -1) == 1);
  }
  DURE_CHECK(X509_sign(c, Native(key), nullptr) > 0);
  std::string der = Encode(c);
  DURE_CHECK(!der.empty());
  return der;
}

std::vector<Extension> LeafExtensions(const char* usage) {
  return {{NID_basic_constraints, "critical,CA:FALSE"},
          {NID_key_usage, "critical,digitalSignature"},
          {NID_ext_key_usage, usage},
          {NID_subject_key_identifier, "hash"},
          {NID_authority_key_identifier, "keyid:always"}};
}

bool HasControlCharacter(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<uint8_t>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    // U+0080 to U+009F in UTF-8.
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xa0)
      return true;
  }
  return false;
}

}  // namespace

std::string_view RoleName(CertificateRole role) {
  switch (role) {
    case CertificateRole::kCoordinator:
      return "coordinator";
    case CertificateRole::kMember:
      return "member";
    case CertificateRole::kEvaluator:
      return "evaluator";
  }
  DURE_CHECK(false);
}

absl::Status CheckMemberName(std::string_view name) {
  bool characters = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
  if (!characters || name.empty() || name.size() > kMaxMemberNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the name of a member has 1 to ", kMaxMemberNameBytes,
                     " letters, digits, '-', '_' and '.'; this one has ", name.size(),
                     characters ? " of them" : " bytes and others"));
  }
  return absl::OkStatus();
}

absl::Status CheckOrganisation(std::string_view what, std::string_view name) {
  if (name.size() > kMaxOrganisationBytes) {
    return absl::InvalidArgumentError(absl::StrCat(View(what), " has a name of ", name.size(),
                                                   " bytes, limit ", kMaxOrganisationBytes));
  }
  if (HasControlCharacter(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(what), " has control characters in its name"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MakeEnrolmentCa(const SigningKey& key, std::string_view federation,
                                            const Validity& validity, Random& random) {
  ErrorScope errors;
  DURE_RETURN_IF_ERROR(CheckOrganisation("the federation", federation));
  if (federation.empty()) return absl::InvalidArgumentError("the federation has no name");
  // The name in full is the O; what people see first has to fit into a CN.
  std::string common_name = absl::StrCat(View(kCaPrefix), View(federation));
  if (common_name.size() > kMaxCommonNameBytes) {
    size_t end = kMaxCommonNameBytes;
    while ((static_cast<uint8_t>(common_name[end]) & 0xc0) == 0x80) --end;  // whole characters
    common_name.resize(end);
  }
  NamePtr name = MakeName(common_name, federation);
  if (name == nullptr) return absl::InvalidArgumentError("the federation's name is not UTF-8");
  return Sign(name.get(), key.public_key(), validity, nullptr, key,
              {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
               {NID_key_usage, "critical,keyCertSign"},
               {NID_subject_key_identifier, "hash"}},
              random);
}

absl::StatusOr<CertificateIssuer> CertificateIssuer::Create(std::string ca_der,
                                                            const SigningKey* key) {
  DURE_ASSIGN_OR_RETURN(CaCertificate ca, ParseCaCertificate(ca_der));
  if (ca.key != key->public_key()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the private key is not the one of the enrolment CA of ", ca.federation));
  }
  return CertificateIssuer(std::move(ca_der), key, ca.validity.not_after);
}

absl::StatusOr<std::string> CertificateIssuer::IssueCoordinator(const PublicKey& key,
                                                                const Validity& validity,
                                                                Random& random) const {
  static const std::string* const dns =
      new std::string(absl::StrCat("DNS:", View(kCoordinatorDnsName)));
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(X509Ptr ca, Decode(ca_der_));
  NamePtr name = MakeName(RoleName(CertificateRole::kCoordinator), "");
  std::vector<Extension> extensions = LeafExtensions("serverAuth");
  extensions.push_back({NID_subject_alt_name, dns->c_str()});
  return Sign(name.get(), key, {validity.not_before, std::min(validity.not_after, ca_ends_)},
              ca.get(), *key_, extensions, random);
}

absl::StatusOr<std::string> CertificateIssuer::IssueMember(const MemberSubject& subject,
                                                           const PublicKey& key,
                                                           const Validity& validity,
                                                           Random& random) const {
  ErrorScope errors;
  DURE_CHECK(subject.role != CertificateRole::kCoordinator);
  DURE_RETURN_IF_ERROR(CheckMemberName(subject.name));
  DURE_RETURN_IF_ERROR(CheckOrganisation("the organisation", subject.organisation));
  DURE_ASSIGN_OR_RETURN(X509Ptr ca, Decode(ca_der_));
  NamePtr name =
      MakeName(absl::StrCat(View(RoleName(subject.role)), "/", subject.name), subject.organisation);
  if (name == nullptr) return absl::InvalidArgumentError("the organisation's name is not UTF-8");
  return Sign(name.get(), key, {validity.not_before, std::min(validity.not_after, ca_ends_)},
              ca.get(), *key_, LeafExtensions("clientAuth"), random);
}

std::string MakeCertificateRequest(const SigningKey& key) {
  ErrorScope errors;
  RequestPtr request(X509_REQ_new());
  DURE_CHECK(request != nullptr && X509_REQ_set_version(request.get(), 0) == 1 &&
             X509_REQ_set_pubkey(request.get(), Native(key)) == 1 &&
             X509_REQ_sign(request.get(), Native(key), nullptr) > 0);
  uint8_t* der = nullptr;
  int size = i2d_X509_REQ(request.get(), &der);
  DURE_CHECK(size > 0);
  OpenSslBytes owned(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

absl::StatusOr<PublicKey> ParseCertificateRequest(std::string_view der) {
  ErrorScope errors;
  DURE_RETURN_IF_ERROR(CheckSize("a certificate request", der.size()));
  auto* next = reinterpret_cast<const uint8_t*>(der.data());
  const uint8_t* end = next + der.size();
  RequestPtr request(d2i_X509_REQ(nullptr, &next, static_cast<long>(der.size())));
  if (request == nullptr || next != end) {
    return absl::InvalidArgumentError("not a certificate request in DER");
  }
  EVP_PKEY* native = X509_REQ_get0_pubkey(request.get());
  std::optional<PublicKey> key = Ed25519KeyOf(native);
  if (!key)
    return absl::InvalidArgumentError("a certificate request for a key that is not Ed25519");
  if (X509_REQ_verify(request.get(), native) != 1) {
    return absl::InvalidArgumentError("a certificate request that its own key did not sign");
  }
  return *key;
}

std::string CertificateToPem(std::string_view der) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  DURE_CHECK(bio != nullptr && PEM_write_bio(bio.get(), PEM_STRING_X509, "",
                                             reinterpret_cast<const uint8_t*>(der.data()),
                                             static_cast<long>(der.size())) > 0);
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::StatusOr<std::string> CertificateFromPem(std::string_view pem) {
  ErrorScope errors;
  if (pem.empty()) return absl::InvalidArgumentError("no certificate in PEM");
  if (pem.size() > 2 * kMaxCertificateBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("PEM of ", pem.size(), " bytes, limit ", 2 * kMaxCertificateBytes));
  }
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  DURE_CHECK(bio != nullptr);
  std::optional<std::string> der;
  for (;;) {
    char* name = nullptr;
    char* header = nullptr;
    uint8_t* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) break;
    OpenSslBytes owned_name(reinterpret_cast<uint8_t*>(name));
    OpenSslBytes owned_header(reinterpret_cast<uint8_t*>(header));
    OpenSslBytes owned_data(data);
    if (std::string_view(name) != PEM_STRING_X509 || *header != '\0') continue;
    if (der) return absl::InvalidArgumentError("more than one certificate in PEM, limit 1");
    der = std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  if (!der) return absl::InvalidArgumentError("no certificate in PEM");
  DURE_RETURN_IF_ERROR(CheckSize("a certificate", der->size()));
  return *std::move(der);
}

std::string CertificateFingerprint(std::string_view der) {
  std::string hex = absl::AsciiStrToUpper(ToHex(Sha256(AsBytes(der))));
  std::string text;
  for (size_t i = 0; i < hex.size(); i += 2) {
    if (i > 0) text.push_back(':');
    text.append(hex, i, 2);
  }
  return text;
}

}  // namespace dure
