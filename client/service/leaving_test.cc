#include "client/service/leaving.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "client/service/last_end.h"

namespace dure {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class LeavingTest : public ::testing::Test {
 protected:
  LeavingTest() {
    fs::remove_all(folder_);
    for (const char* name :
         {"private/member.key", "private/local-state", "membership.json", "member.pem", "ca.pem",
          "federation.toml", "policy.json", "guest.json", "ledger", "data.json", "files/ab",
          "evidence/one", "data-1/records.csv", "members-0123.list", "notes.txt", "mine/letter"}) {
      Write(name, std::string("secret of ") + name);
    }
  }
  ~LeavingTest() override { fs::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(folder_ + "/" + name).parent_path());
    std::ofstream(folder_ + "/" + name) << text;
  }
  const std::string folder_ = ::testing::TempDir() + "leaving_test";
};

TEST_F(LeavingTest, WithoutPurgeTheIdentityGoesAndTheRestStays) {
  const ForgetPlan plan = PlanForgetting(folder_, false);
  EXPECT_THAT(plan.files, ElementsAre("private/local-state", "private/member.key", "member.pem",
                                      "membership.json"));
  ASSERT_TRUE(Forget(folder_, plan).ok());
  EXPECT_FALSE(fs::exists(folder_ + "/private"));
  EXPECT_TRUE(fs::exists(folder_ + "/ledger"));
  EXPECT_TRUE(fs::exists(folder_ + "/policy.json"));
  EXPECT_FALSE(IsNode(folder_));
}

TEST_F(LeavingTest, PurgeRemovesAllThatDureHasMadeAndNothingElse) {
  const ForgetPlan plan = PlanForgetting(folder_, true);
  EXPECT_THAT(plan.kept, UnorderedElementsAre("mine/letter", "notes.txt"));
  ASSERT_TRUE(Forget(folder_, plan).ok());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    left.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(left, UnorderedElementsAre("mine", "notes.txt"));
}

TEST_F(LeavingTest, AFolderOfDureAloneGoesToo) {
  fs::remove(folder_ + "/notes.txt");
  fs::remove_all(folder_ + "/mine");
  ASSERT_TRUE(Forget(folder_, PlanForgetting(folder_, true)).ok());
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(LeavingTest, SecretsAreOverwrittenWhereTheyLie) {
  // Another name of the same file shows what is left of it.
  const std::string other = ::testing::TempDir() + "leaving_test_key";
  fs::remove(other);
  fs::create_hard_link(folder_ + "/private/member.key", other);
  ASSERT_TRUE(Forget(folder_, PlanForgetting(folder_, false)).ok());
  std::ifstream in(other, std::ios::binary);
  const std::string left((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(left, std::string(left.size(), '\0'));
  EXPECT_FALSE(left.empty());
  fs::remove(other);
}

TEST_F(LeavingTest, LinksAreRemovedAndNotFollowed) {
  const std::string other = ::testing::TempDir() + "leaving_test_other";
  fs::remove_all(other);
  fs::create_directories(other);
  std::ofstream(other + "/file") << "of somebody else";
  fs::create_symlink(other + "/file", folder_ + "/private/link");
  fs::create_directory_symlink(other, folder_ + "/files/link");
  ASSERT_TRUE(Forget(folder_, PlanForgetting(folder_, true)).ok());
  EXPECT_EQ(fs::file_size(other + "/file"), 16u);
  EXPECT_FALSE(fs::exists(folder_ + "/files"));
  fs::remove_all(other);
}

TEST_F(LeavingTest, WhyAClientEndedIsKept) {
  EXPECT_EQ(LastEnd(folder_), "");
  KeepLastEnd(folder_, "the budget is spent\n", absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(LastEnd(folder_), "2027-01-15 08:00 UTC: the budget is spent?");
  ForgetLastEnd(folder_);
  EXPECT_EQ(LastEnd(folder_), "");
}

}  // namespace
}  // namespace dure
