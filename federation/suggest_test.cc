#include "federation/suggest.h"

#include <gtest/gtest.h>

namespace dure {
namespace {

TEST(SuggestTest, DistanceCountsInsertedDeletedChangedAndSwapped) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("count", "count"), 0u);
  EXPECT_EQ(EditDistance("", "count"), 5u);
  EXPECT_EQ(EditDistance("count", "cout"), 1u);
  EXPECT_EQ(EditDistance("count", "counts"), 1u);
  EXPECT_EQ(EditDistance("count", "coant"), 1u);
  EXPECT_EQ(EditDistance("count", "cuont"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(SuggestTest, LongWordsAreCut) {
  EXPECT_EQ(EditDistance(std::string(5000, 'a'), std::string(5000, 'b')), 64u);
}

TEST(SuggestTest, NearestWordIsNearEnough) {
  const std::vector<std::string> known = {"count", "cohort", "minimum"};
  EXPECT_EQ(NearestWord("cuont", known), "count");
  EXPECT_EQ(NearestWord("minimun", known), "minimum");
  EXPECT_EQ(NearestWord("cohert", known), "cohort");
  EXPECT_EQ(NearestWord("learning_rate", known), "");
  EXPECT_EQ(NearestWord("", known), "");
}

TEST(SuggestTest, WhatThereIsNotIsSaidWithWhatThereIs) {
  const std::vector<std::string> known = {"cnn", "mlp"};
  EXPECT_EQ(NoSuchWord("model", "cnnn", known),
            "there is no model \"cnnn\": did you mean \"cnn\"?");
  EXPECT_EQ(NoSuchWord("model", "vit", known), "there is no model \"vit\": choose one of cnn, mlp");
}

}  // namespace
}  // namespace dure
