#include "client/service/guest_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace dure {
namespace {

class GuestFileTest : public ::testing::Test {
 protected:
  GuestFileTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~GuestFileTest() override { std::filesystem::remove_all(folder_); }
  const std::string folder_ = ::testing::TempDir() + "/guest_file_test";
};

TEST_F(GuestFileTest, WithoutAFileItIsTheDefaults) {
  absl::StatusOr<GuestFile> file = ReadGuestFile(folder_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->limits, GuestLimits());
  EXPECT_TRUE(file->origins.empty());
}

TEST_F(GuestFileTest, WhatIsSetComesBackAndTheRestHasItsDefault) {
  GuestFile file;
  ASSERT_TRUE(SetGuestValue("hours", "mon-fri 20:00-06:00,sat", &file.limits).ok());
  ASSERT_TRUE(SetGuestValue("max_upload", "4Mbit", &file.limits).ok());
  file.origins = {{"hours", "set here 2026-11-23"}, {"max_upload", "set here 2026-11-23"}};
  ASSERT_TRUE(WriteGuestFile(folder_, file).ok());
  absl::StatusOr<GuestFile> read = ReadGuestFile(folder_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->limits, file.limits);
  EXPECT_EQ(read->origins, file.origins);
  EXPECT_EQ(read->limits.max_memory, GuestLimits().max_memory);
}

TEST_F(GuestFileTest, WhatCannotBeUnderstoodIsNamed) {
  const struct {
    const char* text;
    const char* words;
  } wrong[] = {{"", "no \"limits\""},
               {"[]", "no \"limits\""},
               {"{\"limits\": []}", "no \"limits\""},
               {"{\"limits\": {\"hourz\": {\"value\": \"always\"}}}", "did you mean \"hours\""},
               {"{\"limits\": {\"hours\": \"always\"}}", "\"hours\" has no \"value\""},
               {"{\"limits\": {\"hours\": {\"value\": 7}}}", "\"hours\" has no \"value\""},
               {"{\"limits\": {\"hours\": {\"value\": \"7\"}}}", "hours = \"7\""}};
  for (const auto& [text, words] : wrong) {
    const absl::Status status = ParseGuestFile(text, "guest.json").status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << text;
    EXPECT_NE(status.message().find(words), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find("guest.json"), absl::string_view::npos) << status;
  }
  std::ofstream(GuestPath(folder_)) << std::string(kMaxGuestFileBytes + 1, ' ');
  EXPECT_FALSE(ReadGuestFile(folder_).ok());
}

TEST_F(GuestFileTest, APauseStaysUntilItIsTakenBack) {
  EXPECT_FALSE(IsPausedHere(folder_));
  ASSERT_TRUE(SetPausedHere(folder_, true).ok());
  ASSERT_TRUE(SetPausedHere(folder_, true).ok());
  EXPECT_TRUE(IsPausedHere(folder_));
  ASSERT_TRUE(SetPausedHere(folder_, false).ok());
  ASSERT_TRUE(SetPausedHere(folder_, false).ok());
  EXPECT_FALSE(IsPausedHere(folder_));
}

}  // namespace
}  // namespace dure
