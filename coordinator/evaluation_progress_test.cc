#include "coordinator/evaluation_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dure {
namespace {

using ::testing::ElementsAre;

EvaluationReceived Of(uint32_t round, const std::string& evaluator, double loss,
                      uint64_t records = 100) {
  EvaluationReceived evaluation{.round = RoundNumber(round), .evaluator = evaluator};
  evaluation.metrics.set_loss(loss);
  evaluation.metrics.set_records(records);
  return evaluation;
}

uint32_t BestRound(const EvaluationProgress& progress) {
  const auto best = progress.best();
  return best ? best->round.value() : 0;
}

TEST(EvaluationProgressTest, NothingIsBestBeforeTheFirst) {
  const EvaluationProgress progress({.patience = 1});
  EXPECT_FALSE(progress.best().has_value());
  EXPECT_TRUE(progress.candidates().empty());
  EXPECT_FALSE(progress.exhausted());
}

TEST(EvaluationProgressTest, OneEvaluatorsLossesInARow) {
  EvaluationProgress progress({.patience = 2});
  progress.Add(Of(10, "a", 1.0));
  EXPECT_EQ(BestRound(progress), 10u);
  progress.Add(Of(20, "a", 0.5));
  EXPECT_EQ(BestRound(progress), 20u);
  EXPECT_EQ(progress.without_improvement(), 0u);
  progress.Add(Of(30, "a", 0.5));  // as low is not lower
  EXPECT_EQ(progress.without_improvement(), 1u);
  progress.Add(Of(40, "a", 0.4));
  EXPECT_EQ(progress.without_improvement(), 0u);
  progress.Add(Of(50, "a", 0.45));
  EXPECT_FALSE(progress.exhausted());
  progress.Add(Of(60, "a", 0.41));
  EXPECT_TRUE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 40u);
  EXPECT_EQ(progress.best()->loss, 0.4);
  progress.Add(Of(70, "a", 0.1));  // of an attempt that was under way
  EXPECT_TRUE(progress.exhausted());
  EXPECT_EQ(progress.without_improvement(), 2u);
  EXPECT_EQ(BestRound(progress), 70u);
}

TEST(EvaluationProgressTest, WithoutPatienceItNeverEnds) {
  EvaluationProgress progress;
  for (uint32_t round = 1; round < 50; ++round) progress.Add(Of(round, "a", round));
  EXPECT_FALSE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 1u);
}

// What counts as lower is measured from the last that did; the best is the lowest all the same.
TEST(EvaluationProgressTest, SmallImprovementsDoNotCountButMakeTheBest) {
  EvaluationProgress progress({.patience = 3, .min_improvement = 0.1});
  progress.Add(Of(1, "a", 1.0));
  progress.Add(Of(2, "a", 0.95));
  progress.Add(Of(3, "a", 0.92));
  EXPECT_EQ(progress.without_improvement(), 2u);
  EvaluationProgress falls = progress;
  falls.Add(Of(4, "a", 0.89));
  EXPECT_EQ(falls.without_improvement(), 0u);
  progress.Add(Of(4, "a", 0.91));
  EXPECT_TRUE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 4u);
}

TEST(EvaluationProgressTest, TheMeanIsWeightedByRecords) {
  EvaluationProgress progress({.patience = 1});
  progress.Add(Of(1, "a", 1.0, 300));
  progress.Add(Of(1, "b", 2.0, 100));
  EXPECT_DOUBLE_EQ(progress.best()->loss, 1.25);
  EXPECT_EQ(progress.best()->records, 400u);
  progress.Add(Of(2, "a", 0.9, 300));
  EXPECT_FALSE(progress.exhausted());  // b has not said anything
  progress.Add(Of(2, "b", 2.2, 100));  // 0.9 * 3 + 2.2 = 4.9 of 5
  EXPECT_FALSE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 2u);
  progress.Add(Of(3, "b", 1.9, 100));
  progress.Add(Of(3, "a", 1.1, 300));  // 5.2
  EXPECT_TRUE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 2u);
}

TEST(EvaluationProgressTest, AnEvaluatorThatLeavesHoldsUpOneMeasurement) {
  EvaluationProgress progress({.patience = 2});
  for (const char* name : {"a", "b"}) progress.Add(Of(1, name, 1.0));
  progress.Add(Of(2, "a", 1.5));
  EXPECT_EQ(progress.without_improvement(), 0u);
  progress.Add(Of(3, "a", 1.5));  // now 2 counts, and of 3 nobody is waited for
  EXPECT_EQ(progress.without_improvement(), 2u);
  EXPECT_TRUE(progress.exhausted());
}

TEST(EvaluationProgressTest, RoundsAreComparedByThoseWhoMeasuredBoth) {
  EvaluationProgress progress({.patience = 1});
  progress.Add(Of(1, "easy", 0.1));
  progress.Add(Of(1, "hard", 3.0));
  progress.Add(Of(2, "hard", 2.9));
  progress.Add(Of(3, "hard", 2.8));  // 2.8 is above the mean of round 1, but hard has it lower
  EXPECT_FALSE(progress.exhausted());
  EXPECT_EQ(BestRound(progress), 3u);
}

TEST(EvaluationProgressTest, WithOthersItBeginsAnew) {
  EvaluationProgress progress({.patience = 2});
  progress.Add(Of(1, "a", 0.1));
  progress.Add(Of(2, "b", 5.0));
  progress.Add(Of(3, "b", 6.0));
  EXPECT_EQ(progress.without_improvement(), 1u);
  EXPECT_EQ(BestRound(progress), 2u);
}

TEST(EvaluationProgressTest, LateAnswersChangeNothingThatWasCounted) {
  EvaluationProgress progress({.patience = 5});
  progress.Add(Of(1, "a", 1.0));
  progress.Add(Of(2, "a", 2.0));
  progress.Add(Of(1, "slow", 0.0));
  progress.Add(Of(3, "a", 3.0));  // slow was heard: it is waited for
  EXPECT_EQ(progress.without_improvement(), 1u);
  progress.Add(Of(3, "slow", 0.0));
  EXPECT_EQ(progress.without_improvement(), 2u);
  EXPECT_EQ(BestRound(progress), 1u);
}

TEST(EvaluationProgressTest, NoRecordsSayNothing) {
  EvaluationProgress progress({.patience = 1});
  progress.Add(Of(1, "a", 1.0, 0));
  EXPECT_FALSE(progress.best().has_value());
}

// The models that a store must not remove: the best and the one that is being measured.
TEST(EvaluationProgressTest, CandidatesAreAllThatCanStillBeBest) {
  EvaluationProgress progress;
  progress.Add(Of(1, "a", 1.0));
  progress.Add(Of(1, "b", 1.0));
  EXPECT_THAT(progress.candidates(), ElementsAre(RoundNumber(1)));
  progress.Add(Of(2, "a", 0.5));
  EXPECT_THAT(progress.candidates(), ElementsAre(RoundNumber(1), RoundNumber(2)));
  EXPECT_EQ(BestRound(progress), 2u);
  progress.Add(Of(2, "b", 9.0));
  EXPECT_EQ(BestRound(progress), 1u);
  EXPECT_THAT(progress.candidates(), ElementsAre(RoundNumber(1)));
}

}  // namespace
}  // namespace dure
