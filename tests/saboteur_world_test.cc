// A member that sends, at each step, what does not belong there: the round is released without it
// where that is possible, with the sum of the others, and the organiser reads who it was and why.
#include <functional>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::Model;
using testing::SmallFederation;
using testing::World;

using Spoil = std::function<void(secagg::UpMessage*)>;

struct Sabotage {
  std::string name;
  secagg::UpMessage::KindCase at;
  Spoil spoil;
};

void Drop(std::string* bytes) { bytes->pop_back(); }
void Lengthen(std::string* bytes) { bytes->push_back('\0'); }
void Replace(std::string* bytes) {
  std::mt19937 draw(3);
  for (char& c : *bytes) c = static_cast<char>(draw());
}

class SaboteurTest : public ::testing::TestWithParam<Sabotage> {};

TEST_P(SaboteurTest, TheOthersLoseNothing) {
  World world(SmallFederation(2), 5);
  world.marked_ = true;
  world.spoil_ = [&world](World::Node& node, ClientMessage* message) {
    if (node.name != "m4" || world.state_.attempts != AttemptNumber(1)) return;
    if (message->secagg().kind_case() == GetParam().at) {
      GetParam().spoil(message->mutable_secagg());
    }
  };
  world.ConnectAll();
  world.RunUntilReleased(1);
  ASSERT_EQ(world.state_.history.size(), 1u);
  EXPECT_EQ(world.state_.history[0].attempt, AttemptNumber(1));
  // After its input has been taken, what else it says costs nobody anything.
  const bool in_the_sum =
      GetParam().at == secagg::UpMessage::kConsent || GetParam().at == secagg::UpMessage::kUnmask;
  EXPECT_EQ(world.state_.history[0].survivors, in_the_sum ? 5u : 4u);
  for (int member = 0; member < 5; ++member) {
    const bool in = member != 4 || in_the_sum;
    EXPECT_NEAR(Model(world)[World::MarkOf(world.nodes_[member])], in ? 0.1 : 0, in ? 0.07 : 0.01)
        << "m" << member;
  }
  EXPECT_THAT(world.notes_, Contains(HasSubstr("m4")));
  world.RunUntilReleased(2);
  EXPECT_EQ(world.state_.round, RoundNumber(2));
}

using secagg::UpMessage;

INSTANTIATE_TEST_SUITE_P(
    EachStep, SaboteurTest,
    ::testing::Values(
        Sabotage{"KeysThatAreCut", UpMessage::kAdvertise,
                 [](UpMessage* up) { up->mutable_advertise()->mutable_mask_key()->resize(5); }},
        Sabotage{"NoKeys", UpMessage::kAdvertise,
                 [](UpMessage* up) { up->mutable_advertise()->Clear(); }},
        Sabotage{"NoShares", UpMessage::kShares,
                 [](UpMessage* up) { up->mutable_shares()->Clear(); }},
        Sabotage{"AShareTooFew", UpMessage::kShares,
                 [](UpMessage* up) { up->mutable_shares()->mutable_sealed()->RemoveLast(); }},
        Sabotage{"AShortInput", UpMessage::kMaskedInput,
                 [](UpMessage* up) { Drop(up->mutable_masked_input()->mutable_packed()); }},
        Sabotage{"ALongInput", UpMessage::kMaskedInput,
                 [](UpMessage* up) { Lengthen(up->mutable_masked_input()->mutable_packed()); }},
        Sabotage{"AnEmptyInput", UpMessage::kMaskedInput,
                 [](UpMessage* up) { up->mutable_masked_input()->clear_packed(); }},
        Sabotage{"AHugeInput", UpMessage::kMaskedInput,
                 [](UpMessage* up) {
                   up->mutable_masked_input()->mutable_packed()->resize(1 << 20, 'x');
                 }},
        Sabotage{
            "PaddingThatIsNotZero", UpMessage::kMaskedInput,
            [](UpMessage* up) { up->mutable_masked_input()->mutable_packed()->back() |= '\x80'; }},
        Sabotage{"AnInputThatWasNotSigned", UpMessage::kMaskedInput,
                 [](UpMessage* up) { Replace(up->mutable_masked_input()->mutable_packed()); }},
        Sabotage{"AnInputForAnotherSession", UpMessage::kMaskedInput,
                 [](UpMessage* up) { Replace(up->mutable_session_id()); }},
        Sabotage{"NothingInsteadOfAnInput", UpMessage::kMaskedInput,
                 [](UpMessage* up) { up->clear_kind(); }},
        Sabotage{"AConsentThatWasNotSigned", UpMessage::kConsent,
                 [](UpMessage* up) { Replace(up->mutable_consent()->mutable_signature()); }},
        Sabotage{"NoUnmasking", UpMessage::kUnmask,
                 [](UpMessage* up) { up->mutable_unmask()->Clear(); }}),
    [](const ::testing::TestParamInfo<Sabotage>& info) { return info.param.name; });

}  // namespace
}  // namespace dure
