#include "coordinator/service/folder_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "crypto/pem_files.h"
#include "crypto/random.h"
#include "federation/model_file.h"
#include "federation/spec.h"
#include "tests/support/state_folder.h"

namespace dure {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Result = FolderFinding::Result;

class FolderCheckTest : public testing::StateTest {
 protected:
  void Sql(const std::string& sql, const std::string& folder) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder + "/state/coordinator.db").c_str(), &database), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << sql << ": " << (error ? error : "");
    sqlite3_close(database);
  }
  static void ExpectPass(const std::string& folder) {
    const FolderReport report = CheckFederationFolder(folder, absl::Now());
    for (const FolderFinding& finding : report.findings) {
      EXPECT_NE(finding.result, Result::kFail) << finding.check << ": " << finding.detail;
    }
    EXPECT_NE(report.Find("run"), nullptr);
  }
  static void ExpectFailure(const std::string& folder, const std::string& check,
                            const std::string& words) {
    const FolderReport report = CheckFederationFolder(folder, absl::Now());
    EXPECT_FALSE(report.passed());
    const FolderFinding* finding = report.Find(check);
    ASSERT_NE(finding, nullptr) << check;
    EXPECT_EQ(finding->result, Result::kFail);
    EXPECT_THAT(finding->detail, HasSubstr(words));
  }
  std::string NewestModel(const std::string& folder) {
    return (*Store::OpenForReading(folder + "/state"))->LoadRun()->history.back().model_hash;
  }
};

TEST_F(FolderCheckTest, ARunThatIsWholePassesAndIsLeftAsItWas) {
  const auto before = Contents(folder_);
  ExpectPass(folder_);
  EXPECT_EQ(Contents(folder_), before);
  EXPECT_THAT(CheckFederationFolder(folder_, absl::Now()).Find("rounds")->detail,
              HasSubstr("6 rounds without a gap"));
}

TEST_F(FolderCheckTest, BesideACoordinatorAndAfterItsSuddenEnd) {
  auto federation = ReadFederationFolder(folder_);
  auto store = Store::Open(folder_ + "/state", federation->spec_digest);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->SavePaused(true).ok());  // something is in the log
  const std::string killed = Copy("killed");
  auto before = Contents(folder_);
  ExpectPass(folder_);
  auto after = Contents(folder_);
  // Where SQLite's processes say to each other what they read.
  before.erase("state/coordinator.db-shm");
  after.erase("state/coordinator.db-shm");
  EXPECT_EQ(after, before);
  EXPECT_THAT(CheckFederationFolder(folder_, absl::Now()).Find("database")->detail,
              HasSubstr("a coordinator is running"));
  ASSERT_GT(fs::file_size(killed + "/state/coordinator.db-wal"), 0u);
  const auto log = Contents(killed);
  ExpectPass(killed);
  EXPECT_EQ(Contents(killed), log);
}

TEST_F(FolderCheckTest, BeforeACoordinatorHasRun) {
  const std::string fresh = dir_ + "/fresh";
  ASSERT_TRUE(testing::MakeQuickFederation(fresh, 3).ok());
  const FolderReport report = CheckFederationFolder(fresh, absl::Now());
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.Find("database")->detail, HasSubstr("no coordinator has run"));
  EXPECT_FALSE(CheckFederationFolder(dir_ + "/nowhere", absl::Now()).passed());
}

TEST_F(FolderCheckTest, FactsThatContradictEachOther) {
  const struct {
    const char* sql;
    const char* check;
    const char* words;
  } cases[] = {
      {"DELETE FROM rounds WHERE round = 2", "rounds", "round 2 is missing"},
      {"UPDATE rounds SET epsilon = 0 WHERE round = 3", "rounds", "epsilon falls in round 3"},
      {"UPDATE rounds SET bytes_sent = 7 WHERE round = 1", "rounds", "bytes or time fall"},
      {"UPDATE rounds SET survivors = 9 WHERE round = 2", "rounds", "9 survivors of 5"},
      {"UPDATE attempts SET failure = 'x' WHERE attempt = 1", "rounds", "has failed"},
      {"UPDATE attempts SET ended = NULL WHERE attempt = 1", "rounds", "has not ended"},
      {"DELETE FROM attempts WHERE attempt = 2", "attempts", "attempt 2 is missing"},
      {"UPDATE attempts SET round = 9 WHERE attempt = 3", "attempts", "of an earlier round"},
      {"UPDATE attempts SET session_id = x'00' WHERE attempt = 3", "attempts", "no session"},
      {"INSERT INTO sums VALUES (1, 1, 0, 5, 5, 0, 1, x'00', 0)", "sums", "do not fit"},
      {"INSERT INTO evaluations VALUES (99, 'e', 1, 1, 1, 1, NULL)", "evaluations",
       "of no released round"},
      {"UPDATE evaluations SET metrics = x'ffff'", "evaluations", "cannot be read"},
      {"INSERT INTO last_attempts VALUES (x'00', 1)", "members", "last attempt"},
      {"UPDATE members SET certificate = x'3000' WHERE name = 'member-1'", "members", "member-1"},
      {"UPDATE meta SET value = randomblob(32) WHERE key = 'spec'", "agreement", "--new-terms"},
      {"PRAGMA user_version = 99", "schema", "a newer dure"},
  };
  for (const auto& [sql, check, words] : cases) {
    const std::string broken = Copy("broken");
    Sql(sql, broken);
    ExpectFailure(broken, check, words);
    fs::remove_all(broken);
  }
}

