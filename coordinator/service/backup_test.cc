#include "coordinator/service/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "coordinator/service/tar_file.h"
#include "tests/support/state_folder.h"

namespace dure {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(TarTest, HeadersComeBackAsTheyWere) {
  for (const TarEntry& entry :
       {TarEntry{.name = "a", .mode = 0644, .size = 0},
        TarEntry{.name = "state/coordinator.db", .size = 511},
        TarEntry{.name = std::string(kMaxTarNameBytes, 'x'), .size = (uint64_t{1} << 33) - 1},
        TarEntry{.name = "large", .size = uint64_t{1} << 33},
        TarEntry{.name = "largest", .size = kMaxTarFileBytes}}) {
    auto header = EncodeTarHeader(entry);
    ASSERT_TRUE(header.ok()) << header.status();
    auto decoded = DecodeTarHeader(*header);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, entry);
    for (size_t i = 0; i < header->size(); ++i) {
      std::string damaged = *header;
      damaged[i] = static_cast<char>(damaged[i] ^ 1);
      EXPECT_FALSE(DecodeTarHeader(damaged).ok()) << i;
    }
  }
  EXPECT_EQ(*DecodeTarHeader(std::string(kTarBlockBytes, '\0')), std::nullopt);
  EXPECT_FALSE(DecodeTarHeader("").ok());
}

TEST(TarTest, NoNameLeadsOutOfTheFolder) {
  for (const std::string name :
       {"", "/etc/passwd", "../x", "a/../x", "a/./x", "a//x", "a/", ".", "..", "a\nb"}) {
    EXPECT_FALSE(EncodeTarHeader({.name = name}).ok()) << name;
  }
  EXPECT_FALSE(EncodeTarHeader({.name = std::string(kMaxTarNameBytes + 1, 'x')}).ok());
}

class BackupTest : public testing::StateTest {
 protected:
  void SetUp() override {
    StateTest::SetUp();
    file_ = dir_ + "/backup.tar";
  }
  absl::StatusOr<BackupSummary> Backup(bool with_keys = true) {
    return WriteBackup(
        {.folder = folder_, .file = file_, .with_keys = with_keys, .now = absl::Now()});
  }
  absl::StatusOr<Restored> Restore() { return RestoreBackup(file_, dir_ + "/back", absl::Now()); }
  // Nothing is left behind beside the folder.
  void ExpectNothingRestored() {
    for (const auto& entry : fs::directory_iterator(dir_)) {
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(::testing::StartsWith("back.")));
      EXPECT_NE(entry.path().filename(), "back");
    }
  }
  std::string file_;
};

TEST_F(BackupTest, WhatComesBackIsWhatWasThere) {
  const auto before = Contents(folder_);
  auto summary = Backup();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(Contents(folder_), before);
  EXPECT_EQ(summary->round, testing::kQuickRounds);
  struct stat info;
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(restored->report.passed());
  EXPECT_EQ(restored->summary.federation, "quick");
  auto after = Contents(dir_ + "/back"), expected = before;
  for (const char* name : {"state/coordinator.db", "state/coordinator.db-wal",
                           "state/coordinator.db-shm", "state/lock"}) {
    after.erase(name);
    expected.erase(name);
  }
  EXPECT_EQ(after, expected);
  for (const char* name : {"private", "state", "state/models"}) {
    ASSERT_EQ(stat((dir_ + "/back/" + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u) << name;
  }
  ASSERT_EQ(stat((dir_ + "/back/private/ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(BackupTest, OfARunThatGoesOnMeanwhile) {
  const std::string running = dir_ + "/running";
  ASSERT_TRUE(testing::MakeQuickFederation(running, 30).ok());
  uint32_t rounds = 0;
  // In the middle, with the store open: as while a coordinator runs.
  const absl::Status ran = testing::GoOnQuickly(running, 30, [&](const std::string& told) {
    if (!told.starts_with("round ") || ++rounds % 7 != 0) return;
    const std::string file = absl::StrCat(dir_, "/at-", rounds, ".tar");
    auto summary = WriteBackup({.folder = running, .file = file, .now = absl::Now()});
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->round, rounds);
  });
  ASSERT_TRUE(ran.ok()) << ran;
  auto whole = (*Store::OpenForReading(running + "/state"))->LoadRun();
  for (const uint32_t at : {7u, 14u, 21u, 28u}) {
    const std::string back = absl::StrCat(dir_, "/back-", at);
    auto restored = RestoreBackup(absl::StrCat(dir_, "/at-", at, ".tar"), back, absl::Now());
    ASSERT_TRUE(restored.ok()) << restored.status();
    auto run = (*Store::OpenForReading(back + "/state"))->LoadRun();
    ASSERT_EQ(run->round.value(), at);
    for (uint32_t i = 0; i < at; ++i) {
      EXPECT_EQ(run->history[i].model_hash, whole->history[i].model_hash);
    }
    Run(back, 30);
    EXPECT_TRUE(CheckFederationFolder(back, absl::Now()).passed());
    EXPECT_EQ((*Store::OpenForReading(back + "/state"))->LoadRun()->round.value(), 30u);
  }
}

TEST_F(BackupTest, WithoutKeys) {
  ASSERT_TRUE(Backup(/*with_keys=*/false).ok());
  auto restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_FALSE(restored->summary.with_keys);
  EXPECT_EQ(restored->report.Find("keys")->result, FolderFinding::Result::kFail);
  for (const auto& [name, hash] : Contents(dir_ + "/back")) {
    EXPECT_FALSE(name.ends_with(".key")) << name;
  }
  for (const char* key : {"ca.key", "coordinator.key"}) {
    fs::copy(Path(std::string("private/") + key), dir_ + "/back/private/" + key);
  }
  EXPECT_TRUE(CheckFederationFolder(dir_ + "/back", absl::Now()).passed());
}

TEST_F(BackupTest, NothingIsOverwritten) {
  ASSERT_TRUE(Backup().ok());
  EXPECT_EQ(Backup().status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(Restore().ok());
  EXPECT_EQ(Restore().status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(BackupTest, ADamagedStateIsNotBackedUp) {
  fs::resize_file(Path("state/coordinator.db"), 4096 * 5);
  EXPECT_FALSE(Backup().ok());
  EXPECT_FALSE(FileExists(file_));
}

TEST_F(BackupTest, AnArchiveThatIsCutOrDamagedIsNotRestored) {
  ASSERT_TRUE(Backup().ok());
  const std::string whole = *ReadFile(file_, 1 << 26);
  const auto refused = [&](const std::string& bytes) {
    fs::remove(file_);
    ASSERT_TRUE(WriteFileAtomic(file_, bytes).ok());
    const absl::Status status = Restore().status();
    EXPECT_FALSE(status.ok());
    ExpectNothingRestored();
  };
  for (size_t parts = 0; parts < 8; ++parts) refused(whole.substr(0, whole.size() * parts / 8));
  // One byte of the database and one of a model.
  for (const char* name : {"state/coordinator.db", "state/models/"}) {
    std::string damaged = whole;
    const size_t header = damaged.find(name);
    ASSERT_NE(header, std::string::npos);
    damaged[header + kTarBlockBytes + 20] ^= 0x10;
    refused(damaged);
  }
  refused("not an archive");
  EXPECT_FALSE(RestoreBackup(dir_ + "/nowhere", dir_ + "/back", absl::Now()).ok());
}

}  // namespace
}  // namespace dure
