#include "crypto/x509.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr size_t kSerialBytes = 16;
constexpr size_t kMaxCommonNameBytes = 64;  // ub-common-name of RFC 5280
constexpr std::string_view kCaPrefix = "dure enrolment CA of ";
constexpr long kVersion3 = 2;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
void FreeOpenSsl(void* memory) { OPENSSL_free(memory); }

using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using BnPtr = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using NamePtr = std::unique_ptr<X509_NAME, Free<X509_NAME_free>>;
using OpenSslBytes = std::unique_ptr<uint8_t, Free<FreeOpenSsl>>;
using RequestPtr = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;

// Takes away the errors that OpenSSL queued on this thread meanwhile: TLS connections served by
// the same thread would take them for their own.
class ErrorScope {
 public:
  ErrorScope() { ERR_set_mark(); }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
  ~ErrorScope() { ERR_pop_to_mark(); }
};

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

EVP_PKEY* Native(const SigningKey& key) { return static_cast<EVP_PKEY*>(key.native()); }

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

// ---- Names

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

struct NameParts {
  std::string common_name;
  std::string organisation;
};

// The two parts of a name that MakeName could have made, nothing else.
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

// Somebody's common name for a message about a certificate that is not ours.
std::string QuotedCommonName(const X509_NAME* name) {
  std::optional<std::string> text =
      EntryOf(name, X509_NAME_get_index_by_NID(name, NID_commonName, -1), NID_commonName);
  if (!text) return "(no name)";
  if (text->size() > kMaxCommonNameBytes) text->resize(kMaxCommonNameBytes);
  return absl::StrCat("\"", absl::CHexEscape(*text), "\"");
}

// ---- Writing

