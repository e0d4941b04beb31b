#include "coordinator/service/registrar.h"

#include <filesystem>
#include <fstream>
#include <memory>

#include "coordinator/service/own_certificate.h"
#include "coordinator/service/signing_folder.h"
#include "coordinator/service/signing_request.h"
#include "crypto/pem_files.h"
#include "crypto/renewal.h"
#include "federation/spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kDay = absl::Hours(24);

class RegistrarTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_registrar_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    spec_ = ParseFederation(testing::DemoToml(), "demo.toml").value();
  }
  void TearDown() override {
    registrar_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  // With the CA's key here, or on "another machine", which is ca_key_.
  void Begin(bool key_here) {
    if (key_here) {
      ASSERT_TRUE(MakeFederationFolder(folder_, spec_, now_, random_).ok());
    } else {
      ca_ = MakeEnrolmentCa(ca_key_, spec_.federation().name(), {now_ - kDay, now_ + 3650 * kDay},
                            random_)
                .value();
      ASSERT_TRUE(MakeFederationFolderWithoutCaKey(folder_, spec_, ca_, now_, random_).ok());
      SignAll(2 * 365 * kDay);
    }
    federation_ = std::make_unique<FederationFolder>(ReadFederationFolder(folder_).value());
    store_ = Store::Open(folder_ + "/state", federation_->spec_digest).value();
    registrar_ = Registrar::Create(federation_.get(), store_.get(), &random_).value();
  }

  // What `dure sign` and `dure sign import` do.
  void SignAll(absl::Duration valid, absl::Time at) {
    const CertificateIssuer issuer = CertificateIssuer::Create(ca_, &ca_key_).value();
    std::filesystem::create_directories(SignedFolder(keys()));
    for (const WaitingRequest& waiting : ListWaiting(keys())) {
      const std::string der =
          SignRequest(issuer, waiting.request, {at - absl::Minutes(5), at + valid}, random_)
              .value();
      ASSERT_TRUE(WriteCertificateFile(
                      SignedFolder(keys()) + "/" + ToHex(waiting.request.key) + ".pem", der)
                      .ok());
    }
  }
  void SignAll(absl::Duration valid) { SignAll(valid, now_); }

  std::string keys() const { return FederationPrivateFolder(folder_); }

  EnrolRequest Invited(const std::string& name, const SigningKey& key) {
    const std::string secret(32, static_cast<char>(++invitations_));
    EXPECT_TRUE(store_
                    ->AddInvitation({.secret_hash = Sha256(AsBytes(secret)),
                                     .name = name,
                                     .organisation = "City Hospital",
                                     .role = MEMBER,
                                     .expires = now_ + kDay},
                                    now_)
                    .ok());
    EnrolRequest request;
    request.set_secret(secret);
    request.set_certificate_request(MakeCertificateRequest(key));
    request.set_spec_digest(ToString(federation_->spec_digest));
    return request;
  }
  Certificate Read(const std::string& der) {
    return VerifyCertificateAtAnyTime(der, federation_->ca_certificate).value();
  }
  RenewRequest RenewalOf(const SigningKey& key) {
    RenewRequest request;
    request.set_certificate_request(MakeCertificateRequest(key));
    return request;
  }

  SystemRandom random_;
  const absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const SigningKey ca_key_ = SigningKey::Generate(random_);
  std::string ca_, folder_;
  FederationSpec spec_;
  std::unique_ptr<FederationFolder> federation_;
  std::unique_ptr<Store> store_;
  std::optional<Registrar> registrar_;
  int invitations_ = 0;
};

TEST_F(RegistrarTest, SignsAtOnceWhereTheKeyIs) {
  Begin(true);
  EXPECT_TRUE(registrar_->signs());
  const SigningKey key = SigningKey::Generate(random_);
  const EnrolRequest request = Invited("clinic-1", key);
  const absl::StatusOr<EnrolReply> reply = registrar_->Enrol(request, now_);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(Read(reply->certificate()).name, "clinic-1");
  EXPECT_THAT(ListWaiting(keys()), IsEmpty());
  // The same key, whose answer was lost, gets the same certificate; another key gets nothing.
  const absl::StatusOr<EnrolReply> again = registrar_->Enrol(request, now_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->certificate(), reply->certificate());
  EnrolRequest thief = request;
  thief.set_certificate_request(MakeCertificateRequest(SigningKey::Generate(random_)));
  EXPECT_THAT(std::string(registrar_->Enrol(thief, now_).status().message()),
              HasSubstr("used already"));
}

