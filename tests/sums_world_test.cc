// Statistics and members' evaluation in whole runs of a small federation: the coordinator's and the
// members' engines together, with tables in the place of trainers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "learner/data/column_sums.h"
#include "learner/metrics.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::World;

constexpr uint32_t kMembers = 5;
constexpr uint32_t kRecordsEach = 200;

// As SmallFederation of tests/support/world.h, with four columns.
std::string Toml(const std::string& privacy, const std::string& sums, uint32_t rounds = 3) {
  return absl::StrCat(R"([federation]
name = "sums"
purpose = "Tests"
address = "localhost:7443"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[rounds]
count = )",
                      rounds, R"(
cohort = 5
minimum = 4
max_attempts = )",
                      rounds + 8, R"(
deadline = "10s"
[local]
mode = "gradient"
sampling_rate = 0.1
[server]
optimizer = "fedavg"
learning_rate = 1.0
[data]
schema = "clinic.schema"
schema_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[privacy]
)",
                      privacy, R"([secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.1
)",
                      sums);
}

constexpr char kRecord[] =
    "unit = \"record\"\nclip_norm = 1.0\nnoise_multiplier = 1.0\ndelta = 1e-5\nmax_epsilon = 1000\n"
    "total_records = 1000\nmax_records_per_member = 400\n";
// Members' updates are not added up by record, so mode gradient is not used.
std::string None(const std::string& sums, uint32_t rounds = 3) {
  std::string toml = Toml("unit = \"none\"\n", sums, rounds);
  const std::string gradient = "mode = \"gradient\"\nsampling_rate = 0.1\n";
  return toml.replace(toml.find(gradient), gradient.size(),
                      "mode = \"epochs\"\nepochs = 1\nbatch_size = 10\nlearning_rate = 0.1\n");
}
constexpr char kStatistics[] = "[statistics]\nenabled = true\nnoise_multiplier = 2.0\nbins = 5\n";
constexpr char kExactStatistics[] = "[statistics]\nenabled = true\nbins = 5\n";

Schema ClinicSchema() {
  auto schema = SchemaFromText(
      "dure schema 1\n"
      "column \"age\" numeric range 0 100 missing mean\n"
      "column \"bmi\" numeric range 10 60\n"
      "column \"ward\" categorical \"n\" \"s\" missing constant 0\n"
      "label \"y\" classes \"0\" \"1\"\n",
      "clinic.schema");
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *schema;
}

