#include "simulation/report.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "simulation/chart.h"
#include "simulation/report_curves.h"
#include "simulation/report_table.h"

namespace dure::simulation {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

EvaluationLine Evaluation(uint32_t round, double loss, double accuracy) {
  EvaluationLine line{.round = round, .virtual_seconds = 10.0 * round, .wall_seconds = 1.0 * round};
  line.metrics.set_records(100);
  line.metrics.set_loss(loss);
  line.metrics.set_accuracy(accuracy);
  return line;
}

RoundLine Round(uint32_t round) {
  return {.round = round,
          .attempt = round,
          .cohort = 10,
          .survivors = 10,
          .epsilon = 0.5 * round,
          .virtual_seconds = 10.0 * round,
          .wall_seconds = 1.0 * round,
          .bytes_received = 100,
          .bytes_sent = 300};
}

// Three rounds, after each of which the accuracy is one of `accuracies`.
ReportRun MadeRun(uint64_t seed, const std::string& rate, std::vector<double> accuracies) {
  ReportRun run{.path = absl::StrCat("out/", rate, "-seed", seed)};
  run.record.run = {.version = "0.1.0",
                    .name = "fashion",
                    .seed = seed,
                    .clients = 10,
                    .records = 1000,
                    .parameters = 50,
                    .rounds = 3,
                    .threads = 1,
                    .ranks = 1,
                    .configuration = {{"simulation.clients.seed", absl::StrCat(seed)},
                                      {"simulation.sweep.repeats", absl::StrCat(seed)},
                                      {"local.learning_rate", rate},
                                      {"rounds.total", "3"}}};
  for (uint32_t i = 0; i < accuracies.size(); ++i) {
    run.record.rounds.push_back(Round(i + 1));
    run.record.evaluations.push_back(Evaluation(i + 1, 1 - accuracies[i], accuracies[i]));
  }
  run.record.end = EndLine{.epsilon = 1.5, .virtual_seconds = 30, .wall_seconds = 3};
  return run;
}

TEST(SpreadTest, IsThatOfTheFiniteNumbers) {
  // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squares 32, over 7.
  const std::vector<double> values = {2, 4, 4, kNan, 4, 5, 5, 7, 9, HUGE_VAL};
  const Spread spread = SpreadOf(values);
  EXPECT_EQ(spread.count, 8u);
  EXPECT_EQ(spread.mean, 5);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(32.0 / 7));
  EXPECT_EQ(spread.least, 2);
  EXPECT_EQ(spread.most, 9);
  EXPECT_EQ(SpreadOf({}).count, 0u);
  EXPECT_EQ(SpreadOf(std::vector<double>{3}).deviation, 0);
}

TEST(GroupRunsTest, RunsThatDifferInTheirSeedOnlyAreOneSeries) {
  const RunSeries all =
      GroupRuns({MadeRun(2, "0.1", {0.2, 0.6, 0.7}), MadeRun(1, "0.1", {0.4, 0.5, 0.9}),
                 MadeRun(1, "0.01", {0.1, 0.2, 0.3})});
  EXPECT_EQ(all.title, "fashion");
  EXPECT_EQ(all.figure, "accuracy");
  EXPECT_THAT(all.notes, IsEmpty());
  ASSERT_THAT(all.series, SizeIs(2));
  EXPECT_EQ(all.series[0].name, "learning_rate=0.1");
  ASSERT_THAT(all.series[0].runs, SizeIs(2));
  EXPECT_EQ(all.series[0].runs[0].record.run.seed, 1u);
  EXPECT_THAT(all.differing, ElementsAre("local.learning_rate"));
  EXPECT_THAT(all.common, ElementsAre(Pair("data records", "1000"), Pair("dure version", "0.1.0"),
                                      Pair("name", "fashion"), Pair("rounds.total", "3")));
}

TEST(GroupRunsTest, TheSameSeedTwiceCountsOnce) {
  const RunSeries all = GroupRuns(
      {MadeRun(1, "0.1", {0.2}), MadeRun(1, "0.1", {0.2, 0.6}), MadeRun(2, "0.1", {0.2, 0.6})});
  ASSERT_THAT(all.series, SizeIs(1));
  ASSERT_THAT(all.series[0].runs, SizeIs(2));
  EXPECT_THAT(all.series[0].runs[0].record.rounds, SizeIs(2)) << "the longer one";
  EXPECT_THAT(all.notes, ElementsAre(HasSubstr("1 run left out")));
}

