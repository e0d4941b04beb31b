// State that an older dure left: migrations are only added, and each of them must find what it is
// for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/folder_check.h"
#include "coordinator/service/store.h"
#include "tests/support/state_folder.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

// Word for word the first schema that was ever written.
constexpr char kFirstSchema[] = R"sql(
  CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE invitations (
    secret_hash BLOB PRIMARY KEY, name TEXT NOT NULL, organisation TEXT NOT NULL,
    role INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER) STRICT;
  CREATE TABLE members (
    client_id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, organisation TEXT NOT NULL,
    role INTEGER NOT NULL, certificate BLOB NOT NULL, enrolled INTEGER NOT NULL,
    last_seen INTEGER NOT NULL, revoked INTEGER) STRICT;
  CREATE TABLE attempts (
    attempt INTEGER PRIMARY KEY, round INTEGER NOT NULL, session_id BLOB NOT NULL,
    cohort INTEGER NOT NULL, begun INTEGER NOT NULL, ended INTEGER, failure TEXT) STRICT;
  CREATE TABLE rounds (
    round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, cohort INTEGER NOT NULL,
    survivors INTEGER NOT NULL, epsilon REAL NOT NULL, duration_us INTEGER NOT NULL,
    bytes_received INTEGER NOT NULL, bytes_sent INTEGER NOT NULL,
    released INTEGER NOT NULL, model TEXT NOT NULL, optimizer TEXT NOT NULL) STRICT;
  CREATE TABLE evaluations (
    round INTEGER NOT NULL, evaluator TEXT NOT NULL, loss REAL NOT NULL,
    accuracy REAL NOT NULL, records INTEGER NOT NULL, received INTEGER NOT NULL,
    PRIMARY KEY (round, evaluator)) STRICT;
  PRAGMA user_version = 1;
)sql";

// What of each table that schema had.
constexpr char kCopyRows[] = R"sql(
  INSERT INTO meta SELECT key, value FROM today.meta WHERE key IN ('spec', 'port');
  INSERT INTO invitations
    SELECT secret_hash, name, organisation, role, expires, used FROM today.invitations;
  INSERT INTO invitations VALUES (zeroblob(32), 'late', 'City Hospital', 1, 4102444800000000, NULL);
  INSERT INTO members SELECT * FROM today.members;
  INSERT INTO attempts
    SELECT attempt, round, session_id, cohort, begun, ended, failure FROM today.attempts;
  INSERT INTO rounds
    SELECT round, attempt, cohort, survivors, epsilon, duration_us, bytes_received, bytes_sent,
    released, model, optimizer FROM today.rounds;
  INSERT INTO evaluations
    SELECT round, evaluator, loss, accuracy, records, received FROM today.evaluations;
)sql";

class StoreUpgradeTest : public testing::StateTest {
 protected:
  void SetUp() override {
    StateTest::SetUp();
    fs::remove_all(folder_);
    ASSERT_TRUE(testing::MakeQuickFederation(folder_, testing::kQuickRounds).ok());
    Run(folder_, 4);
  }
  void Exec(sqlite3* database, const std::string& sql) {
    char* error = nullptr;
    ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << (error ? error : "");
  }
  // The run as the first dure would have left it.
  void Age() {
    const std::string today = Path("state/coordinator.db"), old = dir_ + "/old.db";
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(old.c_str(), &database), SQLITE_OK);
    Exec(database, kFirstSchema);
    Exec(database, absl::StrCat("ATTACH '", today, "' AS today"));
    Exec(database, kCopyRows);
    sqlite3_close(database);
    for (const char* name : {"", "-wal", "-shm"}) fs::remove(today + name);
    fs::rename(old, today);
  }
};

TEST_F(StoreUpgradeTest, FromTheFirstSchemaEverythingIsThereAndTheRunGoesOn) {
  auto before = (*Store::OpenForReading(Path("state")))->LoadRun();
  ASSERT_TRUE(before.ok());
  auto members = (*Store::OpenForReading(Path("state")))->Members();
  Age();
  const auto old = Contents(folder_);
  // Looked at before it is opened, it stays as it is.
  const FolderReport report = CheckFederationFolder(folder_, absl::Now());
  for (const FolderFinding& finding : report.findings) {
    EXPECT_NE(finding.result, FolderFinding::Result::kFail) << finding.check << finding.detail;
  }
  EXPECT_EQ(Contents(folder_), old);

  {
    auto federation = ReadFederationFolder(folder_);
    auto store = Store::Open(Path("state"), federation->spec_digest);
    ASSERT_TRUE(store.ok()) << store.status();
    auto run = (*store)->LoadRun();
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(run->round, before->round);
    EXPECT_EQ(run->attempts, before->attempts);
    EXPECT_EQ(run->model, before->model);
    EXPECT_EQ(run->optimizer, before->optimizer);
    ASSERT_EQ(run->history.size(), before->history.size());
    for (size_t i = 0; i < run->history.size(); ++i) {
      EXPECT_EQ(run->history[i].model_hash, before->history[i].model_hash);
      EXPECT_EQ(run->history[i].epsilon, before->history[i].epsilon);
      EXPECT_EQ(run->history[i].attempt, before->history[i].attempt);
    }
    ASSERT_EQ(run->evaluations.size(), before->evaluations.size());
    ASSERT_GT(run->evaluations.size(), 0u);
    EXPECT_EQ(run->evaluations[0].metrics.loss(), before->evaluations[0].metrics.loss());
    auto people = (*store)->Members();
    ASSERT_EQ(people->size(), members->size());
    for (size_t i = 0; i < people->size(); ++i) {
      EXPECT_EQ((*people)[i].name, (*members)[i].name);
      EXPECT_EQ((*people)[i].certificate, (*members)[i].certificate);
    }
    EXPECT_EQ((*store)->FindInvitation(Digest{}, absl::Now())->organisation, "City Hospital");
  }
  Run(folder_);
  EXPECT_TRUE(CheckFederationFolder(folder_, absl::Now()).passed());
  EXPECT_EQ((*Store::OpenForReading(Path("state")))->LoadRun()->round.value(),
            testing::kQuickRounds);
}

TEST_F(StoreUpgradeTest, ANewerSchemaIsRefusedAndLeftAlone) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(Path("state/coordinator.db").c_str(), &database), SQLITE_OK);
  Exec(database, "PRAGMA user_version = 1000");
  sqlite3_close(database);
  auto federation = ReadFederationFolder(folder_);
  const absl::Status status = Store::Open(Path("state"), federation->spec_digest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("upgrade dure"));
}

}  // namespace
}  // namespace dure
