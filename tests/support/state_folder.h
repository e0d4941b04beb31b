// Folders of federations for tests: made by tests/support/quick_run.h, and then damaged. Header
// only, for tests.
#ifndef DURE_TESTS_SUPPORT_STATE_FOLDER_H_
#define DURE_TESTS_SUPPORT_STATE_FOLDER_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "tests/support/quick_run.h"

namespace dure::testing {

inline constexpr uint32_t kQuickRounds = 6;

// A finished run in folder_; Path("state/lock") is below it.
class StateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    dir_ = std::filesystem::canonical(::testing::TempDir()).string() + "/state-" + name;
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(MakeFolder(dir_).ok());
    folder_ = dir_ + "/fed";
    ASSERT_TRUE(MakeQuickFederation(folder_, kQuickRounds).ok());
    Run(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static void Run(const std::string& folder, uint32_t until = kQuickRounds) {
    const absl::Status status = GoOnQuickly(folder, until, [](const std::string&) {});
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Copy(const std::string& name) const {
    const std::string to = dir_ + "/" + name;
    std::filesystem::copy(folder_, to, std::filesystem::copy_options::recursive);
    return to;
  }
  // Every file below a folder, by name, with its SHA-256.
  static std::map<std::string, std::string> Contents(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      const std::string text = ReadFile(entry.path().string(), 1 << 30).value_or("unreadable");
      files[std::filesystem::relative(entry.path(), folder).string()] =
          ToHex(Sha256(AsBytes(text)));
    }
    return files;
  }

  std::string dir_, folder_;
};

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_STATE_FOLDER_H_
