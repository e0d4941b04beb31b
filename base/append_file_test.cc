#include "base/append_file.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class AppendFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/dure_append_file_test_" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  std::string path_;
};

TEST_F(AppendFileTest, Grows) {
  absl::StatusOr<AppendFile> file = AppendFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("one\n").ok());
  EXPECT_EQ(*ReadFile(path_, 100), "one\n");
  ASSERT_TRUE(file->Append("two\n").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(*ReadFile(path_, 100), "one\ntwo\n");
  EXPECT_EQ(file->size(), 8u);
}

TEST_F(AppendFileTest, WhatIsThereIsNotOverwritten) {
  ASSERT_TRUE(AppendFile::Create(path_).ok());
  EXPECT_EQ(AppendFile::Create(path_).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(AppendFileTest, GoesOnFromWhereItIsTold) {
  ASSERT_TRUE(AppendFile::Create(path_)->Append("one\ntwo\n").ok());
  absl::StatusOr<AppendFile> file = AppendFile::Reopen(path_, 4);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("2\n").ok());
  EXPECT_EQ(*ReadFile(path_, 100), "one\n2\n");
  EXPECT_EQ(AppendFile::Reopen(path_, 7).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(AppendFile::Reopen(path_ + "x", 0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AppendFileTest, ARecordThatDoesNotFitIsTakenBack) {
  absl::StatusOr<AppendFile> file = AppendFile::Create(path_);
  ASSERT_TRUE(file->Append("one\n").ok());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit six = {6, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &six), 0);
  const absl::Status status = file->Append("two\n");
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write " + path_));
  ASSERT_TRUE(file->Append("2\n").ok());
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(*ReadFile(path_, 100), "one\n2\n");
}

}  // namespace
}  // namespace dure