template <typename T>
std::string ToDer(const T* object, int (*encode)(const T*, uint8_t**)) {
  uint8_t* der = nullptr;
  int size = encode(object, &der);
  DURE_CHECK(size > 0);
  OpenSslBytes owned(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
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
  return ToDer<X509>(c, i2d_X509);
}

std::vector<Extension> LeafExtensions(const char* usage) {
  return {{NID_basic_constraints, "critical,CA:FALSE"},
          {NID_key_usage, "critical,digitalSignature"},
          {NID_ext_key_usage, usage},
          {NID_subject_key_identifier, "hash"},
          {NID_authority_key_identifier, "keyid:always"}};
}

// ---- Reading

absl::Status CheckSize(std::string_view what, size_t size) {
  if (size > 0 && size <= kMaxCertificateBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(View(what), " of ", size, " bytes, limit 1 to ", kMaxCertificateBytes));
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
  if (ToDer<X509>(certificate.get(), i2d_X509) != der) {
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

std::optional<absl::Time> TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::optional<Validity> ValidityOf(const X509* certificate) {
  std::optional<absl::Time> not_before = TimeOf(X509_get0_notBefore(certificate));
  std::optional<absl::Time> not_after = TimeOf(X509_get0_notAfter(certificate));
  if (!not_before || !not_after) return std::nullopt;
  return Validity{*not_before, *not_after};
}

std::optional<std::string> SerialOf(const X509* certificate) {
  BnPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  std::array<uint8_t, kSerialBytes> bytes;
  if (number == nullptr || BN_is_negative(number.get()) ||
      BN_bn2binpad(number.get(), bytes.data(), bytes.size()) < 0) {
    return std::nullopt;
  }
  return ToHex(bytes);
}

absl::Status NotOurForm(std::string_view fault) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a certificate of a federation: ", View(fault)));
}

struct DecodedCa {
  X509Ptr native;
  CaCertificate certificate;
};

absl::StatusOr<DecodedCa> DecodeCa(std::string_view der) {
  absl::StatusOr<X509Ptr> decoded = Decode(der);
  if (!decoded.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the enrolment CA's certificate: ", decoded.status().message()));
  }
  X509* ca = decoded->get();
  uint32_t flags = X509_get_extension_flags(ca);
  std::optional<PublicKey> key = Ed25519KeyOf(X509_get0_pubkey(ca));
  std::optional<NameParts> name = ReadName(X509_get_subject_name(ca));
  std::optional<Validity> validity = ValidityOf(ca);
  bool form = key && name && validity && X509_get_version(ca) == kVersion3 &&
              (flags & EXFLAG_INVALID) == 0 && (flags & EXFLAG_CRITICAL) == 0 &&
              (flags & EXFLAG_CA) != 0 && (flags & EXFLAG_SS) != 0 &&
              (X509_get_key_usage(ca) & KU_KEY_CERT_SIGN) != 0 && !name->organisation.empty() &&
              name->common_name.starts_with(kCaPrefix);
  if (!form) return absl::InvalidArgumentError("not the certificate of an enrolment CA");
  if (X509_verify(ca, X509_get0_pubkey(ca)) != 1) {
    return absl::InvalidArgumentError(
        "the enrolment CA's certificate is damaged: its signature is wrong");
  }
  return DecodedCa{*std::move(decoded), {*key, std::move(name->organisation), *validity}};
}

// The role that common name and key usages agree on.
std::optional<CertificateRole> RoleOf(X509* certificate, std::string_view common_name,
                                      std::string* name) {
  uint32_t usages = X509_get_extended_key_usage(certificate);
  if (usages == XKU_SSL_SERVER) {
    bool dns = X509_check_host(certificate, kCoordinatorDnsName.data(), kCoordinatorDnsName.size(),
                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS,
                               nullptr) == 1;
    if (!dns || common_name != RoleName(CertificateRole::kCoordinator)) return std::nullopt;
    *name = common_name;
    return CertificateRole::kCoordinator;
  }
  if (usages != XKU_SSL_CLIENT) return std::nullopt;
  for (CertificateRole role : {CertificateRole::kMember, CertificateRole::kEvaluator}) {
    std::string prefix = absl::StrCat(View(RoleName(role)), "/");
    if (!common_name.starts_with(prefix)) continue;
    *name = common_name.substr(prefix.size());
    if (!CheckMemberName(*name).ok()) return std::nullopt;
    return role;
  }
  return std::nullopt;
}

absl::StatusOr<Certificate> ReadLeaf(X509* certificate) {
  uint32_t flags = X509_get_extension_flags(certificate);
  std::optional<PublicKey> key = Ed25519KeyOf(X509_get0_pubkey(certificate));
  std::optional<NameParts> subject = ReadName(X509_get_subject_name(certificate));
  std::optional<Validity> validity = ValidityOf(certificate);
  std::optional<std::string> serial = SerialOf(certificate);
  if (!key) return NotOurForm("its key is not Ed25519");
  if (!subject || !validity || !serial) return NotOurForm("subject, validity or serial");
  if (X509_get_version(certificate) != kVersion3 || (flags & EXFLAG_INVALID) != 0 ||
      (flags & EXFLAG_CRITICAL) != 0 || (flags & EXFLAG_CA) != 0 || (flags & EXFLAG_XKUSAGE) == 0) {
    return NotOurForm("its extensions");
  }
  std::string name;
  std::optional<CertificateRole> role = RoleOf(certificate, subject->common_name, &name);
  if (!role) return NotOurForm("its name and what it may be used for do not agree");
  return Certificate{*key,    *role,    std::move(name), std::move(subject->organisation),
                     *serial, *validity};
}

// ---- Verifying

absl::Status ChainFault(int error, int depth, const X509* certificate, const DecodedCa& ca,
                        absl::Time now) {
  std::string who =
      absl::StrCat("the certificate of ", QuotedCommonName(X509_get_subject_name(certificate)));
  std::optional<Validity> validity = ca.certificate.validity;
  if (depth == 0) {
    validity = ValidityOf(certificate);
  } else {
    who = "the enrolment CA's certificate";
  }
  if (error == X509_V_ERR_CERT_HAS_EXPIRED && validity) {
    return absl::FailedPreconditionError(absl::StrCat(who, " expired on ",
                                                      TimeText(validity->not_after),
                                                      "; the clock here says ", TimeText(now)));
  }
  if (error == X509_V_ERR_CERT_NOT_YET_VALID && validity) {
    return absl::FailedPreconditionError(absl::StrCat(who, " is valid only from ",
                                                      TimeText(validity->not_before),
                                                      "; the clock here says ", TimeText(now)));
  }
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return absl::PermissionDeniedError(absl::StrCat(
          who, " was issued by another CA, ", QuotedCommonName(X509_get_issuer_name(certificate)),
          ", not by the enrolment CA of ", ca.certificate.federation));
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::PermissionDeniedError(
          absl::StrCat(who, " was altered, or issued by another CA of the same name"));
    default:
      return absl::PermissionDeniedError(
          absl::StrCat(who, " cannot be verified: ", X509_verify_cert_error_string(error)));
  }
}

absl::StatusOr<Certificate> Verify(std::string_view der, std::string_view ca_der, absl::Time now) {
  DURE_ASSIGN_OR_RETURN(DecodedCa ca, DecodeCa(ca_der));
  DURE_ASSIGN_OR_RETURN(X509Ptr certificate, Decode(der));
  StorePtr store(X509_STORE_new());
  StoreContextPtr context(X509_STORE_CTX_new());
  DURE_CHECK(store != nullptr && context != nullptr &&
             X509_STORE_add_cert(store.get(), ca.native.get()) == 1 &&
             X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, absl::ToTimeT(now));
  X509_VERIFY_PARAM_set_depth(parameters, 0);  // no CA between the enrolment CA and the leaf
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  if (X509_verify_cert(context.get()) != 1) {
    return ChainFault(X509_STORE_CTX_get_error(context.get()),
                      X509_STORE_CTX_get_error_depth(context.get()), certificate.get(), ca, now);
  }
  return ReadLeaf(certificate.get());
}

absl::Status WrongKind(const Certificate& certificate, std::string_view wanted) {
  return absl::PermissionDeniedError(
      absl::StrCat("the certificate is that of the ", View(RoleName(certificate.role)), " ",
                   certificate.name, ", not that of ", View(wanted)));
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

absl::StatusOr<CaCertificate> ParseCaCertificate(std::string_view der) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(DecodedCa ca, DecodeCa(der));
  return std::move(ca.certificate);
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
  return ToDer<X509_REQ>(request.get(), i2d_X509_REQ);
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

absl::StatusOr<Certificate> VerifyCoordinatorCertificate(std::string_view der,
                                                         std::string_view ca_der, absl::Time now) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(Certificate certificate, Verify(der, ca_der, now));
  if (certificate.role != CertificateRole::kCoordinator) {
    return WrongKind(certificate, "the coordinator");
  }
  return certificate;
}

absl::StatusOr<Certificate> VerifyMemberCertificate(std::string_view der, std::string_view ca_der,
                                                    absl::Time now) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(Certificate certificate, Verify(der, ca_der, now));
  if (certificate.role == CertificateRole::kCoordinator) {
    return WrongKind(certificate, "a member");
  }
  return certificate;
}

absl::StatusOr<PublicKey> CertificateKey(std::string_view der) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(X509Ptr certificate, Decode(der));
  std::optional<PublicKey> key = Ed25519KeyOf(X509_get0_pubkey(certificate.get()));
  if (!key) return NotOurForm("its key is not Ed25519");
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
