// SCAFFOLD (Karimireddy et al. 2020, algorithm 1, option II) through the real engines, against
// plain arithmetic of this file's own: members whose data pull in different directions, a few local
// steps of exact gradients, secure aggregation, crashes in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/server_control.h"
#include "federation/model_file.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::Model;
using testing::World;
using Vector = std::vector<double>;

constexpr uint32_t kDim = 10;
constexpr uint32_t kSteps = 8;
constexpr double kRate = 0.1;
// Rounding on the grid of unit none, added up over a run; and binary32.
constexpr double kTolerance = 2e-5;

struct Setting {
  uint32_t rounds = 6;
  uint32_t population = 5;
  bool control = true;
  bool secure_aggregation = true;
  std::string privacy = "unit = \"none\"\n";
  std::string communication;
};

std::string Toml(const Setting& setting) {
  std::string toml = testing::SmallFederation(setting.rounds);
  toml.resize(toml.find("[local]"));
  return absl::StrCat(
      toml, "[local]\nmode = \"epochs\"\nepochs = ", kSteps, "\nbatch_size = ", World::kRecords,
      "\nlearning_rate = ", kRate,
      setting.control ? absl::StrCat("\ncontrol_variates = true\npopulation = ", setting.population)
                      : "",
      "\n[server]\noptimizer = \"fedavg\"\nlearning_rate = 1.0\n[privacy]\n", setting.privacy,
      "[secure_aggregation]\nenabled = ", setting.secure_aggregation ? "true" : "false",
      "\n[communication]\n", setting.communication);
}

// Member i's loss is sum_j a_ij (x_j - t_ij)^2 / 2.
double Curvature(uint32_t member, uint32_t j) { return 0.3 + 0.25 * ((member * 7 + j * 3) % 8); }
double Target(uint32_t member, uint32_t j) { return std::sin(1.0 + 3.0 * member + 0.7 * j); }

uint32_t IndexOf(const World::Node& node) { return static_cast<uint32_t>(node.name[1] - '0'); }

// Where the sum of the losses of `members` is smallest.
Vector Optimum(uint32_t members) {
  Vector best(kDim);
  for (uint32_t j = 0; j < kDim; ++j) {
    double weighted = 0, weights = 0;
    for (uint32_t i = 0; i < members; ++i) {
      weighted += Curvature(i, j) * Target(i, j);
      weights += Curvature(i, j);
    }
    best[j] = weighted / weights;
  }
  return best;
}

// Local steps as a trainer takes them.
LocalUpdate Train(World::Node& node, const std::vector<float>& params, const LocalPlan& local) {
  const auto& plan = std::get<EpochsPlan>(local);
  std::vector<float> change(kDim);
  for (uint32_t j = 0; j < kDim; ++j) {
    double y = params[j];
    for (uint32_t step = 0; step < plan.epochs; ++step) {
      const double gradient = Curvature(IndexOf(node), j) * (y - Target(IndexOf(node), j));
      y -= plan.learning_rate *
           (gradient + (plan.correction.empty() ? 0.0 : double{plan.correction[j]}));
    }
    change[j] = static_cast<float>(y - params[j]);
  }
  return change;
}

// The algorithm, in plain numbers.
class Scaffold {
 public:
  Scaffold(uint32_t population, bool control)
      : population_(population), control_(control), x_(kDim), c_(kDim) {}

  void Round(const std::vector<uint32_t>& members) {
    Vector mean_y(kDim), mean_c(kDim);
    for (const uint32_t i : members) {
      Vector& own = own_.try_emplace(i, Vector(kDim)).first->second;
      for (uint32_t j = 0; j < kDim; ++j) {
        double y = x_[j];
        for (uint32_t step = 0; step < kSteps; ++step) {
          const double correction = control_ ? c_[j] - own[j] : 0;
          y -= kRate * (Curvature(i, j) * (y - Target(i, j)) + correction);
        }
        const double next = own[j] - c_[j] + (x_[j] - y) / (kSteps * kRate);
        mean_y[j] += (y - x_[j]) / static_cast<double>(members.size());
        mean_c[j] += (next - own[j]) / static_cast<double>(members.size());
        own[j] = next;
      }
    }
    for (uint32_t j = 0; j < kDim; ++j) {
      x_[j] += mean_y[j];
      c_[j] += static_cast<double>(members.size()) / population_ * mean_c[j];
    }
  }

