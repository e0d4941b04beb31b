#include "coordinator/service/store.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

Digest Filled(uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

EvaluationReceived Evaluation(uint32_t round, const std::string& evaluator, double loss) {
  EvaluationReceived evaluation{
      .round = RoundNumber(round), .evaluator = evaluator, .metrics = {}, .at = kNow};
  evaluation.metrics.set_loss(loss);
  evaluation.metrics.set_accuracy(0.5);
  evaluation.metrics.set_auc(0.75);
  evaluation.metrics.set_records(7);
  return evaluation;
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    federation_ = ::testing::TempDir() + "/dure_store_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = federation_ + "/state";
    std::filesystem::remove_all(federation_);
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(federation_);
  }
  void Reopen() {
    store_.reset();
    auto store = Store::Open(folder_, Filled(1));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::Status InviteNamed(const std::string& name, uint8_t secret) {
    return store_->AddInvitation(
        {.secret_hash = Filled(secret), .name = name, .expires = kNow + absl::Hours(1)}, kNow);
  }
  RoundReleased Release(uint32_t round) {
    const std::string model = "model " + std::to_string(round);
    return {.round = RoundNumber(round),
            .attempt = AttemptNumber(round + 1),
            .cohort = 10,
            .survivors = 9,
            .epsilon = 0.5,
            .duration = absl::Seconds(2),
            .at = kNow,
            .model_hash = Sha256(AsBytes(model)),
            .model = model,
            .optimizer = "optimiser " + std::to_string(round)};
  }

  // One round as a coordinator records it.
  void RunRound(uint32_t round) {
    ASSERT_TRUE(
        store_
            ->Record(AttemptBegun{
                .attempt = AttemptNumber(round + 1), .round = RoundNumber(round), .at = kNow})
            .ok());
    ASSERT_TRUE(store_->Record(Release(round)).ok());
  }
  std::string Path(const std::string& name) { return folder_ + "/" + name; }
  std::string ModelPath(const std::string& bytes) {
    return Path("models/" + ToHex(Sha256(AsBytes(bytes))));
  }
  // What both ways to open the folder say of it: DataLoss, naming `words`.
  void ExpectDataLoss(const std::string& words) {
    store_.reset();
    for (const absl::Status& status :
         {Store::Open(folder_, Filled(1)).status(), Store::OpenForReading(folder_).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(words));
      EXPECT_THAT(std::string(status.message()), HasSubstr("restore the folder from a backup"));
    }
  }
  // Overwrites `bytes` of a file from `at` on.
  static void Scribble(const std::string& path, size_t at, size_t bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(bytes, '\x5a');
  }

  std::string federation_;
  std::string folder_;  // its state
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AnInvitationWorksOnceAndUntilItExpires) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(store_->FindInvitation(Filled(3), kNow).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      std::string(store_->FindInvitation(Filled(2), kNow + absl::Hours(1)).status().message()),
      HasSubstr("expired"));
  MemberRecord member{.client_id = Filled(9), .name = "a", .certificate = "der"};
  ASSERT_TRUE(store_->Enrol(Filled(2), member, kNow).ok());
  absl::Status again = store_->Enrol(Filled(2), member, kNow);
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(again.message()), HasSubstr("used already"));
  Reopen();
  ASSERT_TRUE(store_->FindMember(Filled(9)).ok());
  EXPECT_EQ(store_->FindMember(Filled(9))->certificate, "der");
}

TEST_F(StoreTest, ThePortIsRemembered) {
  EXPECT_EQ(*store_->SavedPort(), 0);
  ASSERT_TRUE(store_->SavePort(40123).ok());
  Reopen();
  EXPECT_EQ(*store_->SavedPort(), 40123);
}

TEST_F(StoreTest, APauseOutlastsARestart) {
  EXPECT_FALSE(*store_->SavedPaused());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(store_->SavePaused(true).ok());
  Reopen();
  EXPECT_TRUE(*store_->SavedPaused());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(store_->SavePaused(false).ok());
  EXPECT_FALSE(*store_->SavedPaused());
}