TEST(GroupRunsTest, NamesHaveNoQuotes) {
  const RunSeries all = GroupRuns({MadeRun(1, "\"a\"", {0.2}), MadeRun(1, "\"", {0.2})});
  EXPECT_EQ(all.series[0].name, "learning_rate=a");
  EXPECT_EQ(all.series[0].differences.at("local.learning_rate"), "\"a\"");
  EXPECT_EQ(all.series[1].name, "learning_rate=\"");
}

TEST(GroupRunsTest, NamesAreDifferent) {
  std::vector<ReportRun> runs;
  for (int i = 0; i < 3; ++i) {
    runs.push_back(MadeRun(1, "0.1", {0.2}));
    runs.back().path = i == 0 ? "a/x-seed1/" : absl::StrCat("b", i, "/y-seed1");
    for (const char* key : {"a", "b", "c", "d"}) {
      runs.back().record.run.configuration[key] = absl::StrCat(i);
    }
  }
  const RunSeries all = GroupRuns(std::move(runs));
  EXPECT_EQ(all.series[0].name, "x");
  EXPECT_EQ(all.series[1].name, "y");
  EXPECT_EQ(all.series[2].name, "y (2)");
}

TEST(GroupRunsTest, WhatDoesNotCompareIsSaid) {
  std::vector<ReportRun> runs = {MadeRun(1, "0.1", {0.2, 0.3}), MadeRun(1, "0.2", {0.2})};
  runs[1].record.run.parameters = 60;
  runs[1].record.run.records = 2000;
  runs[1].record.end.reset();
  runs[1].record.cut_line = 7;
  runs[1].record.evaluations.back().metrics.set_loss(kNan);
  runs[1].record.evaluations.back().metrics.clear_accuracy();
  runs[1].record.evaluations.back().metrics.set_mae(1);
  EXPECT_THAT(GroupRuns(std::move(runs)).notes,
              ElementsAre(HasSubstr("not all measured by the same figure"),
                          HasSubstr("Models of different sizes"),
                          HasSubstr("Not all runs have the same number of records"),
                          HasSubstr("1 run has not ended"), HasSubstr("1 run has diverged"),
                          HasSubstr("1 run ends in a cut line")));
}

TEST(RowTest, IsTheMeanOverSeeds) {
  const RunSeries all =
      GroupRuns({MadeRun(1, "0.1", {0.2, 0.6, 0.7}), MadeRun(2, "0.1", {0.4, 0.8, 0.5})});
  const SeriesRow row = RowOf(all.series[0], "accuracy", 0.7);
  EXPECT_DOUBLE_EQ(row.final_figure.mean, 0.6);
  EXPECT_DOUBLE_EQ(row.final_figure.deviation, std::sqrt(0.02));
  EXPECT_DOUBLE_EQ(row.final_loss.mean, 0.4);
  EXPECT_DOUBLE_EQ(row.best.mean, 0.75);
  EXPECT_EQ(row.rounds.mean, 3);
  EXPECT_EQ(row.rounds_to_target.mean, 2.5);
  EXPECT_EQ(row.seconds_to_target.mean, 25);
  EXPECT_EQ(row.epsilon.most, 1.5);
  EXPECT_EQ(row.virtual_seconds.mean, 30);
  EXPECT_EQ(row.bytes_received.mean, 300);
  EXPECT_EQ(row.bytes_sent.mean, 900);
  EXPECT_EQ(RowOf(all.series[0], "accuracy", 0.75).rounds_to_target.count, 1u);
  EXPECT_EQ(RowOf(all.series[0], "accuracy", 0.95).rounds_to_target.count, 0u);
  // Of a loss, less is better.
  EXPECT_EQ(RowOf(all.series[0], "loss", 0.45).rounds_to_target.mean, 2);
}

TEST(RowTest, JsonHasItAll) {
  std::vector<ReportRun> runs = {MadeRun(1, "0.1", {0.25, 0.5}), MadeRun(1, "\xff\"<", {})};
  runs[1].record.end.reset();
  const auto json = nlohmann::json::parse(TableToJson(GroupRuns(std::move(runs)), 0.5));
  EXPECT_EQ(json["figure"], "accuracy");
  EXPECT_EQ(json["target"], 0.5);
  const auto& series = json["series"][0];
  EXPECT_EQ(series["name"], "learning_rate=0.1");
  EXPECT_EQ(series["differences"]["local.learning_rate"], "0.1");
  EXPECT_EQ(series["seeds"], nlohmann::json({1}));
  EXPECT_EQ(series["final"]["accuracy"]["mean"], 0.5);
  EXPECT_TRUE(series["final"]["accuracy"]["deviation"].is_null());
  EXPECT_EQ(series["rounds_to_target"]["mean"], 2);
  EXPECT_EQ(series["epsilon"], 1.5);
  EXPECT_TRUE(json["series"][1]["final"]["accuracy"].is_null());
  EXPECT_TRUE(json["series"][1]["epsilon"].is_null());
}