  const Vector& x() const { return x_; }
  const Vector& c() const { return c_; }
  const Vector& own(uint32_t i) const { return own_.at(i); }

 private:
  uint32_t population_;
  bool control_;
  Vector x_, c_;
  std::map<uint32_t, Vector> own_;
};

void ExpectNear(const std::vector<float>& got, const Vector& wanted, double tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t j = 0; j < got.size(); ++j) EXPECT_NEAR(got[j], wanted[j], tolerance) << j;
}

double Distance(const std::vector<float>& a, const Vector& b) {
  double sum = 0;
  for (size_t j = 0; j < a.size(); ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(sum);
}

// The server's control variate, as it is on disk.
std::vector<float> ControlOf(const World& world) {
  ServerControl control(kDim, 1);
  EXPECT_TRUE(control.Load(*world.state_.optimizer).ok());
  return {control.values().begin(), control.values().end()};
}

// Until every member has heard that the round was released, and hardly further.
void LetAllHear(World& world, uint32_t round) {
  for (size_t i = 0; i + 1 < world.nodes_.size(); ++i) {
    while (world.nodes_[i].local.round.value() < round) ASSERT_TRUE(world.DeliverOne());
  }
}

class ScaffoldTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(SecureAggregation, ScaffoldTest, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "On" : "Off"); });

TEST_P(ScaffoldTest, IsWhatThePaperSays) {
  World world(Toml({.secure_aggregation = GetParam()}), 5);
  world.train_ = Train;
  world.ConnectAll();
  Scaffold plain(5, true);
  for (uint32_t round = 1; round <= 6; ++round) {
    world.RunUntilReleased(round);
    plain.Round({0, 1, 2, 3, 4});
    ExpectNear(Model(world), plain.x(), kTolerance);
    ExpectNear(ControlOf(world), plain.c(), kTolerance);
  }
  world.Run(20);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(world.nodes_[i].local.round.value(), 6u);
    ExpectNear(world.nodes_[i].local.control, plain.own(i), kTolerance);
  }
}

TEST(ScaffoldWorldTest, AShareOfThePopulationMovesTheServersByItsShare) {
  World world(Toml({.rounds = 12, .population = 8}), 8);
  std::map<uint64_t, std::vector<uint32_t>> trained;  // by attempt
  world.train_ = [&](World::Node& node, const std::vector<float>& params, const LocalPlan& plan) {
    trained[world.state_.attempts.value()].push_back(IndexOf(node));
    return Train(node, params, plan);
  };
  world.ConnectAll();
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  ASSERT_EQ(trained.size(), 12u);
  Scaffold plain(8, true);
  for (const auto& [attempt, members] : trained) plain.Round(members);
  ExpectNear(Model(world), plain.x(), kTolerance);
  ExpectNear(ControlOf(world), plain.c(), kTolerance);
}

TEST(ScaffoldWorldTest, FindsTheOptimumThatAveragingMisses) {
  const Vector optimum = Optimum(5);
  std::vector<double> distances;
  for (const bool control : {false, true}) {
    World world(Toml({.rounds = 40, .control = control}), 5);
    world.train_ = Train;
    world.ConnectAll();
    world.Run(200);
    ASSERT_TRUE(world.ended_ && world.ended_->ok());
    distances.push_back(Distance(Model(world), optimum));
  }
  EXPECT_GT(distances[0], 0.1);
  EXPECT_LT(distances[1], 0.001);
}

