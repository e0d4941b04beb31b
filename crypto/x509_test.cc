#include "crypto/x509.h"

#include <openssl/err.h>

#include <array>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1800000000);
const Validity kYear = {kNow - absl::Minutes(5), kNow + absl::Hours(24 * 365)};
const Validity kTenYears = {kNow - absl::Hours(1), kNow + absl::Hours(24 * 3650)};

SigningKey KeyFromByte(uint8_t byte) {
  std::array<uint8_t, 32> seed;
  seed.fill(byte);
  return SigningKey::FromSeed(seed);
}

// A CA with the key KeyFromByte(`byte`).
struct Ca {
  explicit Ca(uint8_t byte, std::string name = "fashion", Validity validity = kTenYears)
      : key(KeyFromByte(byte)),
        der(MakeEnrolmentCa(key, name, validity, random).value()),
        issuer(CertificateIssuer::Create(der, &key).value()) {}

  std::string Member(std::string name, std::string organisation = "Clinic", uint8_t byte = 7,
                     Validity validity = kYear, CertificateRole role = CertificateRole::kMember) {
    return issuer
        .IssueMember({role, std::move(name), std::move(organisation)},
                     KeyFromByte(byte).public_key(), validity, random)
        .value();
  }
  std::string Coordinator(Validity validity = kYear) {
    return issuer.IssueCoordinator(KeyFromByte(8).public_key(), validity, random).value();
  }

  SystemRandom random;
  SigningKey key;
  std::string der;
  CertificateIssuer issuer;
};

void ExpectFault(const absl::Status& status, absl::StatusCode code, const std::string& words) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(X509Test, AMembersCertificateSaysWhatTheIssuerWrote) {
  Ca ca(1);
  std::string der = ca.Member("clinic-3", "서울 병원");
  auto certificate = VerifyMemberCertificate(der, ca.der, kNow);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->key, KeyFromByte(7).public_key());
  EXPECT_EQ(certificate->role, CertificateRole::kMember);
  EXPECT_EQ(certificate->name, "clinic-3");
  EXPECT_EQ(certificate->organisation, "서울 병원");
  EXPECT_EQ(certificate->serial.size(), 32u);
  EXPECT_EQ(certificate->validity.not_before, kYear.not_before);
  EXPECT_EQ(certificate->validity.not_after, kYear.not_after);
  auto again = VerifyMemberCertificate(ca.Member("clinic-3"), ca.der, kNow);
  ASSERT_TRUE(again.ok());
  EXPECT_NE(again->serial, certificate->serial);
}

TEST(X509Test, AnEvaluatorIsAMemberOfAnotherRoleAndAnEmptyOrganisationIsLeftOut) {
  Ca ca(1);
  std::string der = ca.Member("judge", "", 7, kYear, CertificateRole::kEvaluator);
  auto certificate = VerifyMemberCertificate(der, ca.der, kNow);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->role, CertificateRole::kEvaluator);
  EXPECT_EQ(certificate->name, "judge");
  EXPECT_EQ(certificate->organisation, "");
}

TEST(X509Test, TheCoordinatorsCertificateVerifiesAsSuch) {
  Ca ca(1);
  auto certificate = VerifyCoordinatorCertificate(ca.Coordinator(), ca.der, kNow);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->role, CertificateRole::kCoordinator);
  EXPECT_EQ(certificate->name, "coordinator");
}

TEST(X509Test, NoKindIsAcceptedAsAnother) {
  Ca ca(1);
  for (const char* name : {"clinic-3", "coordinator"}) {
    ExpectFault(VerifyCoordinatorCertificate(ca.Member(name), ca.der, kNow).status(),
                absl::StatusCode::kPermissionDenied, "not that of the coordinator");
  }
  ExpectFault(VerifyMemberCertificate(ca.Coordinator(), ca.der, kNow).status(),
              absl::StatusCode::kPermissionDenied, "not that of a member");
  EXPECT_FALSE(VerifyMemberCertificate(ca.der, ca.der, kNow).ok());
  EXPECT_FALSE(VerifyCoordinatorCertificate(ca.der, ca.der, kNow).ok());
  ExpectFault(ParseCaCertificate(ca.Member("clinic-3")).status(),
              absl::StatusCode::kInvalidArgument, "enrolment CA");
  ExpectFault(VerifyMemberCertificate(ca.Member("a"), ca.Member("b"), kNow).status(),
              absl::StatusCode::kInvalidArgument, "enrolment CA");
}

TEST(X509Test, AMemberIsNoCa) {
  Ca ca(1);
  SigningKey member_key = KeyFromByte(7);
  ExpectFault(CertificateIssuer::Create(ca.Member("clinic-3"), &member_key).status(),
              absl::StatusCode::kInvalidArgument, "enrolment CA");
}

