#include "simulation/attack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "simulation/spec.h"

namespace dure::simulation {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

using Floats = std::vector<float>;
using Integers = std::vector<int64_t>;

AttackSection Section(const std::string& keys) {
  return ParseSimulation(
             "federation = \"f\"\ndata = \"d\"\n[clients]\ncount = 10\n[attack]\n" + keys, "s.toml")
      .value()
      .attack();
}

// Everybody is byzantine.
Attack All(const std::string& keys, uint64_t seed = 1) {
  return Attack(Section("byzantine = 1.0\n" + keys), 10, seed);
}

LocalUpdate Altered(const Attack& attack, LocalUpdate update, uint32_t client = 2) {
  attack.Alter(4, client, &update);
  return update;
}

double Norm(const Floats& values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  return std::sqrt(squares);
}

TEST(AttackTest, AFixedShareIsByzantine) {
  const AttackSection section = Section("byzantine = 0.25\n");
  const Attack attack(section, 1000, 1);
  const Attack same(section, 1000, 1), other(section, 1000, 2);
  int count = 0, common = 0;
  for (uint32_t client = 0; client < 1000; ++client) {
    count += attack.Byzantine(client);
    EXPECT_EQ(attack.Byzantine(client), same.Byzantine(client));
    common += attack.Byzantine(client) && other.Byzantine(client);
  }
  EXPECT_EQ(count, 250);
  EXPECT_EQ(attack.count(), 250u);
  // Hypergeometric: 62.5 on average, standard deviation 5.9.
  EXPECT_NEAR(common, 62.5, 36);
  const Attack none(Section(""), 1000, 1);
  EXPECT_EQ(none.count(), 0u);
  EXPECT_FALSE(none.Byzantine(3) || none.colludes() || none.poisons_labels() ||
               none.alters_updates());
}

TEST(AttackTest, SignsAreFlippedAndUpdatesScaled) {
  const Floats update = {1, -2, 0.5};
  EXPECT_EQ(std::get<Floats>(Altered(All("kind = \"sign_flip\"\n"), update)),
            Floats({-1, 2, -0.5}));
  EXPECT_EQ(std::get<Floats>(Altered(All("kind = \"sign_flip\"\nstrength = 5\n"), update)),
            Floats({-5, 10, -2.5}));
  EXPECT_EQ(std::get<Floats>(Altered(All("kind = \"scale\"\n"), update)), Floats({10, -20, 5}));
  EXPECT_EQ(
      std::get<Integers>(Altered(All("kind = \"scale\"\nstrength = 2.5\n"), Integers({3, -4, 0}))),
      Integers({8, -10, 0}));  // 7.5 to even
}

TEST(AttackTest, NothingOverflows) {
  const auto floats =
      std::get<Floats>(Altered(All("kind = \"scale\"\nstrength = 1e6\n"), Floats({3e38f, -3e38f})));
  EXPECT_THAT(floats,
              ElementsAre(std::numeric_limits<float>::max(), -std::numeric_limits<float>::max()));
  const int64_t large = int64_t{1} << 60;
  EXPECT_THAT(std::get<Integers>(
                  Altered(All("kind = \"scale\"\nstrength = 1e6\n"), Integers({large, -large}))),
              ElementsAre(int64_t{1} << 61, -(int64_t{1} << 61)));
}

TEST(AttackTest, ZeroAndConstantUpdates) {
  EXPECT_THAT(std::get<Floats>(Altered(All("kind = \"zero\"\n"), Floats({1, 2}))), Each(0.f));
  const auto constant =
      std::get<Floats>(Altered(All("kind = \"constant\"\nstrength = 3\n"), Floats({3, -4, 0, 0})));
  EXPECT_THAT(constant, Each(7.5f));  // four of them are 15 long, three times 5
}

TEST(AttackTest, NoiseIsAsLongAsItSaysAndOfTheClientAndTheAttempt) {
  const Floats update(100'001, 0.5f);
  const Attack attack = All("kind = \"noise\"\nstrength = 2\n");
  auto altered = std::get<Floats>(Altered(attack, update));
  EXPECT_EQ(std::get<Floats>(Altered(attack, update)), altered);
  EXPECT_NE(std::get<Floats>(Altered(attack, update, 3)), altered);
  EXPECT_NE(std::get<Floats>(Altered(All("kind = \"noise\"\nstrength = 2\n", 2), update)), altered);
  double mean = 0;
  for (size_t i = 0; i < update.size(); ++i) {
    altered[i] -= update[i];
    mean += altered[i];
  }
  // The length of n normal numbers is within 1 / sqrt(2 n) of what it should be.
  EXPECT_NEAR(Norm(altered) / Norm(update), 2, 2 * 6 / std::sqrt(2.0 * 100'001));
  EXPECT_NEAR(mean / 100'001, 0, 6 / std::sqrt(100'001.0));
}

TEST(AttackTest, LabelsAreTurnedAroundInTheDataOfByzantineClientsOnly) {
  const Partition clients(std::vector<uint32_t>{0, 0, 1, 1, 2, 2}, 3);
  const Floats labels = {0, 1, 2, 0, 1, 2};
  const Attack all(Section("byzantine = 1.0\nkind = \"label_flip\"\n"), 3, 1);
  ASSERT_TRUE(all.poisons_labels());
  Floats poisoned = labels;
  all.PoisonLabels(clients, 3, &poisoned);
  EXPECT_EQ(poisoned, Floats({2, 1, 0, 2, 1, 0}));
  const Attack some(Section("byzantine = 0.34\nkind = \"label_flip\"\nfrom_label = 2\n"
                            "to_label = 0\n"),
                    3, 1);
  EXPECT_EQ(some.count(), 1u);
  poisoned = labels;
  some.PoisonLabels(clients, 3, &poisoned);
  for (uint32_t client = 0; client < 3; ++client) {
    for (const uint32_t record : clients.Of(client)) {
      EXPECT_EQ(poisoned[record],
                some.Byzantine(client) && labels[record] == 2 ? 0 : labels[record]);
    }
  }
}

// By hand: means 2 and 0, deviations (over three) sqrt(8 / 3) and 0.
TEST(CollusionTest, ALittleIsEnoughIsTheMeanLessSomeDeviations) {
  const Attack attack = All("kind = \"a_little_is_enough\"\nstrength = 1.5\n");
  ASSERT_TRUE(attack.colludes());
  Collusion collusion(attack, 10);
  for (const float value : {0.f, 2.f, 4.f}) collusion.Add(Floats({value, 0}));
  const auto sent = std::get<Floats>(collusion.Finish());
  EXPECT_FLOAT_EQ(sent[0], static_cast<float>(2 - 1.5 * std::sqrt(8.0 / 3)));
  EXPECT_EQ(sent[1], 0);
}

// By hand: of 50 with 24 poisoned, s = 2 and 24 of 26 are 0.923, z = 1.426; of 40 with 12, s = 9
// and 19 of 28 are 0.679, z = 0.464.
TEST(CollusionTest, TheRuleOfThePaper) {
  EXPECT_NEAR(LittleEnough(50, 24), 1.426, 0.001);
  EXPECT_NEAR(LittleEnough(40, 12), 0.464, 0.001);
  EXPECT_NEAR(LittleEnough(10, 1), 0, 1e-9);
  EXPECT_NEAR(LittleEnough(10, 9), 8, 1e-9);
  EXPECT_NEAR(LittleEnough(10, 10), 8, 1e-9);
  const Attack attack = All("kind = \"a_little_is_enough\"\n");
  Collusion three(attack, 6);
  for (const float value : {0.f, 2.f, 4.f}) three.Add(Floats({value}));
  // Of 6 with 3, s = 1 and 2 of 3 are 0.667, z = 0.4307.
  EXPECT_NEAR(std::get<Floats>(three.Finish())[0], 2 - 0.4307 * std::sqrt(8.0 / 3), 1e-3);
}

TEST(CollusionTest, InnerProductsAreTurnedAround) {
  const Attack attack = All("kind = \"inner_product\"\nstrength = 0.5\n");
  Collusion floats(attack, 10), integers(attack, 10);
  floats.Add(Floats({1, -2}));
  floats.Add(Floats({3, -2}));
  EXPECT_EQ(std::get<Floats>(floats.Finish()), Floats({-1, 1}));
  integers.Add(Integers({100, -8}));
  integers.Add(Integers({300, -8}));
  EXPECT_EQ(std::get<Integers>(integers.Finish()), Integers({-100, 4}));
}

}  // namespace
}  // namespace dure::simulation
