// Masks that are expanded ahead of time (Client::PrepareMasks) change nothing in what is sent,
// whenever that is done, however much of it, and whoever leaves meanwhile.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 9;

struct Way {
  uint64_t words = 0;             // of one call; 0: nothing is prepared
  int calls = 1;                  // between two messages
  std::vector<uint32_t> leavers;  // answer nothing after the Roster
};

void Prepare(Client& client, const Way& way) {
  for (int call = 0; way.words != 0 && call < way.calls; ++call) client.PrepareMasks(way.words);
}

// The masked inputs of one session. Inputs come at three different times.
std::vector<std::string> MaskedInputs(CohortForTest& cohort, const Way& way) {
  cohort.Reseed(5);
  SessionRunForTest run(cohort);
  const auto leaves = [&](uint32_t i) {
    return std::find(way.leavers.begin(), way.leavers.end(), i) != way.leavers.end();
  };
  const auto input_of = [&](uint32_t i) { return cohort.members[i]->input; };
  for (uint32_t i = 0; i < kMembers; ++i) {
    run.Deliver(i, *run.client(i).StartFromOffer(run.server.offer()));
    Prepare(run.client(i), way);
    if (i % 3 == 0) {
      EXPECT_TRUE(run.client(i).SetInput(input_of(i)).ok());
    }
  }
  std::vector<DownMessage> messages = run.Advance();
  for (uint32_t i = 0; i < kMembers; ++i) {
    if (leaves(i)) {
      run.server.Drop(run.id(i));
      continue;
    }
    run.Deliver(i, **run.client(i).Receive(messages[i]));
    Prepare(run.client(i), way);
    if (i % 3 == 1) {
      EXPECT_TRUE(run.client(i).SetInput(input_of(i)).ok());
    }
    Prepare(run.client(i), way);
  }
  messages = run.Advance();
  std::vector<std::string> inputs;
  for (uint32_t i = 0; i < kMembers; ++i) {
    if (leaves(i)) continue;
    std::optional<UpMessage> answer = *run.client(i).Receive(messages[i]);
    if (i % 3 == 2) {
      EXPECT_FALSE(answer.has_value());
      Prepare(run.client(i), way);
      answer = *run.client(i).SetInput(input_of(i));
    }
    EXPECT_FALSE(run.client(i).PrepareMasks(1));  // it has been sent
    inputs.push_back(answer->masked_input().packed());
    run.Deliver(i, *answer);
  }
  messages = run.Advance();
  while (run.server.phase() < Phase::kFinished) {
    for (uint32_t i = 0; i < kMembers; ++i) {
      if (!leaves(i)) run.Deliver(i, **run.client(i).Receive(messages[i]));
    }
    messages = run.Advance();
  }
  EXPECT_TRUE(run.server.RemoveMasks(&run.sum).ok());
  EXPECT_EQ(RingToSigned(run.sum, static_cast<int>(cohort.config.bits())),
            cohort.SumOf([&](uint32_t i) { return !leaves(i); }));
  return inputs;
}

TEST(MasksAheadTest, WhatIsSentIsTheSame) {
  for (const auto& [bits, dim] : {std::pair{20u, 1u}, {20u, 5001u}, {40u, 1001u}}) {
    CohortForTest cohort(kMembers, dim, bits);
    for (const std::vector<uint32_t>& leavers : {std::vector<uint32_t>{}, {0}, {1, 4, 8}}) {
      const std::vector<std::string> expected = MaskedInputs(cohort, {.leavers = leavers});
      for (const Way& way : {Way{1, 1}, {20'000, 1}, {20'000, 3}, {900, 100}}) {
        EXPECT_EQ(MaskedInputs(cohort, {way.words, way.calls, leavers}), expected)
            << bits << " bits, " << dim << " elements, " << way.words << " words, " << way.calls
            << " calls, " << leavers.size() << " leave";
      }
    }
  }
}

TEST(MasksAheadTest, ItSaysWhetherThereIsMoreToDo) {
  CohortForTest cohort(kMembers, 1000, 20);
  SessionRunForTest run(cohort);
  EXPECT_FALSE(run.client(0).PrepareMasks(1));
  const std::vector<DownMessage> rosters = run.RunTo(Phase::kShares);
  EXPECT_FALSE(run.client(0).PrepareMasks(1));  // no masks before the Roster
  ASSERT_TRUE(run.client(0).Receive(rosters[0]).ok());
  uint64_t calls = 1;
  while (run.client(0).PrepareMasks(kMembers * 100)) ++calls;
  EXPECT_EQ(calls, 10u);  // 100 elements each, rounded up to whole blocks: 104
  EXPECT_FALSE(run.client(0).PrepareMasks(1));
}

TEST(MasksAheadTest, AnEndedSessionPreparesNothing) {
  CohortForTest cohort(kMembers, 1000, 20);
  SessionRunForTest run(cohort);
  const std::vector<DownMessage> rosters = run.RunTo(Phase::kShares);
  ASSERT_TRUE(run.client(0).Receive(rosters[0]).ok());
  EXPECT_TRUE(run.client(0).PrepareMasks(1));
  run.client(0).End(absl::AbortedError("gone"));
  EXPECT_FALSE(run.client(0).PrepareMasks(1));
}

}  // namespace
}  // namespace dure::secagg