TEST_F(RegistrarTest, AWrongSecretIsNotFoundWhateverElseIsWrong) {
  Begin(true);
  EnrolRequest request;
  request.set_secret(std::string(32, 'x'));
  EXPECT_EQ(registrar_->Enrol(request, now_).status().code(), absl::StatusCode::kNotFound);
  request.set_certificate_request("nonsense");
  EXPECT_EQ(registrar_->Enrol(request, now_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RegistrarTest, WaitsForASignatureFromAnotherMachine) {
  Begin(false);
  EXPECT_FALSE(registrar_->signs());
  const SigningKey key = SigningKey::Generate(random_);
  const EnrolRequest request = Invited("clinic-1", key);
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<EnrolReply> waits = registrar_->Enrol(request, now_);
    ASSERT_TRUE(waits.ok()) << waits.status();
    EXPECT_TRUE(waits->awaits_signature());
    EXPECT_EQ(waits->certificate(), "");
  }
  ASSERT_THAT(ListWaiting(keys()), SizeIs(1)) << "asking again is no second request";
  EXPECT_EQ(ListWaiting(keys())[0].request.organisation, "City Hospital");
  // The token is bound to the key that asked first.
  EnrolRequest other = request;
  other.set_certificate_request(MakeCertificateRequest(SigningKey::Generate(random_)));
  EXPECT_EQ(registrar_->Enrol(other, now_).status().code(), absl::StatusCode::kFailedPrecondition);
  // The organiser signs after the invitation has expired: who asked in time comes in.
  const absl::Time later = now_ + 3 * kDay;
  SignAll(365 * kDay, later);
  const absl::StatusOr<EnrolReply> reply = registrar_->Enrol(request, later);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(Read(reply->certificate()).key, key.public_key());
  EXPECT_THAT(ListWaiting(keys()), IsEmpty());
  EXPECT_THAT(store_->Members().value(), SizeIs(1));
}

TEST_F(RegistrarTest, ACertificateThatSaysSomethingElseIsNotUsed) {
  Begin(false);
  const SigningKey key = SigningKey::Generate(random_);
  const EnrolRequest request = Invited("clinic-1", key);
  ASSERT_TRUE(registrar_->Enrol(request, now_).ok());
  const CertificateIssuer issuer = CertificateIssuer::Create(ca_, &ca_key_).value();
  const std::string other =
      issuer
          .IssueMember({CertificateRole::kEvaluator, "clinic-1", "City Hospital"}, key.public_key(),
                       {now_ - kDay, now_ + kDay}, random_)
          .value();
  ASSERT_TRUE(WriteCertificateFile(SignedFolder(keys()) + "/x.pem", other).ok());
  EXPECT_TRUE(registrar_->Enrol(request, now_)->awaits_signature());
  // Files that are no certificates, and those of strangers, change nothing.
  std::ofstream(SignedFolder(keys()) + "/y.pem") << "nonsense";
  EXPECT_TRUE(registrar_->Enrol(request, now_)->awaits_signature());
}

TEST_F(RegistrarTest, WhoWasRevokedWhileWaitingStaysOut) {
  Begin(false);
  const EnrolRequest request = Invited("clinic-1", SigningKey::Generate(random_));
  ASSERT_TRUE(registrar_->Enrol(request, now_).ok());
  EXPECT_EQ(WithdrawWaiting(keys(), "clinic-1"), 1u);
  ASSERT_TRUE(store_->Revoke("clinic-1", now_).ok());
  EXPECT_THAT(std::string(registrar_->Enrol(request, now_).status().message()),
              HasSubstr("withdrawn"));
  EXPECT_THAT(ListWaiting(keys()), IsEmpty());
}

TEST_F(RegistrarTest, RenewsInTheLastThird) {
  Begin(true);
  const SigningKey key = SigningKey::Generate(random_);
  const std::string first = registrar_->Enrol(Invited("clinic-1", key), now_)->certificate();
  const auto renew = [&](absl::Time at) {
    const MemberRecord member = store_->Members().value()[0];
    return registrar_->Renew(RenewalOf(key), Read(member.certificate), member, at);
  };
  EXPECT_EQ(renew(now_ + 200 * kDay)->certificate(), first) << "there is time";
  const absl::Time due = now_ + 250 * kDay;
  ASSERT_TRUE(RenewalDue(Read(first).validity, due));
  const std::string second = renew(due)->certificate();
  EXPECT_NE(second, first);
  EXPECT_EQ(Read(second).key, key.public_key());
  EXPECT_GT(Read(second).validity.not_after, due + 360 * kDay);
  EXPECT_EQ(store_->Members().value()[0].certificate, second);
  EXPECT_EQ(renew(due)->certificate(), second) << "an answer that was lost comes again";
  const MemberRecord member = store_->Members().value()[0];
  EXPECT_EQ(registrar_->Renew(RenewalOf(SigningKey::Generate(random_)), Read(second), member, due)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument)
      << "another key needs an invitation";
}

TEST_F(RegistrarTest, ARenewalWaitsForASignatureToo) {
  Begin(false);
  const SigningKey key = SigningKey::Generate(random_);
  const EnrolRequest request = Invited("clinic-1", key);
  ASSERT_TRUE(registrar_->Enrol(request, now_).ok());
  SignAll(30 * kDay);
  const std::string first = registrar_->Enrol(request, now_)->certificate();
  const absl::Time due = now_ + 25 * kDay;
  const auto renew = [&] {
    const MemberRecord member = store_->Members().value()[0];
    return registrar_->Renew(RenewalOf(key), Read(first), member, due).value();
  };
  EXPECT_TRUE(renew().awaits_signature());
  EXPECT_TRUE(renew().awaits_signature());
  ASSERT_THAT(ListWaiting(keys()), SizeIs(1));
  SignAll(365 * kDay, due);
  EXPECT_GT(Read(renew().certificate()).validity.not_after, due + 360 * kDay);
  EXPECT_THAT(ListWaiting(keys()), IsEmpty());
}

TEST_F(RegistrarTest, TheCoordinatorRenewsItsOwnCertificate) {
  Begin(true);
  EXPECT_FALSE(LookAfterCertificate(*federation_, now_ + 400 * kDay, random_)->newer);
  const absl::Time due = now_ + 600 * kDay;
  const CertificateLook look = LookAfterCertificate(*federation_, due, random_).value();
  ASSERT_TRUE(look.newer);
  EXPECT_EQ(Read(*look.newer).key, federation_->key.public_key());
  EXPECT_EQ(ReadCertificateFile(keys() + "/coordinator.pem").value(), *look.newer);
  federation_->certificate = *look.newer;
  EXPECT_FALSE(LookAfterCertificate(*federation_, due, random_)->newer);
}

TEST_F(RegistrarTest, WithoutTheKeyItAsksAndSaysSo) {
  Begin(false);
  EXPECT_THAT(ListWaiting(keys()), IsEmpty()) << "the first one was taken";
  const absl::Time due = now_ + 700 * kDay;
  CertificateLook look = LookAfterCertificate(*federation_, due, random_).value();
  EXPECT_FALSE(look.newer);
  EXPECT_THAT(look.warnings, ElementsAre(HasSubstr("certificate ends")));
  ASSERT_THAT(ListWaiting(keys()), SizeIs(1));
  SignAll(730 * kDay, due);
  look = LookAfterCertificate(*federation_, due, random_).value();
  ASSERT_TRUE(look.newer);
  EXPECT_THAT(ListWaiting(keys()), IsEmpty());
}

TEST_F(RegistrarTest, TheEndOfTheCaIsToldAYearBefore) {
  Begin(true);
  EXPECT_THAT(CertificateWarnings(*federation_, now_), IsEmpty());
  EXPECT_THAT(CertificateWarnings(*federation_, now_ + 3300 * kDay),
              ::testing::Contains(HasSubstr("enrolment CA ends")));
}

TEST_F(RegistrarTest, AFolderWithoutACertificateSaysWhatToSign) {
  ca_ = MakeEnrolmentCa(ca_key_, spec_.federation().name(), {now_, now_ + kDay}, random_).value();
  ASSERT_TRUE(MakeFederationFolderWithoutCaKey(folder_, spec_, ca_, now_, random_).ok());
  const absl::Status status = ReadFederationFolder(folder_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(".request with `dure sign`"));
  const std::string other =
      MakeEnrolmentCa(ca_key_, "another", {now_, now_ + kDay}, random_).value();
  EXPECT_EQ(
      MakeFederationFolderWithoutCaKey(folder_ + "2", spec_, other, now_, random_).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_F(RegistrarTest, RequestsThatAreNone) {
  const SigningKey key = SigningKey::Generate(random_);
  SigningRequest request{.ca_fingerprint = CertificateFingerprint("x"),
                         .role = CertificateRole::kMember,
                         .name = "clinic-1",
                         .certificate_request = MakeCertificateRequest(key),
                         .key = key.public_key(),
                         .asked = now_};
  const std::string good = EncodeSigningRequest(request);
  const absl::StatusOr<SigningRequest> read = DecodeSigningRequest(good);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->key, key.public_key());
  EXPECT_EQ(read->asked, now_);
  request.name = "coordinator";
  request.role = CertificateRole::kCoordinator;
  request.organisation = "Acme";
  EXPECT_FALSE(DecodeSigningRequest(EncodeSigningRequest(request)).ok());
  request.organisation = "";
  EXPECT_TRUE(DecodeSigningRequest(EncodeSigningRequest(request)).ok());
  request.certificate_request[40] ^= 1;
  EXPECT_FALSE(DecodeSigningRequest(EncodeSigningRequest(request)).ok());
  for (const char* text : {"", "{}", "[]", "null", "{\"dure\":\"certificate request 2\"}"}) {
    EXPECT_EQ(DecodeSigningRequest(text).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(DecodeSigningRequest(std::string(kMaxSigningRequestBytes + 1, ' ')).ok());
}

}  // namespace
}  // namespace dure
