#include "coordinator/service/log_check.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "coordinator/service/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameBytes = 24 + 4096;

// A log as SQLite writes it: the tables, then one transaction for each invitation.
class LogCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_log_check_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    auto store = Store::Open(folder_ + "/state", Digest{});
    ASSERT_TRUE(store.ok()) << store.status();
    const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
    for (uint8_t i = 1; i <= 5; ++i) {
      Digest secret;
      secret.fill(i);
      ASSERT_TRUE((*store)
                      ->AddInvitation({.secret_hash = secret,
                                       .name = std::string(1, static_cast<char>('a' + i)),
                                       .expires = now + absl::Hours(1)},
                                      now)
                      .ok());
    }
    std::ifstream file(folder_ + "/state/coordinator.db-wal", std::ios::binary);
    log_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_GT(log_.size(), kHeaderBytes + 6 * kFrameBytes);
    frames_ = (log_.size() - kHeaderBytes) / kFrameBytes;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Damage(size_t at) { log_[at] = static_cast<char>(log_[at] ^ 0x40); }
  void DamageFrame(size_t frame) { Damage(kHeaderBytes + frame * kFrameBytes + 100); }

  std::string folder_;
  std::string log_;
  size_t frames_ = 0;
};

TEST_F(LogCheckTest, ALogAsItWasWrittenIsInOrder) {
  EXPECT_TRUE(CheckLogBytes(log_).ok()) << CheckLogBytes(log_);
}

TEST_F(LogCheckTest, NoLogAndAnEmptyOneAreInOrder) {
  EXPECT_TRUE(CheckLogBytes("").ok());
  EXPECT_TRUE(CheckLogBytes(std::string(100, '\0')).ok());
  EXPECT_TRUE(CheckLogFile(folder_ + "/none").ok());
}

TEST_F(LogCheckTest, ALogCutOffAnywhereIsInOrder) {
  for (size_t size = 0; size < log_.size(); size += 997) {
    EXPECT_TRUE(CheckLogBytes(log_.substr(0, size)).ok()) << size;
  }
}

TEST_F(LogCheckTest, TheLastTransactionMayBeTorn) {
  DamageFrame(frames_ - 1);
  EXPECT_TRUE(CheckLogBytes(log_).ok());
}

TEST_F(LogCheckTest, TransactionsBehindDamageAreLost) {
  DamageFrame(1);
  absl::Status status = CheckLogBytes(log_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("transactions follow a part"));
}

TEST_F(LogCheckTest, ADamagedHeaderHidesTheWholeLog) {
  for (size_t at = 0; at < kHeaderBytes; at += 3) {
    Damage(at);
    EXPECT_EQ(CheckLogBytes(log_).code(), absl::StatusCode::kDataLoss) << at;
    Damage(at);
  }
}

TEST_F(LogCheckTest, FramesFromBeforeTheLogBeganAgainDoNotCount) {
  // Their first salt differs.
  for (size_t frame = 1; frame < frames_; ++frame) {
    Damage(kHeaderBytes + frame * kFrameBytes + 8);
  }
  EXPECT_TRUE(CheckLogBytes(log_).ok());
}

TEST_F(LogCheckTest, TheFileAndTheRemedyAreNamed) {
  DamageFrame(0);
  const std::string path = folder_ + "/log";
  std::ofstream(path, std::ios::binary) << log_;
  absl::Status status = CheckLogFile(path);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  EXPECT_THAT(std::string(status.message()), HasSubstr("restore the folder from a backup"));
}

}  // namespace
}  // namespace dure
