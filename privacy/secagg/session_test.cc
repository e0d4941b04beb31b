// Whole sessions between the two engines: members that leave at every phase, and what the sum then
// is (docs/secure-aggregation.md section 1.4).
#include <gtest/gtest.h>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

// Phase::kFinished: stays to the end. Otherwise the member answers nothing from that phase on.
using LeavesBefore = std::function<Phase(uint32_t)>;

struct Outcome {
  absl::Status status;
  std::vector<int64_t> sum;
  std::vector<uint32_t> survivors;  // positions in the cohort
};

// Runs one session. The input of even members is there before U2, of odd ones after it.
Outcome RunSession(CohortForTest& cohort, const LeavesBefore& leaves) {
  auto server = Server::Create(cohort.ServerParams());
  EXPECT_TRUE(server.ok()) << server.status();
  const int bits = static_cast<int>(cohort.config.bits());
  RingVector sum = RingZeros(cohort.config.dim(), bits);
  Outbox inbox;  // what members will receive in this phase
  for (uint32_t i = 0; i < cohort.members.size(); ++i) {
    cohort.members[i]->client.emplace(cohort.ClientParams(*cohort.members[i]));
  }
  while (server->phase() < Phase::kFinished) {
    const Phase phase = server->phase();
    for (uint32_t i = 0; i < cohort.members.size(); ++i) {
      MemberForTest& member = *cohort.members[i];
      if (leaves(i) <= phase) {
        server->Drop(member.id());
        continue;
      }
      std::optional<UpMessage> answer;
      if (phase == Phase::kAdvertise) {
        auto started = member.client->StartFromOffer(server->offer());
        EXPECT_TRUE(started.ok()) << started.status();
        answer = *std::move(started);
        if (i % 2 == 0) {
          EXPECT_TRUE(member.client->SetInput(member.input).ok());
        }
      } else {
        auto mine = std::find_if(inbox.begin(), inbox.end(),
                                 [&](const OutMessage& out) { return out.to == member.id(); });
        if (mine == inbox.end()) continue;
        auto received = member.client->Receive(mine->message);
        EXPECT_TRUE(received.ok()) << received.status();
        answer = *std::move(received);
        if (phase == Phase::kMaskedInput && i % 2 == 1) {
          EXPECT_FALSE(answer.has_value());
          auto late = member.client->SetInput(member.input);
          EXPECT_TRUE(late.ok()) << late.status();
          answer = *std::move(late);
        }
      }
      EXPECT_TRUE(answer.has_value());
      auto accepted = server->Receive(member.id(), *answer);
      EXPECT_TRUE(accepted.ok()) << accepted.status();
      if (accepted.ok() && accepted->has_value()) {
        EXPECT_TRUE(UnpackAndAdd(AsBytes((*accepted)->packed), bits, &sum).ok());
      }
    }
    EXPECT_TRUE(server->Complete());
    inbox.clear();
    const bool could = server->CanAdvance();
    absl::Status advanced = server->Advance(&inbox);
    if (!advanced.ok()) {
      EXPECT_EQ(advanced.code(), absl::StatusCode::kAborted);
      EXPECT_EQ(server->phase(), Phase::kAborted);
      EXPECT_FALSE(could);
      return {.status = advanced};
    }
    EXPECT_TRUE(could);
  }
  absl::Status opened = server->RemoveMasks(&sum);
  EXPECT_TRUE(opened.ok()) << opened;
  Outcome outcome{.sum = RingToSigned(sum, bits)};
  for (uint32_t v = 0; v < server->roster().size(); ++v) {
    if (!server->survivors()->Contains(v)) continue;
    for (uint32_t i = 0; i < cohort.members.size(); ++i) {
      if (cohort.members[i]->id() == server->roster()[v].client_id) outcome.survivors.push_back(i);
    }
  }
  return outcome;
}

std::vector<int64_t> SumOf(const CohortForTest& cohort, const std::vector<uint32_t>& who) {
  return cohort.SumOf(
      [&](uint32_t i) { return std::find(who.begin(), who.end(), i) != who.end(); });
}