TEST_F(StoreTest, ANameIsGivenOnce) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(InviteNamed("a", 3).code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(StoreTest, ARevokedMemberStaysRevoked) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  ASSERT_TRUE(store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a"}, kNow).ok());
  EXPECT_EQ(store_->Revoke("b", kNow).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store_->Revoke("a", kNow), std::optional<Digest>(Filled(9)));
  Reopen();
  EXPECT_TRUE(store_->FindMember(Filled(9))->revoked);
}

TEST_F(StoreTest, ARevokedKeyDoesNotComeBackUnderAnotherName) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  ASSERT_TRUE(store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a"}, kNow).ok());
  ASSERT_TRUE(store_->Revoke("a", kNow).ok());
  EXPECT_EQ(InviteNamed("a", 3).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(InviteNamed("b", 4).ok());
  const absl::Status again = store_->Enrol(Filled(4), {.client_id = Filled(9), .name = "b"}, kNow);
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.message()), HasSubstr("with a new key"));
  // The invitation was not used up: whoever comes with a new key may have it.
  EXPECT_TRUE(store_->Enrol(Filled(4), {.client_id = Filled(8), .name = "b"}, kNow).ok());
}

TEST_F(StoreTest, AnOpenInvitationCanBeWithdrawn) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(*store_->Revoke("a", kNow), std::nullopt);
  Reopen();
  absl::Status status = store_->FindInvitation(Filled(2), kNow).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("withdrawn by the organiser"));
  EXPECT_EQ(
      store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a", .certificate = "der"}, kNow)
          .code(),
      absl::StatusCode::kFailedPrecondition);
  // Once; and then the name is free again.
  EXPECT_EQ(store_->Revoke("a", kNow).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(InviteNamed("a", 3).ok());
}

TEST_F(StoreTest, AnInvitationThatHasExpiredCannotBeWithdrawn) {
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  EXPECT_EQ(store_->Revoke("a", kNow + absl::Hours(1)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(StoreTest, ARunIsReadBackAsItWasRecorded) {
  ASSERT_TRUE(
      store_->Record(AttemptBegun{.attempt = AttemptNumber(1), .round = RoundNumber(1), .at = kNow})
          .ok());
  ASSERT_TRUE(
      store_->Record(AttemptFailed{.attempt = AttemptNumber(1), .reason = "x", .at = kNow}).ok());
  for (uint32_t round = 1; round <= 4; ++round) {
    ASSERT_TRUE(
        store_
            ->Record(AttemptBegun{
                .attempt = AttemptNumber(round + 1), .round = RoundNumber(round), .at = kNow})
            .ok());
    ASSERT_TRUE(store_->Record(Release(round)).ok());
  }
  ASSERT_TRUE(store_->Record(Evaluation(4, "e", 1)).ok());
  Reopen();
  auto run = store_->LoadRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->round, RoundNumber(4));
  EXPECT_EQ(run->attempts, AttemptNumber(5));
  EXPECT_EQ(*run->model, "model 4");
  EXPECT_EQ(*run->optimizer, "optimiser 4");
  EXPECT_EQ(run->history.size(), 4u);
  EXPECT_EQ(run->history[0].survivors, 9u);
  ASSERT_EQ(run->evaluations.size(), 1u);
  EXPECT_EQ(run->evaluations[0].metrics.records(), 7u);
  // Models of the last rounds only.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("models")), {}), 4);
}

// The losses of rounds 1, 2, ... as one evaluator says them.
TEST_F(StoreTest, TheModelThatMeasuredBestIsKept) {
  const double losses[] = {3, 1, 2, 2, 0.5, 4, 4, 4};
  const auto has = [&](uint32_t round) {
    return std::filesystem::exists(ModelPath("model " + std::to_string(round)));
  };
  for (uint32_t round = 1; round <= 8; ++round) {
    RunRound(round);
    ASSERT_TRUE(store_->Record(Evaluation(round, "e", losses[round - 1])).ok());
    if (round == 4) {
      EXPECT_FALSE(has(1));
      EXPECT_TRUE(has(2));
    }
    if (round % 3 == 0) Reopen();
  }
  EXPECT_FALSE(has(2));
  EXPECT_TRUE(has(5));
  EXPECT_FALSE(has(6));
  EXPECT_EQ(*store_->ReadModel(RoundNumber(5)), "model 5");
  EXPECT_EQ(*store_->ReadModel(RoundNumber(8)), "model 8");
  for (const uint32_t gone : {0u, 2u, 9u}) {
    EXPECT_EQ(store_->ReadModel(RoundNumber(gone)).status().code(), absl::StatusCode::kNotFound);
  }
  // Two models with the states of the optimiser, and the best.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("models")), {}), 5);
}

// An evaluator may take longer than several rounds.
TEST_F(StoreTest, AModelThatIsBeingMeasuredIsKept) {
  RunRound(1);
  for (uint32_t round = 2; round <= 5; ++round) {
    ASSERT_TRUE(store_->Record(AttemptBegun{.attempt = AttemptNumber(round + 1), .at = kNow}).ok());
    RoundReleased release = Release(round);
    release.measuring = {RoundNumber(1)};
    ASSERT_TRUE(store_->Record(release).ok());
  }
  EXPECT_EQ(*store_->ReadModel(RoundNumber(1)), "model 1");
  ASSERT_TRUE(store_->Record(Evaluation(1, "e", 1)).ok());
  RunRound(6);
  RunRound(7);
  Reopen();
  EXPECT_EQ(*store_->ReadModel(RoundNumber(1)), "model 1");
}

// After a crash nobody measures them any more, and the database has not forgotten them.
TEST_F(StoreTest, ModelsThatWereBeingMeasuredAreNoneOfAnotherDatabase) {
  for (uint32_t round = 1; round <= 8; ++round) {
    ASSERT_TRUE(store_->Record(AttemptBegun{.attempt = AttemptNumber(round + 1), .at = kNow}).ok());
    RoundReleased release = Release(round);
    for (uint32_t earlier = 1; earlier < round; ++earlier) {
      release.measuring.emplace_back(earlier);
    }
    ASSERT_TRUE(store_->Record(release).ok());
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("models")), {}), 10);
  Reopen();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("models")), {}), 4);
}

