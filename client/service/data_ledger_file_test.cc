#include "client/service/data_ledger_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "client/service/ledgers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

Digest Filled(uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

const Digest kData = Filled(0xda), kOther = Filled(0xdb), kMine = Filled(1), kTheirs = Filled(2);

DataCharge Charge(uint32_t attempt, const Digest& member = kMine) {
  return {.federation = Filled(9),
          .name = "fashion",
          .member = member,
          .attempt = {.round = RoundNumber(attempt), .attempt = AttemptNumber(attempt)},
          .cost = {.cost = {.dim = 10,
                            .parties = 3,
                            .sigma2 = 1'000'000,
                            .norm_bound_sq = 1'000'000,
                            .sampling_rate = 0.01,
                            .uses = 1}}};
}

bool Always(const DataSpent&) { return true; }

class DataLedgerFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_data_ledger_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    root_ = folder_ + "/data-ledgers";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<DataLedgerFile> Open(const Digest& data = kData, const Digest& member = kMine) {
    auto file = DataLedgerFile::Open(root_, data, member);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }
  void Register(const Digest& data = kData, const std::string& path = "/srv/a") {
    const absl::Status status = DataLedgerFile::Register(root_, data, path);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Charges(DataLedgerFile& file, uint32_t from, uint32_t to, const Digest& member = kMine) {
    for (uint32_t attempt = from; attempt <= to; ++attempt) {
      absl::StatusOr<bool> written = file.Charge(Charge(attempt, member), Always);
      ASSERT_TRUE(written.ok() && *written) << written.status();
    }
  }
  std::string Path(const Digest& data = kData) { return DataLedgerPath(root_, data); }
  void IsLost(const std::string& fragment, const Digest& data = kData) {
    const absl::Status status = DataLedgerFile::Open(root_, data, kMine).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(fragment));
  }
  static uint64_t Spent(const DataLedgerFile& file) {
    return file.spent().all.charges(PrivacySection::RECORD);
  }

  std::string folder_, root_;
};