TEST(SessionTest, TheSumOfEverybodyIsExact) {
  for (uint32_t members : {3u, 4u, 5u, 10u}) {
    for (uint32_t bits : {20u, 32u, 40u, 64u}) {
      CohortForTest cohort(members, 33, bits);
      Outcome outcome = RunSession(cohort, [](uint32_t) { return Phase::kFinished; });
      ASSERT_TRUE(outcome.status.ok()) << outcome.status;
      EXPECT_EQ(outcome.survivors.size(), members);
      EXPECT_EQ(outcome.sum, cohort.SumOf([](uint32_t) { return true; }));
    }
  }
}

TEST(SessionTest, OneMemberMayLeaveBeforeAnyPhase) {
  for (uint32_t members : {5u, 7u, 10u}) {
    for (uint32_t leaver : {0u, members / 2, members - 1}) {
      for (int phase = 0; phase < static_cast<int>(Phase::kFinished); ++phase) {
        CohortForTest cohort(members, 7, 24);
        Outcome outcome = RunSession(cohort, [&](uint32_t i) {
          return i == leaver ? static_cast<Phase>(phase) : Phase::kFinished;
        });
        ASSERT_TRUE(outcome.status.ok()) << outcome.status << ", " << members << " members, "
                                         << leaver << " leaves before phase " << phase;
        const bool counts = phase > static_cast<int>(Phase::kMaskedInput);
        EXPECT_EQ(outcome.survivors.size(), members - (counts ? 0 : 1));
        EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
      }
    }
  }
}

TEST(SessionTest, MembersMayLeaveAtDifferentPhases) {
  // Ten members and c_max 1: the quorum is 6, so four may be gone by the end.
  CohortForTest cohort(10, 50, 27);
  Outcome outcome = RunSession(cohort, [](uint32_t i) {
    switch (i) {
      case 1:
        return Phase::kShares;
      case 4:
        return Phase::kMaskedInput;
      case 6:
        return Phase::kConsent;
      case 9:
        return Phase::kUnmask;
      default:
        return Phase::kFinished;
    }
  });
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.survivors, (std::vector<uint32_t>{0, 2, 3, 5, 6, 7, 8, 9}));
  EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
}

TEST(SessionTest, RandomDropoutsGiveTheExactSumOrACleanEnd) {
  AesCtrRandom random = SeededRandom(99);
  int opened = 0;
  int ended = 0;
  for (int trial = 0; trial < 40; ++trial) {
    CohortForTest cohort(5 + static_cast<uint32_t>(random.NextU64() % 6), 5, 31);
    std::vector<Phase> leaves;
    for (size_t i = 0; i < cohort.members.size(); ++i) {
      leaves.push_back(random.NextU64() % 3 != 0 ? Phase::kFinished
                                                 : static_cast<Phase>(random.NextU64() % 5));
    }
    Outcome outcome = RunSession(cohort, [&](uint32_t i) { return leaves[i]; });
    if (outcome.status.ok()) {
      ++opened;
      EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
    } else {
      ++ended;
    }
  }
  EXPECT_GT(opened, 5);
  EXPECT_GT(ended, 5);
}

TEST(SessionTest, TooFewMembersEndItAtAnyPhaseWithTheNumbers) {
  for (int phase = 0; phase < static_cast<int>(Phase::kFinished); ++phase) {
    CohortForTest cohort(6, 5, 31);
    cohort.config.set_minimum_sum(5);
    cohort.config.set_minimum_roster(5);
    Outcome outcome = RunSession(
        cohort, [&](uint32_t i) { return i < 4 ? static_cast<Phase>(phase) : Phase::kFinished; });
    EXPECT_EQ(outcome.status.code(), absl::StatusCode::kAborted);
    EXPECT_NE(outcome.status.message().find("2 of 6"), std::string::npos) << outcome.status;
  }
}

TEST(SessionTest, EveryCertificateIsVerifiedOnceByEachEngine) {
  CohortForTest cohort(5, 5, 31);
  ASSERT_TRUE(RunSession(cohort, [](uint32_t) { return Phase::kFinished; }).status.ok());
  EXPECT_EQ(cohort.verifier.asked, 5 + 5 * 5);
}

TEST(SessionTest, ALargerCohortWorks) {
  CohortForTest cohort(40, 3, 20);
  cohort.config.set_max_corrupt(8);
  Outcome outcome =
      RunSession(cohort, [](uint32_t i) { return i < 3 ? Phase::kMaskedInput : Phase::kFinished; });
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.survivors.size(), 37u);
  EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
}

}  // namespace
}  // namespace dure::secagg