TEST(ChartsTest, CurvesAreMeansWithBands) {
  const RunSeries all =
      GroupRuns({MadeRun(1, "0.1", {0.25, 0.5, 0.75}), MadeRun(2, "0.1", {0.75, 0.5, 0.25})});
  const std::vector<Chart> charts = ChartsOf(all, 0.5);
  std::vector<std::string> titles;
  for (const Chart& chart : charts) titles.push_back(chart.title);
  EXPECT_THAT(titles, ElementsAre("accuracy against rounds", "accuracy against virtual time",
                                  "loss against rounds", "loss against virtual time",
                                  "privacy spent against rounds"));
  const std::vector<ChartPoint>& points = charts[0].lines.at(0).points;
  ASSERT_THAT(points, SizeIs(3));
  EXPECT_EQ(points[0].x, 1);
  EXPECT_EQ(points[0].y, 0.5);
  EXPECT_EQ(points[0].least, 0.25);
  EXPECT_EQ(points[0].most, 0.75);
  EXPECT_EQ(points[0].runs, 2u);
  EXPECT_EQ(charts[0].mark, 0.5);
  EXPECT_FALSE(charts[2].mark.has_value());
  EXPECT_EQ(charts[1].x_label, "virtual time (seconds)");
  EXPECT_EQ(charts[1].lines.at(0).points[2].x, 30);
  EXPECT_EQ(charts[4].lines.at(0).points[2].y, 1.5);
}

TEST(ChartsTest, OfTooManySeriesTheBestHaveColours) {
  std::vector<ReportRun> runs;
  for (int i = 0; i < 500; ++i) runs.push_back(MadeRun(1, absl::StrCat(i), {0.001 * i}));
  const RunSeries all = GroupRuns(std::move(runs));
  const std::vector<bool> coloured = Coloured(all);
  EXPECT_EQ(std::count(coloured.begin(), coloured.end(), true), kMostColoured);
  EXPECT_TRUE(coloured[499]);
  EXPECT_FALSE(coloured[0]);
  const std::string html = ReportHtml(all, std::nullopt);
  EXPECT_THAT(html, HasSubstr("479 others"));
  EXPECT_THAT(html, HasSubstr("learning_rate=0<"));
}