TEST_F(StoreTest, EvaluationsComeBackInTheOrderInWhichTheyCame) {
  RunRound(1);
  RunRound(2);
  for (const auto& [round, name] : {std::pair{2u, "z"}, {1u, "slow"}, {2u, "a"}}) {
    ASSERT_TRUE(store_->Record(Evaluation(round, name, 1)).ok());
  }
  Reopen();
  const std::vector<EvaluationReceived> evaluations = store_->LoadRun()->evaluations;
  ASSERT_EQ(evaluations.size(), 3u);
  EXPECT_EQ(evaluations[0].evaluator, "z");
  EXPECT_EQ(evaluations[1].evaluator, "slow");
  EXPECT_EQ(evaluations[2].evaluator, "a");
}

TEST_F(StoreTest, SumsAndWhatAttemptsWereForComeBack) {
  const auto begin = [&](uint32_t attempt, uint32_t round, SumsKind kind) {
    ASSERT_TRUE(store_
                    ->Record(AttemptBegun{.attempt = AttemptNumber(attempt),
                                          .round = RoundNumber(round),
                                          .session_id = Filled(static_cast<uint8_t>(attempt)),
                                          .at = kNow,
                                          .kind = kind})
                    .ok());
  };
  begin(1, 1, SumsKind::kStatistics);
  ASSERT_TRUE(store_
                  ->Record(SumsReleased{.kind = SumsKind::kStatistics,
                                        .attempt = AttemptNumber(1),
                                        .cohort = 5,
                                        .survivors = 4,
                                        .epsilon = 0.25,
                                        .noise = 1.5,
                                        .sums = {3, -0.5, 1e300},
                                        .at = kNow,
                                        .dealers = {Filled(7)}})
                  .ok());
  begin(2, 1, SumsKind::kTraining);
  ASSERT_TRUE(store_->Record(Release(1)).ok());
  begin(3, 1, SumsKind::kEvaluation);
  Reopen();
  RunState run = *store_->LoadRun();
  EXPECT_EQ(run.attempts, AttemptNumber(3));
  EXPECT_EQ(run.counts, (AttemptCounts{.training = 1, .statistics = 1, .evaluations = 1}));
  EXPECT_EQ(run.evaluation_attempts, 1u);
  ASSERT_TRUE(run.statistics.has_value());
  EXPECT_EQ(run.statistics->sums, (std::vector<double>{3, -0.5, 1e300}));
  EXPECT_EQ(run.statistics->survivors, 4u);
  EXPECT_EQ(run.statistics->noise, 1.5);
  EXPECT_EQ(run.last_attempts.at(Filled(7)), AttemptNumber(1));
  EXPECT_TRUE(run.member_evaluations.empty());
  ASSERT_TRUE(store_
                  ->Record(SumsReleased{.kind = SumsKind::kEvaluation,
                                        .attempt = AttemptNumber(3),
                                        .round = RoundNumber(1),
                                        .sums = {7},
                                        .at = kNow})
                  .ok());
  Reopen();
  run = *store_->LoadRun();
  ASSERT_EQ(run.member_evaluations.size(), 1u);
  EXPECT_EQ(run.member_evaluations[0].round, RoundNumber(1));
  EXPECT_EQ(run.member_evaluations[0].sums, std::vector<double>{7});
}

