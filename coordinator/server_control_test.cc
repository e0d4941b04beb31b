#include "coordinator/server_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ServerControlTest, MovesByTheShareOfThePopulation) {
  ServerControl control(2, 10);
  RoundTerms terms;
  terms.control_scale = 0.5;
  const float mean[] = {1, -2};
  control.Move(mean, 5, terms);
  EXPECT_THAT(control.values(), ElementsAre(1, -2));
  control.Move(mean, 10, terms);
  EXPECT_THAT(control.values(), ElementsAre(3, -6));
}

TEST(ServerControlTest, ComesBackWithTheOptimiser) {
  ServerControl control(2, 1);
  const float mean[] = {0.5f, 4};
  control.Move(mean, 1, RoundTerms());
  const std::string saved = control.Save("optimiser");
  ServerControl again(2, 1);
  EXPECT_EQ(*again.Load(saved), "optimiser");
  EXPECT_THAT(again.values(), ElementsAre(0.5f, 4));
}

TEST(ServerControlTest, WithoutAVariateTheOptimiserIsAlone) {
  ServerControl control;
  EXPECT_EQ(control.Save("optimiser"), "optimiser");
  EXPECT_EQ(*control.Load("optimiser"), "optimiser");
}

TEST(ServerControlTest, DamageIsFound) {
  const std::string saved = ServerControl(3, 1).Save("");
  EXPECT_EQ(saved.size(), 4 + 32 + 12u);
  ServerControl control(3, 1);
  EXPECT_TRUE(control.Load(saved).ok());
  for (size_t i = 0; i < saved.size(); ++i) {
    std::string changed = saved;
    changed[i] ^= 1;
    EXPECT_TRUE(absl::IsDataLoss(control.Load(changed).status())) << i;
    EXPECT_TRUE(absl::IsDataLoss(control.Load(saved.substr(0, i)).status())) << i;
  }
  EXPECT_THAT(std::string(control.Load("DSOS").status().message()),
              HasSubstr("has no control variate of 3 numbers"));
}

}  // namespace
}  // namespace dure