TEST_F(DataLedgerFileTest, WhatWasChargedIsThereAfterARestartAndIsNobodyElses) {
  Register();
  Charges(*Open(), 1, 3);
  Register();  // again
  auto file = Open();
  EXPECT_EQ(Spent(*file), 3u);
  EXPECT_EQ(file->own_charges().size(), 3u);
  EXPECT_EQ(file->spenders().at(kMine).charges, 3u);
  struct stat info;
  ASSERT_EQ(stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(fs::path(Path()).parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(DataLedgerFileTest, MembershipsShareTheLedgerAndSeeEachOther) {
  Register();
  auto mine = Open(), theirs = Open(kData, kTheirs);
  Charges(*mine, 1, 2);
  Charges(*theirs, 7, 9, kTheirs);
  Charges(*mine, 3, 3);
  EXPECT_EQ(Spent(*mine), 6u);
  ASSERT_TRUE(theirs->Refresh().ok());
  EXPECT_EQ(Spent(*theirs), 6u);
  EXPECT_EQ(mine->own_charges().size(), 3u);
  EXPECT_EQ(theirs->own_charges().size(), 3u);
}

TEST_F(DataLedgerFileTest, TheBudgetIsLookedAtWithEverybodysCharges) {
  Register();
  auto mine = Open(), theirs = Open(kData, kTheirs);
  Charges(*theirs, 1, 2, kTheirs);
  auto fits = [](const DataSpent& spent) { return spent.all.charges(PrivacySection::RECORD) < 3; };
  EXPECT_TRUE(*mine->Charge(Charge(1), fits));
  EXPECT_FALSE(*theirs->Charge(Charge(3, kTheirs), fits));
  EXPECT_EQ(Spent(*Open()), 3u);
}

TEST_F(DataLedgerFileTest, ProcessesThatChargeAtOnceLoseNothing) {
  Register();
  constexpr int kProcesses = 4, kEach = 25;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const Digest member = Filled(static_cast<uint8_t>(10 + i));
      auto file = DataLedgerFile::Open(root_, kData, member);
      bool good = file.ok();
      for (uint32_t a = 1; good && a <= kEach; ++a) {
        auto written = (*file)->Charge(Charge(a, member), Always);
        good = written.ok() && *written;
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(Spent(*Open()), uint64_t{kProcesses} * kEach);
}

TEST_F(DataLedgerFileTest, ALineThatWasBeingWrittenIsNoEntry) {
  Register();
  Charges(*Open(), 1, 2);
  std::ofstream(Path(), std::ios::app) << "3 charge 0909";
  EXPECT_EQ(Spent(*Open()), 2u);
  Charges(*Open(), 3, 3);
  EXPECT_EQ(Spent(*Open()), 3u);
}

TEST_F(DataLedgerFileTest, LinesThatAreChangedOrCutOutAreFound) {
  Register();
  Charges(*Open(), 1, 4);
  std::vector<std::string> lines;
  {
    std::ifstream in(Path());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
  }
  ASSERT_EQ(lines.size(), 4u);
  auto write = [&](const std::vector<size_t>& kept) {
    std::ofstream out(Path());
    for (size_t i : kept) out << lines[i] << "\n";
  };
  write({0, 2, 3});
  IsLost(":2: ");
  write({1, 2, 3});
  IsLost(":1: ");
  write({0, 1});
  IsLost("has 2 entries of at least 4 that were written");
  write({});
  IsLost("has 0 entries of at least 4");
  write({0, 1, 2, 3});
  EXPECT_EQ(Spent(*Open()), 4u);
  lines[1][10] ^= 1;
  write({0, 1, 2, 3});
  IsLost(":2: ");
  fs::remove(Path());
  IsLost("is missing");
}

TEST_F(DataLedgerFileTest, ALedgerIsNotAnotherDatas) {
  Register();
  Register(kOther, "/srv/b");
  Charges(*Open(), 1, 1);
  fs::copy_file(Path(), Path(kOther), fs::copy_options::overwrite_existing);
  IsLost(":1: ", kOther);
}

TEST_F(DataLedgerFileTest, ChangedDataCarryWhatWasSpentOnThemBefore) {
  Register();
  Charges(*Open(), 1, 3);
  Register(kOther);  // at the same path
  EXPECT_EQ(Spent(*Open(kOther)), 3u);
  EXPECT_TRUE(Open(kOther)->own_charges().empty());
  Register(kOther);
  Charges(*Open(kOther), 4, 5);
  Register(kData);  // changed back: each follows on the other
  EXPECT_EQ(Spent(*Open(kOther)), 5u);
  EXPECT_EQ(Spent(*Open()), 5u);
  const Digest fresh = Filled(0xdc);
  Register(fresh, "/srv/elsewhere");
  EXPECT_EQ(Spent(*Open(fresh)), 0u);
  // The ledger of the former data is needed from then on.
  fs::remove(Path(kOther));
  IsLost("is missing");
}

TEST_F(DataLedgerFileTest, AWriteThatFailsStopsParticipationForGood) {
  Register();
  auto file = Open();
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  EXPECT_FALSE(file->Charge(Charge(1), Always).ok());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(file->Charge(Charge(2), Always).ok());
  Charges(*Open(), 2, 2);
}

// ---- both ledgers ----

class LedgersTest : public DataLedgerFileTest {
 protected:
  void SetUp() override {
    DataLedgerFileTest::SetUp();
    Register();
    path_ = folder_ + "/ledger";
    ASSERT_TRUE(LedgerFile::Create(path_).ok());
  }
  absl::StatusOr<std::unique_ptr<Ledgers>> OpenBoth(bool charge_missing = false) {
    notes_.clear();
    return Ledgers::Open({.path = path_,
                          .root = root_,
                          .data = kData,
                          .member = kMine,
                          .charge_for =
                              [](const ChargeEntry& entry) {
                                DataCharge charge = Charge(entry.attempt.value());
                                charge.attempt = entry;
                                return charge;
                              },
                          .charge_missing = charge_missing},
                         &notes_);
  }
  void ChargeBoth(uint32_t from, uint32_t to) {
    auto both = OpenBoth();
    ASSERT_TRUE(both.ok()) << both.status();
    for (uint32_t attempt = from; attempt <= to; ++attempt) {
      const DataCharge charge = Charge(attempt);
      auto written = (*both)->Write({charge.attempt, charge}, 8, 1e-5);
      ASSERT_TRUE(written.ok() && *written) << written.status();
    }
  }
  void AreApart(const std::string& fragment) {
    const absl::Status status = OpenBoth().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(fragment));
    EXPECT_THAT(std::string(status.message()), HasSubstr("--charge-missing"));
  }

  std::string path_;
  std::vector<std::string> notes_;
};

TEST_F(LedgersTest, AChargeIsInBoth) {
  ChargeBoth(1, 3);
  auto both = OpenBoth();
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ((*both)->ledger().charges(), 3u);
  EXPECT_EQ((*both)->spent()->own.charges(PrivacySection::RECORD), 3u);
  EXPECT_TRUE(notes_.empty());
}

TEST_F(LedgersTest, ACrashBetweenTheTwoWritesIsMended) {
  ChargeBoth(1, 2);
  Charges(*Open(), 5, 5);
  auto both = OpenBoth();
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ((*both)->ledger().charges(), 3u);
  EXPECT_EQ((*both)->ledger().last_attempt(), AttemptNumber(5));
  EXPECT_EQ(notes_.size(), 1u);
  EXPECT_TRUE(OpenBoth().ok());
  EXPECT_TRUE(notes_.empty());
}

TEST_F(LedgersTest, AnOldCopyOfTheMembershipsLedgerIsNoticedAndCanBeCharged) {
  ChargeBoth(1, 2);
  fs::copy_file(path_, path_ + ".old");
  fs::copy_file(path_ + ".count", path_ + ".old.count");
  ChargeBoth(3, 6);
  fs::copy_file(path_ + ".old", path_, fs::copy_options::overwrite_existing);
  fs::copy_file(path_ + ".old.count", path_ + ".count", fs::copy_options::overwrite_existing);
  AreApart("has 2 charges on this data");
  AreApart("has 6 of this membership");
  auto both = OpenBoth(/*charge_missing=*/true);
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ((*both)->ledger().charges(), 6u);
  EXPECT_EQ((*both)->spent()->own.charges(PrivacySection::RECORD), 6u);
  EXPECT_TRUE(OpenBoth().ok());
}

TEST_F(LedgersTest, AnOldCopyOfTheDatasLedgerIsNoticedAndCanBeCharged) {
  ChargeBoth(1, 2);
  fs::copy(root_, root_ + ".old", fs::copy_options::recursive);
  ChargeBoth(3, 3);
  fs::remove_all(root_);
  fs::rename(root_ + ".old", root_);
  AreApart("has 3 charges on this data");
  ASSERT_TRUE(OpenBoth(/*charge_missing=*/true).ok());
  EXPECT_EQ(Spent(*Open()), 3u);
  EXPECT_TRUE(OpenBoth().ok());
}

TEST_F(LedgersTest, ChargesOnOtherDataAreNotExpectedHere) {
  ChargeBoth(1, 2);
  Register(kOther, "/srv/b");
  notes_.clear();
  auto other =
      Ledgers::Open({.path = path_, .root = root_, .data = kOther, .member = kMine}, &notes_);
  ASSERT_TRUE(other.ok()) << other.status();
  const DataCharge charge = Charge(3);
  ASSERT_TRUE(*(*other)->Write({charge.attempt, charge}, 8, 1e-5));
  auto back = OpenBoth();
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ((*back)->ledger().charges(), 3u);
  EXPECT_EQ((*back)->spent()->own.charges(PrivacySection::RECORD), 2u);
}

TEST_F(LedgersTest, NothingIsWrittenThatPassesTheTotal) {
  auto both = OpenBoth();
  ASSERT_TRUE(both.ok());
  const DataCharge charge = Charge(1);
  EXPECT_FALSE(*(*both)->Write({charge.attempt, charge}, 1e-3, 1e-5));
  EXPECT_EQ((*both)->ledger().charges(), 0u);
  EXPECT_EQ(Spent(*Open()), 0u);
  // Afterwards, for an attempt that is over, it is.
  DataCharge late = Charge(1);
  late.attempt.round = RoundNumber(0);
  EXPECT_TRUE(*(*both)->Write({late.attempt, late}, 1e-3, 1e-5));
}

TEST_F(LedgersTest, WhatAnOlderDureChargedIsAskedFor) {
  ASSERT_TRUE(LedgerFile::Open(path_)->Append(Charge(1).attempt).ok());
  AreApart("has 1 charge on this data");
  ASSERT_TRUE(OpenBoth(/*charge_missing=*/true).ok());
  EXPECT_EQ(Spent(*Open()), 1u);
}

}  // namespace
}  // namespace dure