TEST_F(StoreTest, ADamagedModelIsNamed) {
  ASSERT_TRUE(store_->Record(AttemptBegun{.attempt = AttemptNumber(2), .at = kNow}).ok());
  ASSERT_TRUE(store_->Record(Release(1)).ok());
  std::string path = ModelPath("model 1");
  std::ofstream(path) << "model 2";
  absl::Status status = store_->LoadRun().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

TEST_F(StoreTest, OneProcessAtATime) {
  EXPECT_EQ(Store::Open(folder_, Filled(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Store::OpenForReading(folder_).ok());
}

TEST_F(StoreTest, TermsThatChangedAfterMembersAgreedAreRefused) {
  store_.reset();
  EXPECT_TRUE(Store::Open(folder_, Filled(2)).ok());  // nobody has agreed yet
  Reopen();
  ASSERT_TRUE(InviteNamed("a", 2).ok());
  ASSERT_TRUE(store_->Enrol(Filled(2), {.client_id = Filled(9), .name = "a"}, kNow).ok());
  store_.reset();
  absl::Status changed = Store::Open(folder_, Filled(2)).status();
  EXPECT_EQ(changed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(changed.message()), HasSubstr("--new-terms"));
  // Unless members are to be asked again.
  auto store = Store::Open(folder_, Filled(2), TermsChange::kAccepted);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*(*store)->BoundDigest(), Filled(1));
  EXPECT_EQ(*(*store)->SavedTerms(), "");
  ASSERT_TRUE((*store)->Rebind(Filled(2), "the new terms").ok());
  EXPECT_EQ(*(*store)->SavedTerms(), "the new terms");
  store->reset();
  EXPECT_TRUE(Store::Open(folder_, Filled(2)).ok());
}

TEST_F(StoreTest, TheLastAttemptOfEachMemberIsKept) {
  RunRound(1);
  RoundReleased released = Release(2);
  released.dealers = {Filled(7), Filled(8)};
  ASSERT_TRUE(
      store_->Record(AttemptBegun{.attempt = released.attempt, .round = released.round, .at = kNow})
          .ok());
  ASSERT_TRUE(store_->Record(released).ok());
  ASSERT_TRUE(
      store_->Record(AttemptBegun{.attempt = AttemptNumber(4), .round = RoundNumber(3), .at = kNow})
          .ok());
  ASSERT_TRUE(
      store_
          ->Record(AttemptFailed{
              .attempt = AttemptNumber(4), .reason = "x", .at = kNow, .dealers = {Filled(8)}})
          .ok());
  Reopen();
  const std::map<Digest, AttemptNumber> last = store_->LoadRun()->last_attempts;
  EXPECT_EQ(last.size(), 2u);
  EXPECT_EQ(last.at(Filled(7)), AttemptNumber(3));
  EXPECT_EQ(last.at(Filled(8)), AttemptNumber(4));
}

TEST_F(StoreTest, ADatabaseWithoutItsHeaderIsReported) {
  store_.reset();
  Scribble(Path("coordinator.db"), 0, 100);
  ExpectDataLoss("coordinator.db");
}

TEST_F(StoreTest, ADatabaseWithADamagedPageIsReported) {
  for (uint32_t round = 1; round <= 4; ++round) RunRound(round);
  store_.reset();
  const size_t bytes = std::filesystem::file_size(Path("coordinator.db"));
  ASSERT_GT(bytes, 4u * 4096);
  for (size_t at = 4096; at < bytes; at += 4096) {
    std::filesystem::copy(folder_, folder_ + "-whole", std::filesystem::copy_options::recursive);
    Scribble(Path("coordinator.db"), at, 4096);
    ExpectDataLoss("coordinator.db");
    std::filesystem::remove_all(folder_);
    std::filesystem::rename(folder_ + "-whole", folder_);
  }
  Reopen();
  EXPECT_EQ(store_->LoadRun()->history.size(), 4u);
}

TEST_F(StoreTest, ADatabaseThatIsCutShortIsReported) {
  RunRound(1);
  store_.reset();
  std::filesystem::resize_file(Path("coordinator.db"), 5 * 4096);
  ExpectDataLoss("coordinator.db");
}

TEST_F(StoreTest, AMissingOrEmptyDatabaseIsNotANewOne) {
  RunRound(1);
  store_.reset();
  std::filesystem::resize_file(Path("coordinator.db"), 0);
  ExpectDataLoss("coordinator.db is empty");
  std::filesystem::remove(Path("coordinator.db"));
  ExpectDataLoss("coordinator.db is missing");
  std::filesystem::remove_all(Path("models"));
  ExpectDataLoss("coordinator.db is missing");
}

TEST_F(StoreTest, ACrashWhileTheFolderIsMadeIsNoDamage) {
  store_.reset();
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(Path("models"));
  std::ofstream(Path("coordinator.db")).flush();
  EXPECT_EQ(Store::OpenForReading(folder_).status().code(), absl::StatusCode::kNotFound);
  Reopen();
  EXPECT_EQ(store_->LoadRun()->history.size(), 0u);
}

TEST_F(StoreTest, BeforeTheFirstStartTheFederationIsNamed) {
  store_.reset();
  std::filesystem::remove_all(folder_);
  absl::Status status = Store::OpenForReading(folder_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("`dure coordinator " + federation_ + "`"));
}

TEST_F(StoreTest, ADamagedLogIsReported) {
  for (uint32_t round = 1; round <= 3; ++round) RunRound(round);
  // What is there after kill -9: the log has everything, and nobody has tidied up.
  std::filesystem::copy(folder_, folder_ + "-killed", std::filesystem::copy_options::recursive);
  store_.reset();
  std::filesystem::remove_all(folder_);
  std::filesystem::rename(folder_ + "-killed", folder_);
  Scribble(Path("coordinator.db-wal"), 32 + 2 * (24 + 4096) + 200, 16);
  ExpectDataLoss("coordinator.db-wal is damaged");
}

TEST_F(StoreTest, ADatabaseThatIsOlderThanTheModelsIsReported) {
  std::filesystem::copy(folder_, folder_ + "-old", std::filesystem::copy_options::recursive);
  store_.reset();
  Reopen();
  for (uint32_t round = 1; round <= 3; ++round) RunRound(round);
  store_.reset();
  for (const char* name : {"coordinator.db", "coordinator.db-wal", "coordinator.db-shm"}) {
    std::filesystem::remove(Path(name));
    if (std::filesystem::exists(folder_ + "-old/" + name)) {
      std::filesystem::copy(folder_ + "-old/" + name, Path(name));
    }
  }
  absl::Status status = Store::Open(folder_, Filled(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("knows nothing of 4 files"));
}

TEST_F(StoreTest, WhatACrashLeftIsRemovedAtTheNextStart) {
  RunRound(1);
  store_.reset();
  for (const char* left : {"models/one", "models/two", "models/three.new-77"}) {
    std::ofstream(Path(left)) << "x";
  }
  Reopen();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("models")), {}), 2);
  EXPECT_EQ(*store_->LoadRun()->model, "model 1");
}

TEST_F(StoreTest, AMissingModelIsNamed) {
  RunRound(1);
  std::filesystem::remove(ModelPath("optimiser 1"));
  absl::Status status = store_->LoadRun().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(ModelPath("optimiser 1") + " is missing"));
}

}  // namespace
}  // namespace dure
