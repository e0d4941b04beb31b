#include "learner/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Card(const std::map<std::string, std::string>& metadata) {
  absl::StatusOr<Architecture> architecture = MakeArchitecture("logistic_regression", {4}, 2);
  EXPECT_TRUE(architecture.ok()) << architecture.status();
  return ModelCard(metadata, *architecture, 10);
}

TEST(ModelCardTest, OneRecordAndTheMembersNoise) {
  const std::string card = Card({{"dure.privacy_unit", "record"},
                                 {"dure.mode", "gradient"},
                                 {"dure.secure_aggregation", "true"},
                                 {"dure.epsilon", "1.635201"},
                                 {"dure.delta", "1e-05"}});
  EXPECT_THAT(card, HasSubstr("Record-level differential privacy: epsilon = 1.64 at delta = 1e-05, "
                              "for one record. Whether any single record took part"));
  EXPECT_THAT(card, HasSubstr("the coordinator saw noised sums only"));
  EXPECT_THAT(card, HasSubstr("- differential-privacy\n"));
}

TEST(ModelCardTest, OneMemberAndATrustedCoordinator) {
  const std::string card = Card({{"dure.privacy_unit", "client"},
                                 {"dure.mode", "epochs"},
                                 {"dure.secure_aggregation", "false"},
                                 {"dure.epsilon", "2.000000"},
                                 {"dure.delta", "1e-05"}});
  EXPECT_THAT(card, HasSubstr("Member-level differential privacy: epsilon = 2.00"));
  EXPECT_THAT(card, HasSubstr("What any single member contributed"));
  EXPECT_THAT(card, HasSubstr("the coordinator, which saw every member's update and was trusted"));
}

TEST(ModelCardTest, NoiseOfEachMemberItself) {
  const std::string card = Card({{"dure.privacy_unit", "record"},
                                 {"dure.mode", "dp_sgd"},
                                 {"dure.secure_aggregation", "false"},
                                 {"dure.epsilon", "12"}});
  EXPECT_THAT(card, HasSubstr("epsilon = 12.00 at delta = (not stated)"));
  EXPECT_THAT(card, HasSubstr("An epsilon above 10 promises next to nothing"));
  EXPECT_THAT(card, HasSubstr("Each member added the noise itself"));
  EXPECT_THAT(card, Not(HasSubstr("changes little")));
}

TEST(ModelCardTest, NoPrivacyIsSaidSo) {
  const std::string sums =
      Card({{"dure.privacy_unit", "none"}, {"dure.secure_aggregation", "true"}});
  EXPECT_THAT(sums, HasSubstr("None: no noise was added"));
  EXPECT_THAT(sums, HasSubstr("sums of the members' updates only"));
  EXPECT_THAT(sums, Not(HasSubstr("differential")));
  EXPECT_THAT(Card({{"dure.privacy_unit", "none"}, {"dure.secure_aggregation", "false"}}),
              HasSubstr("The coordinator saw each member's update."));
}

TEST(ModelCardTest, WhatIsNotStatedIsNotClaimed) {
  for (const char* epsilon : {"", "inf", "nan", "-1", "low"}) {
    EXPECT_THAT(Card({{"dure.epsilon", epsilon}}), HasSubstr("states no privacy guarantee"));
  }
  EXPECT_THAT(Card({{"dure.federation", "clinics"}, {"dure.license", "x\ny: z"}}),
              HasSubstr("license: \"x\\ny: z\"\n"));
}

}  // namespace
}  // namespace dure
