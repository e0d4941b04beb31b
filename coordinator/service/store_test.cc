#include "coordinator/service/store.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

Digest Filled(uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_store_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    Reopen();
  }
  void Reopen() {
    store_.reset();
    auto store = Store::Open(folder_, Filled(1));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::Status InviteNamed(const std::string& name, uint8_t secret) {
    return store_->AddInvitation(
        {.secret_hash = Filled(secret), .name = name, .expires = kNow + absl::Hours(1)}, kNow);
  }
  RoundReleased Release(uint32_t round) {
    return {.round = RoundNumber(round),
            .attempt = AttemptNumber(round + 1),
            .cohort = 10,
            .survivors = 9,
            .epsilon = 0.5,
            .duration = absl::Seconds(2),
            .at = kNow,
            .model = "model " + std::to_string(round),
            .optimizer = "optimiser " + std::to_string(round)};
  }

  std::string folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AnInvitationWorksOnceAndUntilItExpires) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(store_->FindInvitation(Filled(3), kNow).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      std::string(store_->FindInvitation(Filled(2), kNow + absl::Hours(1)).status().message()),
      HasSubstr("expired"));
  MemberRecord member{.client_id = Filled(9), .name = "a", .certificate = "der"};
  ASSERT_TRUE(store_->Enrol(Filled(2), member, kNow).ok());
  absl::Status again = store_->Enrol(Filled(2), member, kNow);
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(again.message()), HasSubstr("used already"));
  Reopen();
  ASSERT_TRUE(store_->FindMember(Filled(9)).ok());
  EXPECT_EQ(store_->FindMember(Filled(9))->certificate, "der");
}

TEST_F(StoreTest, ThePortIsRemembered) {
  EXPECT_EQ(*store_->SavedPort(), 0);
  ASSERT_TRUE(store_->SavePort(40123).ok());
  Reopen();
  EXPECT_EQ(*store_->SavedPort(), 40123);
}

TEST_F(StoreTest, ANameIsGivenOnce) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(InviteNamed("a", 3).code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(StoreTest, ARevokedMemberStaysRevoked) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  ASSERT_TRUE(store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a"}, kNow).ok());
  EXPECT_EQ(store_->Revoke("b", kNow).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store_->Revoke("a", kNow), Filled(9));
  Reopen();
  EXPECT_TRUE(store_->FindMember(Filled(9))->revoked);
}

TEST_F(StoreTest, ARunIsReadBackAsItWasRecorded) {
  ASSERT_TRUE(
      store_->Record(AttemptBegun{.attempt = AttemptNumber(1), .round = RoundNumber(1), .at = kNow})
          .ok());
  ASSERT_TRUE(
      store_->Record(AttemptFailed{.attempt = AttemptNumber(1), .reason = "x", .at = kNow}).ok());
  for (uint32_t round = 1; round <= 4; ++round) {
    ASSERT_TRUE(
        store_
            ->Record(AttemptBegun{
                .attempt = AttemptNumber(round + 1), .round = RoundNumber(round), .at = kNow})
            .ok());
    ASSERT_TRUE(store_->Record(Release(round)).ok());
  }
  ASSERT_TRUE(store_
                  ->Record(EvaluationReceived{.round = RoundNumber(4),
                                              .evaluator = "e",
                                              .loss = 1,
                                              .accuracy = 0.5,
                                              .records = 7,
                                              .at = kNow})
                  .ok());
  Reopen();
  auto run = store_->LoadRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->round, RoundNumber(4));
  EXPECT_EQ(run->attempts, AttemptNumber(5));
  EXPECT_EQ(*run->model, "model 4");
  EXPECT_EQ(*run->optimizer, "optimiser 4");
  EXPECT_EQ(run->history.size(), 4u);
  EXPECT_EQ(run->history[0].survivors, 9u);
  ASSERT_EQ(run->evaluations.size(), 1u);
  EXPECT_EQ(run->evaluations[0].records, 7u);
  // Models of the last rounds only.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ + "/models"), {}), 4);
}

TEST_F(StoreTest, ADamagedModelIsNamed) {
  ASSERT_TRUE(store_->Record(AttemptBegun{.attempt = AttemptNumber(2), .at = kNow}).ok());
  ASSERT_TRUE(store_->Record(Release(1)).ok());
  std::string path = folder_ + "/models/" + ToHex(Sha256(AsBytes("model 1")));
  std::ofstream(path) << "model 2";
  absl::Status status = store_->LoadRun().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

TEST_F(StoreTest, OneProcessAtATime) {
  EXPECT_EQ(Store::Open(folder_, Filled(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Store::OpenForReading(folder_).ok());
}

TEST_F(StoreTest, TermsThatChangedAfterMembersAgreedAreRefused) {
  store_.reset();
  EXPECT_TRUE(Store::Open(folder_, Filled(2)).ok());  // nobody has agreed yet
  Reopen();
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  ASSERT_TRUE(store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a"}, kNow).ok());
  store_.reset();
  EXPECT_EQ(Store::Open(folder_, Filled(2)).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreTest, ADamagedDatabaseIsReported) {
  store_.reset();
  std::ofstream(folder_ + "/coordinator.db") << std::string(8192, 'x');
  EXPECT_EQ(Store::Open(folder_, Filled(1)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace dure
