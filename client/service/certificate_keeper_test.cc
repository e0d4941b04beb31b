#include "client/service/certificate_keeper.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "crypto/pem_files.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

class CertificateKeeperTest : public ::testing::Test {
 protected:
  CertificateKeeperTest() : node_{.key = SigningKey::Generate(random_)} {
    node_.folder = ::testing::TempDir() + "/dure_keeper_" +
                   ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(node_.folder);
    node_.ca_certificate =
        MakeEnrolmentCa(ca_key_, "clinics", {now_ - kDay, now_ + 3650 * kDay}, random_).value();
    node_.certificate = Issue(node_.key, "clinic-1", now_ + 90 * kDay);
  }
  ~CertificateKeeperTest() override { std::filesystem::remove_all(node_.folder); }

  std::string Issue(const SigningKey& key, const std::string& name, absl::Time ends) {
    return CertificateIssuer::Create(node_.ca_certificate, &ca_key_)
        .value()
        .IssueMember({CertificateRole::kMember, name, ""}, key.public_key(), {now_ - kDay, ends},
                     random_)
        .value();
  }
  absl::StatusOr<RenewalAnswer> Take(const std::string& certificate) {
    RenewReply reply;
    reply.set_certificate(certificate);
    return TakeRenewal({node_.folder, node_.certificate, node_.ca_certificate}, reply, now_);
  }

  SystemRandom random_;
  const absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const SigningKey ca_key_ = SigningKey::Generate(random_);
  Node node_;
};

TEST_F(CertificateKeeperTest, TakesOnlyANewerOneOfItsOwn) {
  const std::string newer = Issue(node_.key, "clinic-1", now_ + 365 * kDay);
  const absl::StatusOr<RenewalAnswer> taken = Take(newer);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->certificate, newer);
  EXPECT_EQ(ReadCertificateFile(MemberCertificatePath(node_.folder)).value(), newer);
  EXPECT_FALSE(Take(node_.certificate)->certificate) << "the one that it has";
  for (const std::string& wrong :
       {Issue(node_.key, "clinic-1", now_ + 10 * kDay),
        Issue(node_.key, "clinic-2", now_ + 99 * kDay),
        Issue(SigningKey::Generate(random_), "clinic-1", now_ + 99 * kDay),
        std::string("nonsense")}) {
    EXPECT_FALSE(Take(wrong).ok());
  }
}

TEST_F(CertificateKeeperTest, AsksWhenItIsTimeAndNotTwiceAtOnce) {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<absl::StatusOr<RenewalAnswer>> answers;
  int asked = 0;
  RenewReply reply;
  reply.set_awaits_signature(true);
  CertificateKeeper keeper(
      [&](absl::StatusOr<RenewalAnswer> answer) {
        std::lock_guard lock(mutex);
        answers.push_back(std::move(answer));
        came.notify_all();
      },
      [&](const FetchSource& source, const RenewRequest& request) -> absl::StatusOr<RenewReply> {
        EXPECT_EQ(ParseCertificateRequest(request.certificate_request()).value(),
                  node_.key.public_key());
        EXPECT_FALSE(source.certificate_pem.empty());
        std::lock_guard lock(mutex);
        ++asked;
        return reply;
      });
  const auto await = [&](size_t count) {
    std::unique_lock lock(mutex);
    came.wait(lock, [&] { return answers.size() == count; });
    return answers.back();
  };
  keeper.Look(node_, now_);  // two thirds are left
  const absl::Time due = now_ + 70 * kDay;
  keeper.Look(node_, due);
  keeper.Look(node_, due);
  const absl::StatusOr<RenewalAnswer> first = await(1);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->awaits_signature);
  EXPECT_EQ(asked, 1);
  keeper.Answered(first);
  keeper.Look(node_, due + CertificateKeeper::kFirstPause / 2);  // not yet again
  keeper.Look(node_, due + CertificateKeeper::kFirstPause);
  EXPECT_TRUE(await(2).ok());
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace dure