TEST(ScaffoldWorldTest, GoesOnAfterCrashesOfEverybody) {
  World world(Toml({}), 5);
  world.train_ = Train;
  Scaffold plain(5, true);
  for (uint32_t round = 1; round <= 6; ++round) {
    world.ConnectAll();
    world.RunUntilReleased(round);
    LetAllHear(world, round);
    plain.Round({0, 1, 2, 3, 4});
    if (round % 2 == 0) {
      for (World::Node& node : world.nodes_) {
        node.connected = false;
        world.StartMember(node, PolicyOf(world.spec_));
      }
    }
    world.StartCoordinator();
    ExpectNear(Model(world), plain.x(), kTolerance);
  }
  for (uint32_t i = 0; i < 5; ++i) {
    ExpectNear(world.nodes_[i].local.control, plain.own(i), kTolerance);
  }
}

// Two members go after they have sent their inputs' shares: the attempt fails, and nothing of it is
// kept by anybody.
TEST(ScaffoldWorldTest, AnAttemptThatFailsChangesNothing) {
  World world(Toml({.rounds = 3}), 5);
  world.train_ = Train;
  world.ConnectAll();
  world.RunUntilReleased(1);
  LetAllHear(world, 1);
  const std::vector<float> before = world.nodes_[2].local.control;
  int inputs = 0;
  world.watch_ = [&](World::Node&, const ClientMessage& message) {
    inputs += message.secagg().has_masked_input();
  };
  while (inputs < 2) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
  world.Disconnect(world.nodes_[0]);
  world.Disconnect(world.nodes_[1]);
  while (world.attempts_failed_ == 0) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
  while (world.DeliverOne()) {
  }
  EXPECT_EQ(world.nodes_[2].local.control, before);
  world.Connect(world.nodes_[0]);
  world.Connect(world.nodes_[1]);
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok()) << *world.ended_;
  Scaffold plain(5, true);
  for (int round = 0; round < 3; ++round) plain.Round({0, 1, 2, 3, 4});
  ExpectNear(Model(world), plain.x(), kTolerance);
}

// A member that was lost when its round was released learns from the next offer that it was.
TEST(ScaffoldWorldTest, AReleaseThatAMemberDidNotHearOfCountsForItToo) {
  // Every round waits for all: what is compared below is a run of five members in each.
  std::string toml = Toml({.rounds = 3});
  const size_t minimum = toml.find("minimum = ");
  ASSERT_NE(minimum, std::string::npos);
  toml.replace(minimum, toml.find('\n', minimum) - minimum, "minimum = 5");
  World world(toml, 5);
  world.train_ = Train;
  bool missed = false;
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    // Once: attempts that fail while it is away end, too.
    if (node.name == "m1" && message->has_attempt_ended() && !std::exchange(missed, true)) {
      node.silent = true;
    }
  };
  world.ConnectAll();
  world.RunUntilReleased(1);
  while (!world.nodes_[1].silent) ASSERT_TRUE(world.DeliverOne());
  EXPECT_TRUE(world.nodes_[1].local.control.empty());
  world.nodes_[1].silent = false;
  world.Disconnect(world.nodes_[1]);
  world.Connect(world.nodes_[1]);
  world.Run(400);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  Scaffold plain(5, true);
  for (int round = 0; round < 3; ++round) plain.Round({0, 1, 2, 3, 4});
  ExpectNear(Model(world), plain.x(), kTolerance);
  ExpectNear(world.nodes_[1].local.control, plain.own(1), kTolerance);
}

