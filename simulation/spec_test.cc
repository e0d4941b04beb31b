#include "simulation/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure::simulation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kTop[] =
    "federation = \"fed.toml\"\ndata = \"../records\"\n[clients]\ncount = 100\n";

absl::StatusOr<SimulationSpec> Parse(const std::string& toml,
                                     const std::vector<std::string>& texts = {}) {
  return ParseSimulation(toml, "runs/s.toml", ParseOverrides(texts).value().simulation);
}

std::string ErrorOf(const std::string& toml, const std::vector<std::string>& texts = {}) {
  const auto spec = Parse(toml, texts);
  return spec.ok() ? "no error" : std::string(spec.status().message());
}

FederationSpec Federation(const std::string& toml, const std::vector<std::string>& texts = {}) {
  return ParseFederation(toml, "f.toml", ParseOverrides(texts).value().federation).value();
}

TEST(SimulationSpecTest, DefaultsAreFilledInAndPathsAreRelativeToTheFile) {
  const auto spec = Parse(kTop);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->federation(), "runs/fed.toml");
  EXPECT_EQ(spec->data(), "runs/../records");
  EXPECT_EQ(spec->clients().count(), 100u);
  EXPECT_EQ(spec->clients().partition(), "iid");
  EXPECT_EQ(spec->clients().seed(), 1u);
  EXPECT_EQ(spec->behaviour().speed(), 1000);
  EXPECT_EQ(spec->behaviour().availability(), BehaviourSection::ALWAYS);
  EXPECT_EQ(spec->behaviour().slowdown(), 10);
  EXPECT_FALSE(spec->behaviour().has_hours());
  EXPECT_EQ(spec->attack().kind(), AttackSection::SIGN_FLIP);
  EXPECT_EQ(spec->attack().byzantine(), 0);
  EXPECT_EQ(spec->sweep().repeats(), 1u);
  EXPECT_EQ(
      Parse("federation = \"/a/f.toml\"\ndata = \"/d\"\n[clients]\ncount = 3\n")->federation(),
      "/a/f.toml");
}

