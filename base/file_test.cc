#include "base/file.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_file_test_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Scratch(const std::string& name) { return folder_ + "/" + name; }

  std::string folder_;
};

TEST_F(FileTest, WhatIsWrittenIsRead) {
  std::string path = Scratch("a");
  ASSERT_TRUE(WriteFileAtomic(path, "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomic(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path, 3), "two");
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FileTest, AFileAboveItsLimitIsRefusedWithTheLimit) {
  std::string path = Scratch("a");
  ASSERT_TRUE(WriteFileAtomic(path, "four").ok());
  absl::Status status = ReadFile(path, 3).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("limit of 3 bytes"));
}

TEST_F(FileTest, WhatIsThereIsNotMissing) {
  EXPECT_FALSE(FileIsMissing("/proc/self/status"));
  EXPECT_TRUE(FileIsMissing("/proc/self/nothing"));
  EXPECT_TRUE(FileIsMissing("/proc/self/status/nothing"));
}

TEST_F(FileTest, OnlyADecodersComplaintBlamesTheFile) {
  using Result = absl::StatusOr<int>;
  EXPECT_EQ(*BlameFile(Result(7)), 7);
  EXPECT_EQ(BlameFile(Result(absl::InvalidArgumentError("cut"))).status(),
            absl::DataLossError("cut"));
  EXPECT_EQ(BlameFile(Result(absl::NotFoundError("gone"))).status(), absl::NotFoundError("gone"));
}

TEST_F(FileTest, AMissingFileIsNamed) {
  absl::Status status = ReadFile("/no/such/file", 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/file"));
}

TEST_F(FileTest, AFolderIsNotAFile) { EXPECT_FALSE(ReadFile(::testing::TempDir(), 1).ok()); }

TEST_F(FileTest, AFailedWriteLeavesTheOldContentsAndNothingElse) {
  std::string path = Scratch("folder");
  std::filesystem::create_directories(path + "/child");
  EXPECT_FALSE(WriteFileAtomic(path, "x").ok());  // a folder that is not empty
  int entries = 0;
  for (auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    (void)entry;
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

TEST_F(FileTest, WhatTheSystemSaysBecomesAKindAndARemedy) {
  struct Case {
    int error_number;
    absl::StatusCode code;
    std::string words;
  };
  for (const Case& c : {Case{ENOSPC, absl::StatusCode::kResourceExhausted, "make room there"},
                        Case{EDQUOT, absl::StatusCode::kResourceExhausted, "make room there"},
                        Case{EFBIG, absl::StatusCode::kResourceExhausted, "ulimit -f"},
                        Case{EMFILE, absl::StatusCode::kResourceExhausted, "Too many open files"},
                        Case{EROFS, absl::StatusCode::kPermissionDenied, "Read-only file system"},
                        Case{EACCES, absl::StatusCode::kPermissionDenied, "Permission denied"},
                        Case{ENOENT, absl::StatusCode::kNotFound, "No such file"},
                        Case{EEXIST, absl::StatusCode::kAlreadyExists, "File exists"},
                        Case{EIO, absl::StatusCode::kUnknown, "Input/output error"}}) {
    absl::Status status = ErrnoStatus(c.error_number, "cannot write it");
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write it: "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.words));
  }
}

TEST_F(FileTest, AFileOfPiecesIsThereWhenItIsWhole) {
  const std::string path = Scratch("pieces");
  {
    auto abandoned = AtomicFile::Create(path);
    ASSERT_TRUE(abandoned.ok());
    ASSERT_TRUE(abandoned->Add("half").ok());
  }
  EXPECT_TRUE(FileIsMissing(path));
  auto file = AtomicFile::Create(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Add("one, ").ok());
  ASSERT_TRUE(file->Add("two").ok());
  EXPECT_TRUE(FileIsMissing(path));
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(ReadFile(path, 100).value(), "one, two");
}

TEST_F(FileTest, ALockIsHeldOnce) {
  std::string path = Scratch("lock");
  {
    auto first = FileLock::Acquire(path);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(FileLock::Acquire(path).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(FileLock::Acquire(path).ok());
}

TEST_F(FileTest, MakeFolderMakesParentsAndRefusesAFileInTheWay) {
  std::string path = Scratch("a/b/c");
  EXPECT_TRUE(MakeFolder(path).ok());
  EXPECT_TRUE(MakeFolder(path).ok());
  ASSERT_TRUE(WriteFileAtomic(path + "/file", "x").ok());
  EXPECT_FALSE(MakeFolder(path + "/file").ok());
}

}  // namespace
}  // namespace dure