TEST(X509Test, AnotherCaIsNamed) {
  Ca ours(1);
  Ca other(2, "weather");
  ExpectFault(VerifyMemberCertificate(other.Member("clinic-3"), ours.der, kNow).status(),
              absl::StatusCode::kPermissionDenied,
              "issued by another CA, \"dure enrolment CA of weather\"");
  Ca namesake(3);
  ExpectFault(VerifyMemberCertificate(namesake.Member("clinic-3"), ours.der, kNow).status(),
              absl::StatusCode::kPermissionDenied, "issued by another CA");
}

TEST(X509Test, AnAlteredCertificateIsRefused) {
  Ca ca(1);
  std::string der = ca.Member("clinic-3");
  std::string renamed = der;
  renamed.replace(renamed.find("clinic-3"), 8, "clinic-4");
  ExpectFault(VerifyMemberCertificate(renamed, ca.der, kNow).status(),
              absl::StatusCode::kPermissionDenied, "altered");
  for (size_t i = 0; i < der.size(); ++i) {
    std::string changed = der;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(VerifyMemberCertificate(changed, ca.der, kNow).ok()) << i;
  }
}

TEST(X509Test, ValidityIsJudgedAtTheTimeGiven) {
  Ca ca(1);
  std::string der = ca.Member("clinic-3");
  EXPECT_TRUE(VerifyMemberCertificate(der, ca.der, kYear.not_before).ok());
  EXPECT_TRUE(VerifyMemberCertificate(der, ca.der, kYear.not_after - absl::Seconds(1)).ok());
  ExpectFault(VerifyMemberCertificate(der, ca.der, kYear.not_after + absl::Seconds(1)).status(),
              absl::StatusCode::kFailedPrecondition,
              "the certificate of \"member/clinic-3\" is not valid at this machine's time of "
              "2028-01-15 08:00:01 UTC: it expired on 2028-01-15 08:00:00 UTC; check the clock");
  ExpectFault(VerifyMemberCertificate(der, ca.der, kYear.not_before - absl::Seconds(1)).status(),
              absl::StatusCode::kFailedPrecondition, "valid only from 2027-01-15 07:55:00 UTC");
}

TEST(X509Test, ACertificateEndsWithItsCa) {
  Validity day = {kNow - absl::Hours(1), kNow + absl::Hours(24)};
  Ca ca(1, "fashion", day);
  auto certificate = VerifyMemberCertificate(ca.Member("clinic-3"), ca.der, kNow);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->validity.not_after, day.not_after);
  ExpectFault(VerifyMemberCertificate(ca.Member("a"), ca.der, kNow + absl::Hours(25)).status(),
              absl::StatusCode::kFailedPrecondition, "expired");
  Validity later = {kNow + absl::Hours(48), kNow + absl::Hours(72)};
  ExpectFault(ca.issuer
                  .IssueMember({CertificateRole::kMember, "a"}, KeyFromByte(7).public_key(), later,
                               ca.random)
                  .status(),
              absl::StatusCode::kInvalidArgument, "cannot hold");
}