TEST(SimulationSpecTest, CommandLinesAloneMakeOne) {
  const auto spec =
      Parse("", {"simulation.federation=f.toml", "simulation.data=records",
                 "simulation.clients.count=1000", "simulation.clients.partition=file:who.csv"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->federation(), "f.toml");
  EXPECT_EQ(spec->data(), "records");
  EXPECT_EQ(spec->clients().partition(), "file:who.csv");
  EXPECT_EQ(Parse("federation = \"f\"\ndata = \"d\"\n[clients]\npartition = \"file:who.csv\"\n")
                ->clients()
                .partition(),
            "file:runs/who.csv");
}

TEST(SimulationSpecTest, FilesAreToldApart) {
  EXPECT_TRUE(IsSimulationFile(kTop));
  EXPECT_FALSE(IsSimulationFile(dure::testing::DemoToml()));
}

TEST(SimulationSpecTest, FaultsNameThePlaceTheLimitAndTheRemedy) {
  EXPECT_EQ(ErrorOf(""),
            "runs/s.toml:1:1: federation is missing: set it to a text of 1 to 4096 characters");
  EXPECT_EQ(ErrorOf("federation = \"f\"\ndata = \"d\"\n"),
            "runs/s.toml:1:1: clients.count: it is missing: set it to 1 to 1000000, or --clients; "
            "only by:COLUMN and file:PATH say by themselves how many clients there are");
  EXPECT_EQ(ErrorOf("federation = \"f\"\ndata = \"d\"\n[clients]\npartition = \"by:ward\"\n"),
            "no error");
  EXPECT_EQ(ErrorOf(std::string(kTop) + "partitoin = \"iid\"\n"),
            "runs/s.toml:5:1: unknown key \"partitoin\" in [clients]: did you mean \"partition\"?");
  EXPECT_EQ(ErrorOf("feederation = \"f\"\n"),
            "runs/s.toml:1:1: unknown key or section \"feederation\": did you mean "
            "\"federation\"?");
  EXPECT_EQ(
      ErrorOf(std::string(kTop) + "partition = \"iidd\"\n"),
      "runs/s.toml:5:13: clients.partition: partition \"iidd\": unknown kind (iid, contiguous, "
      "dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN or file:PATH)");
  EXPECT_EQ(ErrorOf(std::string(kTop) + "[behaviour]\ndropout = 1.0\n"),
            "runs/s.toml:6:11: behaviour.dropout: it is 1.0 and must be at least 0, below 1");
  EXPECT_THAT(ErrorOf(std::string(kTop) + "[behaviour]\nhours = 3\n"),
              HasSubstr("behaviour.hours is not used with availability = \"always\": remove it, or "
                        "choose availability diurnal"));
  EXPECT_EQ(ErrorOf(kTop, {"simulation.clients.count=0"}),
            "--set simulation.clients.count=0: clients.count: it is 0 and must be 1 to 1000000");
  EXPECT_THAT(ErrorOf(kTop, {"simulation.client.count=3"}),
              HasSubstr("unknown key or section \"client\": did you mean \"clients\"?"));
  EXPECT_THAT(ErrorOf(std::string(kTop) + "[attack]\nkind = \"label_flip\"\nfrom_label = 1\n"),
              HasSubstr("from_label and to_label go together"));
  EXPECT_THAT(ErrorOf(std::string(kTop) +
                      "[attack]\nkind = \"label_flip\"\nfrom_label = 1\nto_label = 1\n"),
              HasSubstr("nothing would change"));
  EXPECT_THAT(ErrorOf(std::string(kTop) + "[attack]\nkind = \"signflip\"\n"),
              HasSubstr("did you mean \"sign_flip\"?"));
}

TEST(SimulationSpecTest, WrittenFilesReadBackTheSame) {
  const auto spec =
      Parse(std::string(kTop) +
                "records = 50\n[behaviour]\navailability = \"diurnal\"\nspeed = 1e-3\n"
                "[attack]\nkind = \"scale\"\nbyzantine = 0.1\n[sweep]\nrepeats = 3\n"
                "grid = [\"server.learning_rate=0.1,1\"]\n",
            {"simulation.federation=/f.toml", "simulation.data=/d"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::string written = SimulationToToml(*spec);
  const auto again = ParseSimulation(written, "other.toml");
  ASSERT_TRUE(again.ok()) << again.status() << written;
  EXPECT_EQ(again->DebugString(), spec->DebugString());
}

TEST(SimulationSpecTest, ASweepIsEverySettingWithEverySeed) {
  const auto spec =
      Parse(std::string(kTop) +
            "seed = 7\n[sweep]\nrepeats = 2\ngrid = [\"server.learning_rate = 0.1, 1\", "
            "\"model.hidden=[64, 32],[8]\", \"simulation.behaviour.dropout=0.1\"]\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::vector<SweepRun> runs = RunsOf(*spec);
  ASSERT_EQ(runs.size(), 8u);
  EXPECT_THAT(runs[0].settings, ElementsAre("server.learning_rate=0.1", "model.hidden=[64, 32]",
                                            "simulation.behaviour.dropout=0.1"));
  EXPECT_EQ(runs[0].seed, 7u);
  EXPECT_EQ(runs[1].seed, 8u);
  EXPECT_THAT(runs[3].settings, ElementsAre("server.learning_rate=0.1", "model.hidden=[8]",
                                            "simulation.behaviour.dropout=0.1"));
  EXPECT_EQ(runs[4].settings[0], "server.learning_rate=1");
  const auto of_run = ParseSimulation(kTop, "runs/s.toml", runs[5].overrides.simulation);
  ASSERT_TRUE(of_run.ok()) << of_run.status();
  EXPECT_EQ(of_run->clients().seed(), 8u);
  EXPECT_EQ(of_run->behaviour().dropout(), 0.1);
  const FederationSpec federation =
      ParseFederation(dure::testing::DemoWith("architecture = \"cnn\"", "architecture = \"mlp\""),
                      "f.toml", runs[5].overrides.federation)
          .value();
  EXPECT_EQ(federation.server().learning_rate(), 1);
  EXPECT_THAT(federation.model().hidden(), ElementsAre(64, 32));
  EXPECT_EQ(RunsOf(*Parse(kTop)).size(), 1u);
}

TEST(SimulationSpecTest, WhatCannotBeSweptIsNamed) {
  const auto grid = [](const std::string& list, const std::string& more = "") {
    return ErrorOf(std::string(kTop) + "[sweep]\n" + more + "grid = [" + list + "]\n");
  };
  EXPECT_THAT(grid("\"rounds.count\""), HasSubstr("must be KEY=VALUE,VALUE"));
  EXPECT_THAT(grid("\"rounds.count=1\", \"rounds.count=2\""), HasSubstr("is there twice"));
  EXPECT_THAT(grid("\"rounds.count=1,,2\""), HasSubstr("has an empty value"));
  EXPECT_THAT(grid("\"rounds.count=1,1\""), HasSubstr("has the same value twice"));
  EXPECT_THAT(grid("\"rounds.cuont=1\""),
              HasSubstr("sweep.grid: grid rounds.cuont=1: unknown key \"cuont\" in [rounds]"));
  EXPECT_THAT(grid("\"rounds.count=many\""), HasSubstr("rounds.count is a text"));
  EXPECT_THAT(grid("\"simulation.clients.seed=1,2\""), HasSubstr("set repeats for several seeds"));
  EXPECT_THAT(grid("\"simulation.data=a,b\""), HasSubstr("write a simulation file for each"));
  EXPECT_THAT(grid("\"simulation.sweep.repeats=2\""), HasSubstr("cannot be in a grid"));
  EXPECT_THAT(grid("\"rounds.count=1,2,3,4,5,6,7,8,9,10,11\"", "repeats = 1000\n"),
              HasSubstr("it has more than 10000 runs"));
}

TEST(SimulationSpecTest, PartitionFilesOfAGridAreRelativeToTheFile) {
  const auto spec = Parse(std::string(kTop) +
                          "[sweep]\ngrid = [\"simulation.clients.partition=file:a.csv,iid\"]\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(RunsOf(*spec)[0].settings[0], "simulation.clients.partition=file:runs/a.csv");
  EXPECT_EQ(RunsOf(*spec)[1].settings[0], "simulation.clients.partition=iid");
}

TEST(SimulationSpecTest, WhatDoesNotGoWithTheFederationIsRefused) {
  const auto together = [](const std::string& simulation, const FederationSpec& federation) {
    const absl::Status status = CheckTogether(Parse(kTop + simulation).value(), federation);
    return std::string(status.message());
  };
  const FederationSpec gradient = Federation(dure::testing::DemoToml());
  const FederationSpec epochs = Federation(dure::testing::NoneToml());
  const std::string partial = "[behaviour]\nstragglers = 0.5\nstraggler_work = \"partial\"\n";
  EXPECT_EQ(together("", gradient), "");
  EXPECT_THAT(together(partial, gradient), HasSubstr("goes with local.mode = \"epochs\" only"));
  EXPECT_THAT(together(partial, epochs), HasSubstr("changes nothing with local.epochs = 1"));
  EXPECT_EQ(together(partial, Federation(dure::testing::NoneToml(), {"local.epochs=5"})), "");
  const std::string flip = "[attack]\nbyzantine = 0.5\nkind = \"label_flip\"\n";
  EXPECT_EQ(together(flip, epochs), "");
  EXPECT_THAT(together(flip + "from_label = 3\nto_label = 10\n", epochs),
              HasSubstr("labels are 0 to 9"));
  EXPECT_THAT(together(flip, Federation(dure::testing::NoneToml(),
                                        {"model.loss=mse", "model.input.classes=1"})),
              HasSubstr("needs labels that are classes, and model.loss is \"mse\""));
  const FederationSpec scaffold =
      Federation(dure::testing::NoneToml(),
                 {"local.weighting=uniform", "local.control_variates=true", "local.population=50"});
  EXPECT_THAT(together("", scaffold), HasSubstr("add --set local.population=100"));
}

TEST(SimulationSpecTest, TooFewOrTooRichClientsAreRefused) {
  const std::vector<float> labels(60, 0.f);
  const auto check = [&](uint32_t clients, const FederationSpec& federation) {
    const auto partition = SplitRecords({.labels = labels, .clients = clients}).value();
    return std::string(CheckClients(partition, federation).message());
  };
  const FederationSpec demo = Federation(dure::testing::DemoToml());
  EXPECT_EQ(check(10, demo), "");
  EXPECT_EQ(check(9, demo),
            "rounds.cohort is 10, and there are 9 clients: lower it, or simulate more clients");
  EXPECT_EQ(check(10, Federation(dure::testing::DemoToml(), {"privacy.max_records_per_member=5"})),
            "client 0 has 6 records, above privacy.max_records_per_member, 5: raise it, or cut "
            "clients off with clients.records = 5");
  EXPECT_THAT(check(10, Federation(dure::testing::DemoToml(), {"privacy.max_records_per_member=6",
                                                               "privacy.total_records=50"})),
              StartsWith("the clients have 60 records together, above privacy.total_records, 50"));
}

}  // namespace
}  // namespace dure::simulation
