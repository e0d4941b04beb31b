// That a world is a function of its seed, and that what it looks for can be seen: see also the
// canaries in CMakeLists.txt.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/world/seeded_world.h"

namespace dure::world {
namespace {

struct Told {
  Outcome outcome;
  std::vector<std::string> lines;
};

Told RunOf(uint64_t seed) {
  Told told;
  told.outcome = SeededWorld(DrawScenario(seed), [&](std::string_view line) {
                   told.lines.emplace_back(line);
                 }).Run();
  return told;
}

TEST(WorldSeedTest, TheSameSeedGivesTheSameTrace) {
  std::set<Digest> traces;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const Told first = RunOf(seed), second = RunOf(seed);
    EXPECT_EQ(first.lines, second.lines) << "seed " << seed;
    EXPECT_EQ(first.outcome.trace, second.outcome.trace) << "seed " << seed;
    EXPECT_EQ(first.outcome.counts, second.outcome.counts) << "seed " << seed;
    EXPECT_TRUE(traces.insert(first.outcome.trace).second) << "seed " << seed;
  }
}

TEST(WorldSeedTest, WhatRanBeforeDoesNotMatter) {
  const Digest alone = RunOf(77).outcome.trace;
  RunOf(78);
  EXPECT_EQ(RunOf(77).outcome.trace, alone);
}

TEST(WorldSeedTest, ScenariosDiffer) {
  std::set<std::string> texts;
  size_t hostile = 0, dishonest = 0, plain = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const Scenario scenario = DrawScenario(seed);
    texts.insert(scenario.text);
    hostile += scenario.hostile;
    dishonest += !scenario.dishonest.empty();
    plain += !scenario.spec.secure_aggregation().enabled();
    EXPECT_EQ(DrawScenario(seed).text, scenario.text);
  }
  EXPECT_GT(texts.size(), 90u);
  EXPECT_GT(hostile, 20u);
  EXPECT_GT(dishonest, 5u);
  EXPECT_GT(plain, 5u);
}

}  // namespace
}  // namespace dure::world
