#include "client/service/ledger_file.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class LedgerFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_ledger_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Scratch() {
    EXPECT_TRUE(LedgerFile::Create(folder_ + "/ledger").ok());
    return folder_ + "/ledger";
  }

  std::string folder_;
};

ChargeEntry Charge(uint32_t attempt) {
  return {.round = RoundNumber(1), .attempt = AttemptNumber(attempt)};
}

TEST_F(LedgerFileTest, WhatWasWrittenIsThereAfterARestart) {
  std::string path = Scratch();
  {
    auto file = LedgerFile::Open(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Append(Charge(1)).ok());
    ASSERT_TRUE(file->Append(Charge(5)).ok());
  }
  auto file = LedgerFile::Open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->ledger().charges(), 2u);
  EXPECT_EQ(file->ledger().last_attempt(), AttemptNumber(5));
  EXPECT_EQ(file->Append(Charge(5)).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LedgerFileTest, AMissingLedgerIsNotAnEmptyOne) {
  std::string path = Scratch();
  std::filesystem::remove(path);
  EXPECT_EQ(LedgerFile::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(LedgerFileTest, ALineThatWasBeingWrittenIsCutOff) {
  std::string path = Scratch();
  { ASSERT_TRUE(LedgerFile::Open(path)->Append(Charge(1)).ok()); }
  std::ofstream(path, std::ios::app) << EncodeLedgerEntry(Charge(2)).substr(0, 20);
  {
    auto file = LedgerFile::Open(path);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->ledger().charges(), 1u);
    ASSERT_TRUE(file->Append(Charge(3)).ok());
  }
  EXPECT_EQ(LedgerFile::Open(path)->ledger().charges(), 2u);
}

TEST_F(LedgerFileTest, ALedgerThatLostEntriesAtItsEndIsNoticed) {
  std::string path = Scratch();
  {
    auto file = LedgerFile::Open(path);
    for (uint32_t attempt = 1; attempt <= 3; ++attempt) {
      ASSERT_TRUE(file->Append(Charge(attempt)).ok());
    }
  }
  const uint64_t bytes = std::filesystem::file_size(path);
  for (uint64_t kept : {bytes - 1, bytes / 2, uint64_t{0}}) {
    std::filesystem::resize_file(path, kept);
    absl::Status status = LedgerFile::Open(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("entries of at least 3"));
  }
}

TEST_F(LedgerFileTest, ACountThatIsBehindIsBroughtUpToDate) {
  std::string path = Scratch();
  { ASSERT_TRUE(LedgerFile::Open(path)->Append(Charge(1)).ok()); }
  std::filesystem::remove(path + ".count");
  { ASSERT_TRUE(LedgerFile::Open(path)->Append(Charge(2)).ok()); }
  std::filesystem::resize_file(path, 0);
  EXPECT_THAT(std::string(LedgerFile::Open(path).status().message()),
              HasSubstr("0 entries of at least 2"));
  std::ofstream(path + ".count") << "many";
  EXPECT_EQ(LedgerFile::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(LedgerFileTest, ADamagedLineStopsParticipationAndIsNamed) {
  std::string path = Scratch();
  { ASSERT_TRUE(LedgerFile::Open(path)->Append(Charge(1)).ok()); }
  std::ofstream(path, std::ios::app) << "charge\n";
  absl::Status status = LedgerFile::Open(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path + ":2:"));
}

TEST_F(LedgerFileTest, AWriteThatFailsStopsParticipationForGood) {
  auto file = LedgerFile::Open(Scratch());
  ASSERT_TRUE(file.ok());
  // No file of this process may grow: what a full disk does.
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  EXPECT_FALSE(file->Append(Charge(1)).ok());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(file->Append(Charge(2)).ok());
}

}  // namespace
}  // namespace dure
