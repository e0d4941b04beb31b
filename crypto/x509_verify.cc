// Reading and verifying certificates.
#include <openssl/bn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/x509.h"
#include "crypto/x509_native.h"

namespace dure {
namespace {

using namespace x509_internal;  // NOLINT: the other half of this file

struct FreeBn {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
struct FreeStore {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};
struct FreeStoreContext {
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
};

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
  std::unique_ptr<BIGNUM, FreeBn> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
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
              (X509_get_key_usage(ca) & KU_KEY_CERT_SIGN) != 0 &&
              X509_get0_subject_key_id(ca) != nullptr && !name->organisation.empty() &&
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

absl::Status ChainFault(int error, int depth, const X509* certificate, const DecodedCa& ca,
                        std::optional<absl::Time> now) {
  std::string who =
      absl::StrCat("the certificate of ", QuotedCommonName(X509_get_subject_name(certificate)));
  std::optional<Validity> validity = ca.certificate.validity;
  if (depth == 0) {
    validity = ValidityOf(certificate);
  } else {
    who = "the enrolment CA's certificate";
  }
  if (validity && now &&
      (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID)) {
    const bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED;
    return absl::FailedPreconditionError(absl::StrCat(
        who, " is not valid at this machine's time of ", TimeText(*now),
        expired ? ": it expired on " : ": it is valid only from ",
        TimeText(expired ? validity->not_after : validity->not_before), "; check the clock"));
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

// Without `now`, certificates that have ended or not begun hold too.
absl::StatusOr<Certificate> Verify(std::string_view der, std::string_view ca_der,
                                   std::optional<absl::Time> now) {
  DURE_ASSIGN_OR_RETURN(DecodedCa ca, DecodeCa(ca_der));
  DURE_ASSIGN_OR_RETURN(X509Ptr certificate, Decode(der));
  std::unique_ptr<X509_STORE, FreeStore> store(X509_STORE_new());
  std::unique_ptr<X509_STORE_CTX, FreeStoreContext> context(X509_STORE_CTX_new());
  DURE_CHECK(store != nullptr && context != nullptr &&
             X509_STORE_add_cert(store.get(), ca.native.get()) == 1 &&
             X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  if (now) X509_VERIFY_PARAM_set_time(parameters, absl::ToTimeT(*now));
  X509_VERIFY_PARAM_set_depth(parameters, 0);  // no CA between the enrolment CA and the leaf
  X509_VERIFY_PARAM_set_flags(parameters,
                              X509_V_FLAG_X509_STRICT | (now ? 0 : X509_V_FLAG_NO_CHECK_TIME));
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

absl::StatusOr<CaCertificate> ParseCaCertificate(std::string_view der) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(DecodedCa ca, DecodeCa(der));
  return std::move(ca.certificate);
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

absl::StatusOr<Certificate> VerifyCertificateAtAnyTime(std::string_view der,
                                                       std::string_view ca_der) {
  ErrorScope errors;
  return Verify(der, ca_der, std::nullopt);
}

absl::StatusOr<PublicKey> CertificateKey(std::string_view der) {
  ErrorScope errors;
  DURE_ASSIGN_OR_RETURN(X509Ptr certificate, Decode(der));
  std::optional<PublicKey> key = Ed25519KeyOf(X509_get0_pubkey(certificate.get()));
  if (!key) return NotOurForm("its key is not Ed25519");
  return *key;
}

}  // namespace dure
