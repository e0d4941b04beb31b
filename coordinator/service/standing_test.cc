#include "coordinator/service/standing.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace dure {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

secagg::MemberId Id(uint8_t number) {
  secagg::MemberId id{};
  id[0] = number;
  return id;
}

class StandingNewsTest : public ::testing::Test {
 protected:
  void Arrive(uint8_t number, Role role = MEMBER) {
    news_.Heard(run::Arrived{Id(number), absl::StrCat("clinic-", number), role});
  }
  void SayAvailable(uint8_t number, bool available) {
    ClientMessage message;
    message.mutable_availability()->set_available(available);
    news_.Heard(run::Said{Id(number), std::move(message)});
  }
  void Offer(uint8_t number, const std::string& session) {
    auto message = std::make_shared<ServerMessage>();
    message->mutable_offer()->mutable_offer()->set_session_id(session);
    news_.Sent({Id(number), std::move(message)});
  }
  void EndAttempt(uint8_t number, const std::string& session) {
    auto message = std::make_shared<ServerMessage>();
    message->mutable_attempt_ended()->set_session_id(session);
    news_.Sent({Id(number), std::move(message)});
  }
  // By member, what is told after `seconds`.
  std::map<uint8_t, Standing> Due(int seconds) {
    std::map<uint8_t, Standing> told;
    for (const StandingNews::News& news : news_.Due(status_, kStart + absl::Seconds(seconds))) {
      told[news.member[0]] = news.standing;
    }
    return told;
  }

  StandingNews news_{4};
  RunStatus status_;
};

TEST_F(StandingNewsTest, TooFewAreHere) {
  status_.set_state("waiting");
  Arrive(1);
  Arrive(2);
  Arrive(9, EVALUATOR);
  auto told = Due(0);
  ASSERT_EQ(told.size(), 2u) << "evaluators wait for nobody";
  EXPECT_EQ(told[1].state(), Standing::TOO_FEW_MEMBERS);
  EXPECT_EQ(told[1].here(), 2u);
  EXPECT_EQ(told[1].needed(), 4u);
  EXPECT_TRUE(Due(10).empty()) << "nothing has changed";
  SayAvailable(2, false);
  EXPECT_EQ(Due(11)[1].here(), 1u) << "who is not to be asked is not here";
}

TEST_F(StandingNewsTest, AMemberIsToldOnceAFewSecondsAtMost) {
  status_.set_state("waiting");
  Arrive(1);
  EXPECT_EQ(Due(0).size(), 1u);
  Arrive(2);
  EXPECT_EQ(Due(1).size(), 1u) << "the new one only";
  const auto told = Due(3);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told.at(1).here(), 2u);
}

TEST_F(StandingNewsTest, WhoIsNotSelectedAndWhoWaitsForOthers) {
  status_.set_state("running");
  for (uint8_t number : {1, 2, 3, 4}) Arrive(number);
  for (uint8_t number : {1, 2, 3}) Offer(number, "s");
  status_.add_awaited("clinic-1");
  status_.add_awaited("clinic-2");
  auto told = Due(0);
  ASSERT_EQ(told.size(), 2u) << "those who are awaited know what they do";
  EXPECT_EQ(told[3].state(), Standing::OTHERS_AWAITED);
  EXPECT_EQ(told[3].here(), 1u);
  EXPECT_EQ(told[3].needed(), 3u);
  EXPECT_EQ(told[4].state(), Standing::NOT_SELECTED);
  // The attempt ends, and another begins with the fourth.
  for (uint8_t number : {1, 2, 3}) EndAttempt(number, "s");
  for (uint8_t number : {2, 3, 4}) Offer(number, "t");
  told = Due(10);
  EXPECT_EQ(told[1].state(), Standing::NOT_SELECTED);
  EXPECT_EQ(told[4].state(), Standing::OTHERS_AWAITED);
  EXPECT_FALSE(told.contains(2));
}

TEST_F(StandingNewsTest, APauseAndItsEnd) {
  status_.set_state("paused");
  Arrive(1);
  EXPECT_EQ(Due(0)[1].state(), Standing::PAUSED);
  status_.set_state("evaluating");
  EXPECT_EQ(Due(5)[1].state(), Standing::STATE_UNSPECIFIED);
  EXPECT_TRUE(Due(10).empty());
}

TEST_F(StandingNewsTest, WhoComesBackIsToldAnew) {
  status_.set_state("waiting");
  Arrive(1);
  EXPECT_EQ(Due(0).size(), 1u);
  news_.Heard(run::Left{Id(1)});
  EXPECT_TRUE(Due(1).empty());
  Arrive(1);
  EXPECT_EQ(Due(2).size(), 1u);
}

}  // namespace
}  // namespace dure