// The records of member `member`: no two members' are alike.
Table TableOf(size_t member) {
  std::string text = "age,bmi,ward,y\n";
  for (uint32_t i = 0; i < kRecordsEach; ++i) {
    const uint32_t seed = static_cast<uint32_t>(member) * kRecordsEach + i;
    absl::StrAppend(&text, seed % 11 == 0 ? "?" : absl::StrCat(20 + seed % 60), ",",
                    18 + (seed % 97) / 4.0, ",",
                    seed % 3 == 0   ? "n"
                    : seed % 3 == 1 ? "s"
                                    : "",
                    ",", seed % 4 == 0 ? 1 : 0, "\n");
  }
  CsvReader reader(text, text.size(), "t", ',');
  auto table = ReadTable(reader, ClinicSchema(), kRecordsEach);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

size_t NumberOf(const World::Node& node) { return static_cast<size_t>(node.name[1] - '0'); }

// A world whose members have the tables above, and whose models do on held-out records what
// `outcome` says.
std::unique_ptr<World> Clinics(const std::string& toml) {
  auto world = std::make_unique<World>(toml, kMembers, ClinicSchema());
  World* of = world.get();
  world->train_ = [of](World::Node& node, const std::vector<float>&,
                       const LocalPlan& plan) -> LocalUpdate {
    if (const auto* statistics = std::get_if<StatisticsPlan>(&plan)) {
      return ColumnSums::Create(ClinicSchema(), statistics->bins)
          ->Add(TableOf(NumberOf(node)), statistics->grid_log2);
    }
    if (const auto* evaluation = std::get_if<EvaluationPlan>(&plan)) {
      // 40 records of each class at every member, of which 30 and 20 are right; loss 0.5 each.
      const MetricSums places(ModelSection::CROSS_ENTROPY, 2);
      std::vector<int64_t> sums(places.size());
      const auto one = [&](double value) {
        return static_cast<int64_t>(std::ldexp(value, evaluation->grid_log2));
      };
      const auto add = [&](uint32_t label, bool right, int times) {
        std::vector<double> record(places.size());
        const uint32_t predicted = right ? label : 1 - label;
        places.Add({.loss = 0.5 / evaluation->loss_bound,
                    .predicted = predicted,
                    .right = right ? 1.0 : 0.0,
                    .score = predicted == 1 ? 1.0 : -1.0},
                   static_cast<float>(label), record);
        for (size_t i = 0; i < record.size(); ++i) sums[i] += times * one(record[i]);
      };
      add(0, true, 30);
      add(0, false, 10);
      add(1, true, 20);
      add(1, false, 20);
      return sums;
    }
    return of->Update(plan);
  };
  return world;
}

std::vector<double> PooledSums(uint32_t bins, const std::vector<size_t>& members) {
  const ColumnSums sums = *ColumnSums::Create(ClinicSchema(), bins);
  std::vector<double> pooled(sums.size());
  for (const size_t member : members) {
    const std::vector<int64_t> own = sums.Add(TableOf(member), kExactGridLog2);
    for (size_t i = 0; i < own.size(); ++i) {
      pooled[i] += std::ldexp(static_cast<double>(own[i]), -kExactGridLog2);
    }
  }
  return pooled;
}

TEST(SumsWorldTest, WithoutNoiseTheStatisticsAreThoseOfThePool) {
  auto world = Clinics(None(kExactStatistics));
  world->ConnectAll();
  world->Run();
  ASSERT_TRUE(world->ended_.has_value());
  EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
  ASSERT_TRUE(world->state_.statistics.has_value());
  EXPECT_EQ(world->state_.statistics->sums, PooledSums(5, {0, 1, 2, 3, 4}));
  EXPECT_EQ(world->state_.statistics->noise, 0);
  EXPECT_EQ(world->state_.counts, (AttemptCounts{.training = 3, .statistics = 1}));
  // In plain arithmetic over all records.
  double sum = 0, squares = 0, present = 0;
  for (uint32_t seed = 0; seed < kMembers * kRecordsEach; ++seed) {
    if (seed % 11 == 0) continue;
    const double age = 20 + seed % 60;
    sum += age;
    squares += age * age;
    ++present;
  }
  const double mean = sum / present, deviation = std::sqrt(squares / present - mean * mean);
  for (const World::Node& node : world->nodes_) {
    ASSERT_THAT(node.standards, SizeIs(2)) << node.name;  // the evaluator, too
    EXPECT_NEAR(node.standards[0].mean, mean, 1e-4);
    EXPECT_NEAR(node.standards[0].deviation, deviation, 1e-3);
  }
  for (const World::Node& node : world->nodes_) {
    if (node.role != MEMBER) continue;
    EXPECT_EQ(node.ledger.counts(), (AttemptCounts{.training = 3, .statistics = 1}));
  }
}

TEST(SumsWorldTest, WithNoiseTheyAreNearThePool) {
  auto world = Clinics(Toml(kRecord, kStatistics));
  world->ConnectAll();
  world->Run();
  ASSERT_TRUE(world->ended_.has_value());
  EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
  ASSERT_TRUE(world->state_.statistics.has_value());
  const SumsReleased& statistics = *world->state_.statistics;
  // z C in the sum of three, and five have added theirs: 2 sqrt(11) sqrt(5 / 3).
  EXPECT_NEAR(statistics.noise, 2 * std::sqrt(1 + 4 + 4 + 1 + 1) * std::sqrt(5.0 / 3), 0.5);
  const std::vector<double> pooled = PooledSums(5, {0, 1, 2, 3, 4});
  ASSERT_THAT(statistics.sums, SizeIs(pooled.size()));
  double off = 0;
  for (size_t i = 0; i < pooled.size(); ++i) {
    EXPECT_NEAR(statistics.sums[i], pooled[i], 7 * statistics.noise) << i;
    off += std::abs(statistics.sums[i] - pooled[i]);
  }
  EXPECT_GT(off, 0);
  // What the members are charged is what the coordinator says, and more than the rounds alone cost.
  const World::Node& member = world->nodes_[0];
  EXPECT_NEAR(member.engine->epsilon(), world->state_.history.back().epsilon, 1e-9);
  EXPECT_GT(statistics.epsilon, 0);
  EXPECT_LT(statistics.epsilon, world->state_.history.back().epsilon);
}

TEST(SumsWorldTest, AMemberThatRefusesLeavesNothingAndTrains) {
  auto world = Clinics(None(kExactStatistics));
  Policy policy = PolicyOf(world->spec_);
  EXPECT_TRUE(policy.allow_statistics);
  policy.allow_statistics = false;
  World::Node& refusing = world->nodes_[2];
  world->StartMember(refusing, policy);
  bool sent = false;
  world->watch_ = [&](World::Node& node, const ClientMessage& message) {
    if (node.name == "m2" && !world->state_.statistics) sent |= message.has_secagg();
  };
  world->ConnectAll();
  world->Run(10);
  ASSERT_TRUE(world->ended_.has_value());
  EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
  EXPECT_FALSE(sent);
  EXPECT_FALSE(refusing.refused.has_value());
  EXPECT_THAT(refusing.told, Contains(HasSubstr("allow_statistics = false")));
  EXPECT_EQ(refusing.ledger.counts(), (AttemptCounts{.training = 3}));
  EXPECT_EQ(world->state_.statistics->sums, PooledSums(5, {0, 1, 3, 4}));
  EXPECT_THAT(refusing.standards, SizeIs(2));  // what came of the others
  EXPECT_EQ(world->state_.history.back().survivors, kMembers);
}

TEST(SumsWorldTest, MembersMeasureTheModelsThatEvaluatorsDo) {
  auto world = Clinics(Toml(kRecord,
                            "[evaluation]\nevery = 2\nmembers = true\n"
                            "members_noise = 3.0\n"));
  world->ConnectAll();
  world->Run();
  ASSERT_TRUE(world->ended_.has_value());
  EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
  ASSERT_THAT(world->state_.member_evaluations, SizeIs(2));
  EXPECT_EQ(world->state_.member_evaluations[0].round, RoundNumber(2));
  EXPECT_EQ(world->state_.member_evaluations[1].round, RoundNumber(3));
  const SumsReleased& sums = world->state_.member_evaluations[1];
  EXPECT_NEAR(sums.sums[MetricSums::kRecords], 400, 7 * sums.noise);
  EXPECT_NEAR(sums.sums[MetricSums::kRight], 250, 7 * sums.noise);
  EXPECT_EQ(world->nodes_[0].ledger.counts(), (AttemptCounts{.training = 3, .evaluations = 2}));
}

TEST(SumsWorldTest, WithoutNoiseTheirFiguresAreExact) {
  auto world = Clinics(None("[evaluation]\nevery = 3\nmembers = true\n"));
  world->ConnectAll();
  world->Run();
  ASSERT_THAT(world->state_.member_evaluations, SizeIs(1));
  const SumsReleased& sums = world->state_.member_evaluations[0];
  auto reader = RunSums::Create(world->spec_, ClinicSchema());
  ASSERT_TRUE(reader.ok()) << reader.status();
  const ModelMetrics metrics = reader->MetricsOf(sums);
  EXPECT_EQ(metrics.records(), 5u * 80);
  EXPECT_NEAR(metrics.loss(), 0.5, 1e-5);
  EXPECT_EQ(metrics.accuracy(), 50.0 / 80);
  // Of class 1: 20 right, 20 missed, 10 wrongly so.
  EXPECT_NEAR(metrics.f1(), 2 * 20.0 / (2 * 20 + 20 + 10), 1e-12);
  // A pair is in order in half of its ties: 0.5 * 0.75 + (0.5 * 0.25 + 0.5 * 0.75) / 2.
  EXPECT_NEAR(metrics.auc(), 0.375 + 0.25, 1e-12);
}

TEST(SumsWorldTest, NoHeldOutRecordsAddZeros) {
  auto world = Clinics(None("[evaluation]\nevery = 3\nmembers = true\n"));
  // What ClientService says where nothing is held out.
  world->ConnectAll();
  while (world->state_.counts.evaluations == 0) ASSERT_TRUE(world->DeliverOne());
  World::Node& node = world->nodes_[1];
  while (node.training.empty()) ASSERT_TRUE(world->DeliverOne());
  const uint64_t training = node.training.front().first;
  node.training.clear();
  world->StepMember(node, member::TrainingDone{training, absl::NotFoundError("no heldout.csv")});
  world->Run();
  ASSERT_THAT(world->state_.member_evaluations, SizeIs(1));
  EXPECT_EQ(world->state_.member_evaluations[0].survivors, kMembers);
  EXPECT_EQ(world->state_.member_evaluations[0].sums[MetricSums::kRecords], 4 * 80);
  EXPECT_THAT(node.told, Contains(HasSubstr("adds nothing")));
}

// A coordinator that begins again after each message has, or has not, what it wrote down.
TEST(SumsWorldTest, ARestartAtAnyMomentTakesTheStatisticsOnceMoreAtMost) {
  int runs = 0;
  for (int moment = 3; moment < 400; moment += 7) {
    auto world = Clinics(None(kExactStatistics, 1));
    world->ConnectAll();
    int delivered = 0;
    while (delivered < moment && world->DeliverOne()) ++delivered;
    if (world->ended_) break;
    ++runs;
    const bool taken = world->state_.statistics.has_value();
    const uint32_t attempts = world->state_.counts.statistics;
    world->StartCoordinator();
    world->ConnectAll();
    world->Run(20);
    ASSERT_TRUE(world->ended_.has_value()) << "moment " << moment;
    EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
    EXPECT_EQ(world->state_.counts.statistics, taken ? attempts : attempts + 1);
    EXPECT_EQ(world->state_.statistics->sums, PooledSums(5, {0, 1, 2, 3, 4}));
  }
  EXPECT_GT(runs, 10);
}

// One member is lost after each message: the sums are those of four or five, or taken again.
TEST(SumsWorldTest, AMemberLostAtAnyMomentCostsAtMostAnAttempt) {
  const std::vector<double> all = PooledSums(5, {0, 1, 2, 3, 4});
  const std::vector<double> others = PooledSums(5, {0, 2, 3, 4});
  for (int moment = 6; moment < 160; moment += 5) {
    auto world = Clinics(None(kExactStatistics, 1));
    world->ConnectAll();
    int delivered = 0;
    while (delivered < moment && world->DeliverOne()) ++delivered;
    world->Disconnect(world->nodes_[1]);
    world->Run(40);
    ASSERT_TRUE(world->ended_.has_value()) << "moment " << moment;
    EXPECT_TRUE(world->ended_->ok()) << *world->ended_;
    ASSERT_TRUE(world->state_.statistics.has_value());
    const std::vector<double>& sums = world->state_.statistics->sums;
    EXPECT_TRUE(sums == all || sums == others) << "moment " << moment;
    EXPECT_LE(world->attempts_failed_, 1u);
  }
}

TEST(SumsWorldTest, AnAttemptThatTheTermsDoNotHaveIsRefused) {
  auto world = Clinics(None(kExactStatistics));
  // The coordinator calls its statistics an evaluation.
  world->tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name != "m0" || !message->has_offer()) return;
    message->mutable_offer()->mutable_offer()->mutable_config()->set_mechanism("evaluation-exact");
  };
  world->ConnectAll();
  while (!world->nodes_[0].refused && world->DeliverOne()) {
  }
  ASSERT_TRUE(world->nodes_[0].refused.has_value());
  EXPECT_THAT(std::string(world->nodes_[0].refused->message()),
              HasSubstr("an attempt at evaluation was offered, and the approved terms have none"));
  EXPECT_EQ(world->nodes_[0].ledger.charges(), 0u);
}

}  // namespace
}  // namespace dure