// The model and the variate are clipped as one vector, and what a member keeps is what it sent: so
// the server's stays the mean of the members'.
TEST(ScaffoldWorldTest, UnderUnitClientWhatIsKeptIsWhatWasClipped) {
  World world(Toml({.rounds = 4,
                    .privacy = "unit = \"client\"\nclip_norm = 0.2\nnoise_multiplier = 1\n"
                               "max_epsilon = 1000\n"}),
              5);
  world.train_ = Train;
  // Without noise, which no file can ask for, what arrives can be compared.
  world.spec_.mutable_privacy()->set_noise_multiplier(0);
  world.spec_.mutable_privacy()->set_max_epsilon(std::numeric_limits<double>::infinity());
  for (World::Node& node : world.nodes_) world.StartMember(node, PolicyOf(world.spec_));
  world.StartCoordinator();
  world.ConnectAll();
  std::vector<float> last(kDim);
  for (uint32_t round = 1; round <= 4; ++round) {
    world.RunUntilReleased(round);
    LetAllHear(world, round);
    Vector mean(kDim);
    for (uint32_t i = 0; i < 5; ++i) {
      for (uint32_t j = 0; j < kDim; ++j) mean[j] += world.nodes_[i].local.control[j] / 5.0;
    }
    // Rounding: a step of the grid, 1 / s, of each round, times the scale of the variate.
    const RoundTerms terms = *DeriveTerms(world.spec_, kDim, 5);
    EXPECT_EQ(terms.update_dim, 2 * kDim);
    EXPECT_EQ(terms.control_scale, 0.5);  // the power of two at or below 8 * 0.1
    const double step = 1 / (static_cast<double>(terms.scale) * terms.control_scale);
    ExpectNear(ControlOf(world), mean, round * step);
    // The mean of five updates, each clipped to 0.2 together with its other half.
    const std::vector<float> model = Model(world);
    EXPECT_LE(Distance(model, Vector(last.begin(), last.end())), 0.2 + step);
    last = model;
  }
}

TEST(ScaffoldWorldTest, MembersRefuseAStateOfAnotherLengthAndOneThatIsNotBound) {
  World cut(Toml({}), 5);
  cut.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name == "m1" && message->has_offer())
      message->mutable_offer()->mutable_state()->pop_back();
  };
  cut.ConnectAll();
  while (!cut.nodes_[1].refused) ASSERT_TRUE(cut.DeliverOne() || cut.PassTime());
  EXPECT_THAT(std::string(cut.nodes_[1].refused->message()),
              HasSubstr("a state of 39 bytes beside the model; 10 finite numbers take 40"));
  World other(Toml({}), 5);
  other.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name == "m1" && message->has_offer())
      (*message->mutable_offer()->mutable_state())[0] ^= 1;
  };
  other.ConnectAll();
  while (!other.nodes_[1].refused) ASSERT_TRUE(other.DeliverOne() || other.PassTime());
  EXPECT_THAT(std::string(other.nodes_[1].refused->message()), HasSubstr("model_hash"));
  World without(Toml({.control = false}), 5);
  without.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name == "m1" && message->has_offer()) message->mutable_offer()->set_state("1234");
  };
  without.ConnectAll();
  while (!without.nodes_[1].refused) ASSERT_TRUE(without.DeliverOne() || without.PassTime());
  EXPECT_THAT(std::string(without.nodes_[1].refused->message()),
              HasSubstr("4 bytes of a standardisation that the terms do not have"));
}

TEST(ScaffoldWorldTest, ARunThatBeganAgainForgetsTheVariate) {
  World world(Toml({.rounds = 3}), 5);
  world.train_ = Train;
  world.nodes_[1].local = {.round = RoundNumber(7), .control = std::vector<float>(kDim, 5.0f)};
  world.StartMember(world.nodes_[1], PolicyOf(world.spec_));
  world.ConnectAll();
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_THAT(world.nodes_[1].told, Contains(HasSubstr("the run began again")));
  Scaffold plain(5, true);
  for (int round = 0; round < 3; ++round) plain.Round({0, 1, 2, 3, 4});
  ExpectNear(Model(world), plain.x(), kTolerance);
}

TEST(ScaffoldWorldTest, TravelsInBinary16AndInFewBitsToo) {
  World world(
      Toml({.rounds = 40, .communication = "download = \"fp16\"\nquantization_bits = 16\n"}), 5);
  world.train_ = Train;
  size_t bytes = 0;
  world.tamper_ = [&](World::Node&, ServerMessage* message) {
    if (message->has_offer())
      bytes = message->offer().model().size() + message->offer().state().size();
  };
  world.ConnectAll();
  world.Run(200);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_EQ(bytes, 4 * kDim);
  EXPECT_LT(Distance(Model(world), Optimum(5)), 0.01);
}

}  // namespace
}  // namespace dure