TEST(ChartTest, TicksAreRoundNumbers) {
  EXPECT_THAT(NiceTicks(0, 200, 6, true), ElementsAre(0, 50, 100, 150, 200));
  EXPECT_THAT(NiceTicks(0, 3, 6, true), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(NiceTicks(0.07, 0.93, 6, false),
              ElementsAre(DoubleEq(0.2), DoubleEq(0.4), DoubleEq(0.6), DoubleEq(0.8)));
  EXPECT_THAT(NiceTicks(0, 146, 6, false), ElementsAre(0, 25, 50, 75, 100, 125));
  EXPECT_THAT(NiceTicks(5, 5, 6, false), ElementsAre(5));
  EXPECT_THAT(NiceTicks(0, HUGE_VAL, 6, false), SizeIs(1));
  EXPECT_THAT(NiceTicks(1e16, 1e16 + 4, 6, false), SizeIs(::testing::Le(101u)));
}

TEST(ChartTest, NothingToDrawIsNothing) {
  EXPECT_EQ(ChartHtml({}), "");
  EXPECT_EQ(ChartHtml({.lines = {{}, {}}}), "");
}

TEST(ChartTest, StandsAloneWithTheNamesOfItsLines) {
  EXPECT_EQ(ChartSvg({}, {}), "");
  const Chart chart{.title = "A & B",
                    .lines = {{.series = 0, .points = {{0, 1, 1, 1, 1}, {1, 2, 2, 2, 1}}},
                              {.series = 1},
                              {.quiet = true, .points = {{0, 1, 1, 1, 1}}}}};
  const std::string svg = ChartSvg(chart, {"rate=<0.1>", "no point"});
  EXPECT_THAT(svg, HasSubstr("<title>A &amp; B</title>"));
  EXPECT_THAT(svg, HasSubstr(">rate=&lt;0.1&gt;</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("no point")));
  EXPECT_THAT(svg, HasSubstr("class=\"ground\""));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(ChartTest, AnyNumbersAreDrawnWithinTheFrame) {
  for (const double y : {0.0, 1e-300, -1e30, 1e30}) {
    Chart chart{.lines = {{.points = {{0, y, y, y, 1}, {1e18, 1, 1, 1, 1}}}}};
    const std::string html = ChartHtml(chart);
    EXPECT_THAT(html, Not(HasSubstr("nan"))) << y;
    EXPECT_THAT(html, Not(HasSubstr("inf"))) << y;
  }
}

TEST(ChartTest, ALineHasNoMorePointsThanItNeeds) {
  Chart chart{.lines = {{}}};
  for (int i = 0; i < 10'000; ++i) chart.lines[0].points.push_back({1.0 * i, 1, 1, 1, 1});
  EXPECT_LT(ChartHtml(chart).size(), 30'000u);
  EXPECT_THAT(ChartHtml(chart), HasSubstr("[9999,1,1,1,1]]"));
}

class ReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "/dure_report_test_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A run in `folder_`/`name`.
  std::string Write(const std::string& name, const ReportRun& run) {
    const std::string folder = absl::StrCat(folder_, "/", name);
    std::filesystem::create_directories(folder);
    std::string text = MetricsLine(run.record.run);
    for (const RoundLine& line : run.record.rounds) text += MetricsLine(line);
    for (const EvaluationLine& line : run.record.evaluations) text += MetricsLine(line);
    EXPECT_TRUE(WriteFileAtomic(absl::StrCat(folder, "/", kMetricsFile), text).ok());
    return folder;
  }
  absl::StatusOr<RunSeries> Read(std::vector<std::string> paths) { return ReadRunSeries(paths); }

  std::string folder_;
};

TEST_F(ReportTest, FindsTheRunsOfASweep) {
  Write("sweep/001-a-seed1", MadeRun(1, "0.1", {0.5}));
  Write("sweep/002-a-seed2", MadeRun(2, "0.1", {0.5}));
  Write("more/deeper/003", MadeRun(1, "0.2", {0.5}));
  std::filesystem::create_directories(folder_ + "/sweep/notes");
  EXPECT_THAT(Read({folder_})->series, SizeIs(2));
  EXPECT_THAT(Read({folder_ + "/sweep"})->series.at(0).runs, SizeIs(2));
  // The same run named twice is one.
  const absl::StatusOr<RunSeries> twice =
      Read({folder_ + "/sweep", folder_ + "/sweep/../sweep/001-a-seed1/metrics.jsonl"});
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_THAT(twice->series.at(0).runs, SizeIs(2));
}

TEST_F(ReportTest, WhereThereIsNoRunItSays) {
  EXPECT_EQ(Read({folder_ + "/none"}).status().message(),
            absl::StrCat("there is no ", folder_, "/none"));
  EXPECT_EQ(Read({folder_}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Read({folder_}).status().message()), HasSubstr("holds no metrics.jsonl"));
}

TEST_F(ReportTest, ADamagedRunOfASweepIsLeftOutAndANamedOneIsAnError) {
  Write("good", MadeRun(1, "0.1", {0.5}));
  const std::string bad = Write("bad", MadeRun(2, "0.1", {0.5}));
  ASSERT_TRUE(WriteFileAtomic(bad + "/metrics.jsonl", "garbage\n").ok());
  const absl::StatusOr<RunSeries> all = Read({folder_});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(all->series.at(0).runs, SizeIs(1));
  EXPECT_THAT(all->notes.back(), HasSubstr("bad/metrics.jsonl:1: no JSON object"));
  EXPECT_EQ(Read({bad}).status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove_all(folder_ + "/good");
  EXPECT_THAT(std::string(Read({folder_}).status().message()), HasSubstr("no run can be read"));
}

TEST_F(ReportTest, PageStandsAloneAndNothingInARunIsMarkup) {
  ReportRun run = MadeRun(1, "0.1", {0.5, 0.6});
  const std::string evil = "</script><script>alert(1)</script>\"'&\x1b";
  run.record.run.name = evil;
  run.record.run.started = evil;
  run.record.run.configuration[evil] = evil;
  run.record.evaluations.back().metrics.set_own_name("<b>own</b>");
  run.record.evaluations.back().metrics.set_own(3);
  ReportRun other = MadeRun(1, evil, {0.5, 0.6});
  const std::string folder = Write("<i>", run);
  Write("other", other);
  const std::string file = folder_ + "/report.html";
  const absl::StatusOr<RunSeries> all = WriteReport({folder_}, file, 0.55);
  ASSERT_TRUE(all.ok()) << all.status();
  const std::string html = *ReadFile(file, 1 << 24);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<b>own")));
  EXPECT_THAT(html, Not(HasSubstr("<i>")));
  EXPECT_THAT(html, Not(HasSubstr("\x1b")));
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;own&lt;/b&gt;"));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const char* outside : {"http:", "https:", "src=", "href=", "url(", "@import"}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
}

}  // namespace
}  // namespace dure::simulation
