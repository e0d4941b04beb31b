// Who shares secrets with whom, against tests/golden/graph.csv and for what every graph must be.
#include "privacy/secagg/graph.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>

#include "gtest/gtest.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/session_for_test.h"
#include "tests/support/golden.h"

namespace dure::secagg {
namespace {

std::vector<uint32_t> Integers(const std::string& text) {
  std::istringstream stream(text);
  std::vector<uint32_t> values;
  for (uint32_t value; stream >> value;) values.push_back(value);
  return values;
}

std::vector<uint32_t> Values(const std::vector<ClientIndex>& members) {
  std::vector<uint32_t> values;
  for (const ClientIndex member : members) values.push_back(member.value());
  return values;
}

Digest Bytes(uint8_t first) {
  Digest digest = {};
  digest[0] = first;
  return digest;
}

// Symmetric, without self-loops, each member's list ascending and PositionOfHolder its inverse.
void ExpectSound(const Graph& graph) {
  for (uint32_t i = 0; i < graph.members(); ++i) {
    const ClientIndex member(i);
    const std::vector<ClientIndex> neighbours = graph.Neighbours(member);
    ASSERT_EQ(neighbours.size(), graph.degree(member));
    EXPECT_TRUE(std::is_sorted(neighbours.begin(), neighbours.end()));
    uint32_t found = 0;
    for (uint32_t j = 0; j < graph.members(); ++j) {
      const ClientIndex other(j);
      const bool is = graph.AreNeighbours(member, other);
      EXPECT_EQ(is, graph.AreNeighbours(other, member));
      EXPECT_EQ(is, std::binary_search(neighbours.begin(), neighbours.end(), other));
      if (!is) continue;
      EXPECT_NE(i, j);
      EXPECT_EQ(graph.GroupOf(member), graph.GroupOf(other));
      EXPECT_EQ(graph.PositionOfHolder({.dealer = member, .holder = other}), found);
      EXPECT_EQ(graph.ShareX({.dealer = member, .holder = other}), found + 1);
      ++found;
    }
    EXPECT_EQ(found, neighbours.size());
  }
}

TEST(GraphTest, RingsAreTheKnownOnes) {
  int checked = 0;
  for (const testing::Row& row : testing::ReadGolden("graph.csv")) {
    const auto n = static_cast<uint32_t>(std::stoul(row.at("n")));
    const auto degree = static_cast<uint32_t>(std::stoul(row.at("degree_k")));
    Digest t1 = {};
    for (size_t i = 0; i < t1.size(); ++i) {
      t1[i] = static_cast<uint8_t>(std::stoul(row.at("T1_hex").substr(2 * i, 2), nullptr, 16));
    }
    EXPECT_EQ(MemberOrder(t1, n), Integers(row.at("ring_permutation")));
    const Graph graph = Graph::Ring(n, degree, t1);
    const ClientIndex vertex(static_cast<uint32_t>(std::stoul(row.at("vertex"))));
    EXPECT_EQ(Values(graph.Neighbours(vertex)), Integers(row.at("neighbours_ascending")));
    ++checked;
  }
  EXPECT_GT(checked, 10);
}

TEST(GraphTest, EveryGraphIsSound) {
  for (uint32_t n : {2u, 3u, 7u, 255u}) ExpectSound(Graph::Complete(n));
  for (const auto& [n, degree] : {std::pair{5u, 2u}, {12, 6}, {130, 128}, {200, 40}}) {
    const Graph graph = Graph::Ring(n, degree, Bytes(7));
    ExpectSound(graph);
    for (uint32_t i = 0; i < n; ++i) EXPECT_EQ(graph.degree(ClientIndex(i)), degree);
  }
  for (const auto& [n, groups] : {std::pair{6u, 2u}, {7, 3}, {50, 7}, {100, 10}}) {
    const Graph graph = Graph::Groups(n, groups, Bytes(9));
    ExpectSound(graph);
    uint32_t total = 0;
    for (uint32_t g = 0; g < groups; ++g) {
      EXPECT_GE(graph.GroupSize(g), n / groups);
      EXPECT_LE(graph.GroupSize(g), n / groups + 1);
      total += graph.GroupSize(g);
    }
    EXPECT_EQ(total, n);
  }
}

TEST(GraphTest, EveryBitOfT1ChangesTheOrder) {
  std::set<std::vector<uint32_t>> seen = {MemberOrder(Digest{}, 50)};
  for (size_t bit = 0; bit < 256; ++bit) {
    Digest t1 = {};
    t1[bit / 8] = static_cast<uint8_t>(1 << bit % 8);
    EXPECT_TRUE(seen.insert(MemberOrder(t1, 50)).second) << bit;
  }
}

TEST(GraphTest, EveryMemberComesToEveryPlaceAboutEquallyOften) {
  // Chi-squared over 12 x 12 cells of 3,000 draws: 121 degrees of freedom, a standard deviation of
  // 15.6; beyond 121 + 8 of them with probability far below 1e-9. The draws are fixed.
  constexpr uint32_t kMembers = 12;
  constexpr int kDraws = 3000;
  std::vector<int> counts(kMembers * kMembers);
  for (int i = 0; i < kDraws; ++i) {
    const Digest t1 = Transcript("draw").AddU32(static_cast<uint32_t>(i)).Hash();
    const std::vector<uint32_t> order = MemberOrder(t1, kMembers);
    for (uint32_t p = 0; p < kMembers; ++p) ++counts[p * kMembers + order[p]];
  }
  double chi2 = 0;
  const double expected = double{kDraws} / kMembers;
  for (int count : counts) chi2 += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi2, 121 + 8 * 15.6);
  EXPECT_GT(chi2, 121 - 6 * 15.6);
}

// Whether the honest survivors are connected over edges between honest survivors.
bool HonestAreConnected(const Graph& graph, const MemberSet& survivors, const MemberSet& corrupt) {
  std::vector<ClientIndex> open;
  MemberSet seen(graph.members());
  uint32_t honest = 0;
  for (uint32_t i = 0; i < graph.members(); ++i) {
    if (!survivors.Contains(i) || corrupt.Contains(i)) continue;
    ++honest;
    if (open.empty() && seen.count() == 0) {
      open.push_back(ClientIndex(i));
      seen.Insert(i);
    }
  }
  while (!open.empty()) {
    const ClientIndex member = open.back();
    open.pop_back();
    for (const ClientIndex other : graph.Neighbours(member)) {
      if (!survivors.Contains(other.value()) || corrupt.Contains(other.value()) ||
          seen.Contains(other.value())) {
        continue;
      }
      seen.Insert(other.value());
      open.push_back(other);
    }
  }
  return seen.count() == honest;
}

// Section 1.3: whoever drops out, two whole arcs of the ring included, the honest survivors stay
// connected if every survivor has t neighbours among the survivors.
TEST(GraphTest, HonestSurvivorsStayConnectedUnderTheCheckOfStepSix) {
  auto rules = ComputeSessionRules({.rule = {.kind = GraphRuleName::Kind::kRing},
                                    .members = 300,
                                    .max_corrupt = 15,
                                    .minimum_sum = 3,
                                    .max_dropout = 0.05,
                                    .security_bits = 40});
  ASSERT_TRUE(rules.ok()) << rules.status();
  ASSERT_TRUE(rules->sparse);
  AesCtrRandom random = SeededRandom(5);
  int passed = 0;
  int refused = 0;
  for (int trial = 0; trial < 300; ++trial) {
    Digest t1;
    random.Fill(t1);
    const Graph graph = rules->MakeGraph(t1);
    MemberSet corrupt(300);
    while (corrupt.count() < 15) corrupt.Insert(random.NextU64() % 300);  // static: before T1
    // Two arcs leave, of a length around what the check allows, after T1 is known.
    const std::vector<uint32_t> order = MemberOrder(t1, 300);
    const uint32_t reach = rules->smaller.neighbours / 2;
    const uint32_t length = trial % 3 == 0 ? random.NextU64() % (2 * reach) : random.NextU64() % 30;
    const uint32_t first = random.NextU64() % 300;
    const uint32_t second = random.NextU64() % 300;
    MemberSet gone(300);
    for (uint32_t p = 0; p < length; ++p) {
      gone.Insert(order[(first + p) % 300]);
      gone.Insert(order[(second + p) % 300]);
    }
    MemberSet survivors(300);
    for (uint32_t i = 0; i < 300; ++i) {
      if (!gone.Contains(i) || corrupt.Contains(i)) survivors.Insert(i);
    }
    bool check = true;
    for (uint32_t i = 0; i < 300 && check; ++i) {
      if (!survivors.Contains(i)) continue;
      uint32_t live = 0;
      for (const ClientIndex other : graph.Neighbours(ClientIndex(i))) {
        live += survivors.Contains(other.value());
      }
      check = live >= rules->smaller.threshold;
    }
    ++(check ? passed : refused);
    if (check) {
      EXPECT_TRUE(HonestAreConnected(graph, survivors, corrupt));
    }
  }
  EXPECT_GT(passed, 30);
  EXPECT_GT(refused, 30);
}

}  // namespace
}  // namespace dure::secagg