TEST_F(FolderCheckTest, FilesThatAreDamagedMissingOrUnknown) {
  const std::string model = NewestModel(folder_);
  const auto broken = [&](const std::function<void(const std::string&)>& how,
                          const std::string& check, const std::string& words) {
    const std::string copy = Copy("broken");
    how(copy);
    ExpectFailure(copy, check, words);
    fs::remove_all(copy);
  };
  broken([&](const std::string& to) { std::ofstream(to + "/state/models/" + model) << "x"; },
         "models", "its SHA-256 is not its name");
  broken([&](const std::string& to) { fs::remove(to + "/state/models/" + model); }, "models",
         "is missing");
  broken([&](const std::string& to) { std::ofstream(to + "/state/notes.txt") << "x"; }, "files",
         "notes.txt is no file of a coordinator");
  broken([&](const std::string& to) { std::ofstream(to + "/state/models/x.pt") << "x"; }, "files",
         "x.pt is no model of this run");
  broken([&](const std::string& to) { fs::remove(to + "/model/initial.safetensors"); }, "weights",
         "are missing");
  broken([&](const std::string& to) { std::ofstream(to + "/federation.toml") << "x"; }, "terms",
         "federation.toml");
  broken([&](const std::string& to) { fs::remove(to + "/state/coordinator.db"); }, "database",
         "is missing, and a coordinator has run here");
  broken(
      [&](const std::string& to) {
        const std::string path = to + "/state/coordinator.db";
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(fs::file_size(path)) - 4096);
        file << std::string(4096, '\x5a');
      },
      "database", "restore the folder from a backup");
}

TEST_F(FolderCheckTest, AModelThatIsNotFinite) {
  const std::vector<float> params(15, std::numeric_limits<float>::infinity());
  const std::string bytes = ParamsToBytes(params);
  const std::string name = ToHex(Sha256(AsBytes(bytes)));
  std::ofstream(Path("state/models/" + name)) << bytes;
  Sql(absl::StrCat("UPDATE rounds SET model = '", name, "' WHERE round = 6"), folder_);
  ExpectFailure(folder_, "models", "not finite");
}

TEST_F(FolderCheckTest, KeysAndCertificates) {
  const absl::Time now = absl::Now();
  FolderReport report =
      CheckFederationFolder(folder_, now + kCoordinatorValidity - absl::Hours(48));
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.Find("keys")->result, Result::kWarn);
  EXPECT_THAT(report.Find("keys")->detail, HasSubstr("certificate of the coordinator ends on"));
  report = CheckFederationFolder(folder_, now + kCoordinatorValidity + absl::Hours(48));
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.Find("keys")->result, Result::kFail);

  SystemRandom random;
  std::string copy = Copy("other-key");
  ASSERT_TRUE(WriteKeyFile(copy + "/private/coordinator.key", SigningKey::Generate(random)).ok());
  ExpectFailure(copy, "keys", "is not the key of the certificate beside it");
  copy = Copy("no-key");
  fs::remove(copy + "/private/coordinator.key");
  ExpectFailure(copy, "keys", "coordinator.key");
  copy = Copy("open-key");
  fs::permissions(copy + "/private/ca.key", fs::perms::group_read, fs::perm_options::add);
  ExpectFailure(copy, "keys", "others can read");
  // The CA's key may be on another machine.
  copy = Copy("signed-elsewhere");
  fs::remove(copy + "/private/ca.key");
  EXPECT_THAT(CheckFederationFolder(copy, now).Find("keys")->detail,
              HasSubstr("on another machine"));
}

}  // namespace
}  // namespace dure