TEST(X509Test, TheCaSaysForWhichFederation) {
  SystemRandom random;
  std::string longest(kMaxOrganisationBytes, 'f');
  for (const std::string& name : {std::string("fashion"), longest}) {
    auto der = MakeEnrolmentCa(KeyFromByte(1), name, kTenYears, random);
    ASSERT_TRUE(der.ok()) << der.status();
    auto ca = ParseCaCertificate(*der);
    ASSERT_TRUE(ca.ok()) << ca.status();
    EXPECT_EQ(ca->federation, name);
    EXPECT_EQ(ca->key, KeyFromByte(1).public_key());
    EXPECT_EQ(ca->validity.not_after, kTenYears.not_after);
  }
  for (const std::string& name : {std::string(), longest + "f", std::string("a\nb")}) {
    EXPECT_EQ(MakeEnrolmentCa(KeyFromByte(1), name, kTenYears, random).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(X509Test, ADamagedCaIsNoticed) {
  Ca ca(1);
  std::string damaged = ca.der;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  ExpectFault(ParseCaCertificate(damaged).status(), absl::StatusCode::kInvalidArgument, "damaged");
  EXPECT_EQ(VerifyMemberCertificate(ca.Member("a"), damaged, kNow).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(X509Test, AnIssuerNeedsTheKeyOfItsCa) {
  Ca ca(1);
  SigningKey other = KeyFromByte(2);
  ExpectFault(CertificateIssuer::Create(ca.der, &other).status(),
              absl::StatusCode::kInvalidArgument, "not the one of the enrolment CA");
}

TEST(X509Test, SubjectsThatDoNotFitAreRefused) {
  Ca ca(1);
  auto issue = [&](std::string name, std::string organisation) {
    return ca.issuer
        .IssueMember({CertificateRole::kMember, std::move(name), std::move(organisation)},
                     KeyFromByte(7).public_key(), kYear, ca.random)
        .status();
  };
  std::string longest(kMaxMemberNameBytes, 'n');
  EXPECT_TRUE(issue(longest, std::string(kMaxOrganisationBytes, 'o')).ok());
  for (const std::string& name :
       {std::string(), longest + "n", std::string("a/b"), std::string("a b"), std::string("ä"),
        std::string("a\0b", 3), std::string("CN=x,O=y")}) {
    EXPECT_EQ(issue(name, "").code(), absl::StatusCode::kInvalidArgument) << name;
  }
  ExpectFault(issue("a", std::string(kMaxOrganisationBytes + 1, 'o')),
              absl::StatusCode::kInvalidArgument, "65 bytes, limit 64");
  ExpectFault(issue("a", "two\nlines"), absl::StatusCode::kInvalidArgument, "control");
  ExpectFault(issue("a", "next line \xc2\x85"), absl::StatusCode::kInvalidArgument, "control");
  ExpectFault(issue("a", "\xff\xfe"), absl::StatusCode::kInvalidArgument, "UTF-8");
}

TEST(X509Test, TimesThatDoNotFitAreRefused) {
  Ca ca(1);
  for (Validity validity : {Validity{kNow, kNow - absl::Seconds(1)},
                            Validity{absl::InfiniteFuture(), absl::InfiniteFuture()}}) {
    EXPECT_EQ(ca.issuer.IssueCoordinator(KeyFromByte(8).public_key(), validity, ca.random)
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(X509Test, ARequestCarriesItsKeyAndIsSignedWithIt) {
  std::string request = MakeCertificateRequest(KeyFromByte(7));
  auto key = ParseCertificateRequest(request);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(*key, KeyFromByte(7).public_key());
  std::string changed = request;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  ExpectFault(ParseCertificateRequest(changed).status(), absl::StatusCode::kInvalidArgument,
              "did not sign");
  ExpectFault(ParseCertificateRequest(request + "x").status(), absl::StatusCode::kInvalidArgument,
              "not a certificate request");
}

TEST(X509Test, BytesBeyondTheLimitAreNotLookedAt) {
  Ca ca(1);
  for (const std::string& bytes : {std::string(), std::string(kMaxCertificateBytes + 1, '0')}) {
    ExpectFault(VerifyMemberCertificate(bytes, ca.der, kNow).status(),
                absl::StatusCode::kInvalidArgument, "limit");
    ExpectFault(ParseCertificateRequest(bytes).status(), absl::StatusCode::kInvalidArgument,
                "limit");
    ExpectFault(ParseCaCertificate(bytes).status(), absl::StatusCode::kInvalidArgument, "limit");
  }
  ExpectFault(CertificateFromPem(std::string(2 * kMaxCertificateBytes + 1, 'x')).status(),
              absl::StatusCode::kInvalidArgument, "limit");
}

TEST(X509Test, BytesAfterTheCertificateAreRefused) {
  Ca ca(1);
  ExpectFault(VerifyMemberCertificate(ca.Member("a") + "x", ca.der, kNow).status(),
              absl::StatusCode::kInvalidArgument, "not a certificate");
}

TEST(X509Test, PemGoesThereAndBack) {
  Ca ca(1);
  std::string pem = CertificateToPem(ca.der);
  EXPECT_THAT(pem, ::testing::StartsWith("-----BEGIN CERTIFICATE-----\n"));
  auto der = CertificateFromPem("some words\n" + pem);
  ASSERT_TRUE(der.ok()) << der.status();
  EXPECT_EQ(*der, ca.der);
  ExpectFault(CertificateFromPem(pem + pem).status(), absl::StatusCode::kInvalidArgument,
              "more than one");
  ExpectFault(CertificateFromPem("no PEM").status(), absl::StatusCode::kInvalidArgument,
              "no certificate");
  EXPECT_FALSE(CertificateFromPem(std::string_view()).ok());
  SecretBytes key = ca.key.ToPem();
  EXPECT_FALSE(CertificateFromPem(ToString(key.view())).ok());
}

TEST(X509Test, AFingerprintIsSha256InPairs) {
  // SHA-256 of "abc" (FIPS 180-4).
  EXPECT_EQ(CertificateFingerprint("abc"),
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:"
            "B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD");
}

TEST(X509Test, FaultsLeaveNothingInTheErrorQueueOfOpenSsl) {
  Ca ca(1);
  ERR_clear_error();
  EXPECT_FALSE(VerifyMemberCertificate("x", ca.der, kNow).ok());
  EXPECT_FALSE(VerifyMemberCertificate(Ca(2).Member("a"), ca.der, kNow).ok());
  EXPECT_FALSE(ParseCertificateRequest("x").ok());
  EXPECT_FALSE(CertificateFromPem("x").ok());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace dure
