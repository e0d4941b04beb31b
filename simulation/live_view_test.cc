#include "simulation/live_view.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulation/main_figure.h"
#include "simulation/sweep_view.h"

namespace dure::simulation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BarTextTest, FillsWhatRoomThereIs) {
  const ProgressBar bar{
      .label = "round 3/12", .share = 0.25, .fields = {"0:56 left", "", "3.2 rounds/s"}};
  EXPECT_EQ(BarText(bar, 79),
            "round 3/12 [#######-----------------------]  25 %  0:56 left  3.2 rounds/s");
  EXPECT_EQ(BarText(bar, 51), "round 3/12 [#####----------------]  25 %  0:56 left");
  EXPECT_EQ(BarText(bar, 27), "round 3/12 [##------]  25 %");
  EXPECT_EQ(BarText(bar, 26), "round 3/12  25 %");
  EXPECT_EQ(BarText(bar, 5), "round");
  EXPECT_EQ(BarText(bar, 0), "");
}

TEST(BarTextTest, NeitherLessThanNothingNorMoreThanAll) {
  EXPECT_EQ(BarText({.label = "r", .share = -1}, 18), "r [--------]   0 %");
}

TEST(RateTextTest, SlowRoundsAreCountedInSeconds) {
  EXPECT_EQ(RateText(0, 3, "round"), "");
  EXPECT_EQ(RateText(3, 0, "round"), "");
  EXPECT_EQ(RateText(32, 10, "round"), "3.2 rounds/s");
  EXPECT_EQ(RateText(2000, 10, "round"), "200 rounds/s");
  EXPECT_EQ(RateText(2, 25, "round"), "12.5 s a round");
}

TEST(MainFigureTest, IsWhatTheLossIsMeasuredBy) {
  ModelMetrics metrics;
  EXPECT_EQ(MainFigureOf(metrics), "loss");
  metrics.set_own_name("psnr");
  metrics.set_own(31);
  EXPECT_EQ(MainFigureOf(metrics), "psnr");
  metrics.set_perplexity(20);
  EXPECT_EQ(MainFigureOf(metrics), "perplexity");
  metrics.set_mae(2);
  EXPECT_EQ(MainFigureOf(metrics), "mae");
  metrics.set_accuracy(0.5);
  EXPECT_EQ(MainFigureOf(metrics), "accuracy");
  EXPECT_EQ(FigureOf(metrics, "psnr"), 31);
  EXPECT_TRUE(std::isnan(FigureOf(metrics, "auc")));
  EXPECT_TRUE(MoreIsBetter("accuracy"));
  EXPECT_FALSE(MoreIsBetter("mae"));
}

class ViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    out_ = open_memstream(&text_, &bytes_);
    ASSERT_NE(out_, nullptr);
  }
  void TearDown() override {
    std::fclose(out_);
    std::free(text_);
  }
  std::string Text() {
    std::fflush(out_);
    return std::string(text_, bytes_);
  }
  std::vector<std::string> Lines() { return absl::StrSplit(Text(), '\n', absl::SkipWhitespace()); }

  FILE* out_ = nullptr;
  char* text_ = nullptr;
  size_t bytes_ = 0;
  ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
};

RunHeading Heading() {
  return {.name = "fashion",
          .model = "mlp",
          .parameters = 26010,
          .clients = 1000,
          .records = 60000,
          .cohort = 10,
          .rounds = 4,
          .privacy = "none",
          .secure_aggregation = "simulated: the masks, which cancel, are left out",
          .threads = 2,
          .memory_bytes = uint64_t{300} << 20,
          .folder = "runs/1"};
}

RoundLine Round(uint32_t round) {
  return {.round = round, .attempt = round, .cohort = 10, .survivors = 9, .epsilon = 0.12341};
}

EvaluationLine Evaluation(uint32_t round, double loss) {
  EvaluationLine line{.round = round, .virtual_seconds = 3661, .wall_seconds = 12};
  line.metrics.set_records(10);
  line.metrics.set_loss(loss);
  line.metrics.set_accuracy(0.5);
  return line;
}

TEST_F(ViewTest, WithoutATerminalThereAreLinesOnly) {
  LiveView view(out_, /*terminal=*/false, &clock_);
  view.Begin(Heading());
  view.Note("the noise is large");
  view.Show(Evaluation(0, 2.3));
  view.Show(Round(1));
  view.Progress(3, 10);
  view.Show(Round(2));
  view.Show(Evaluation(2, std::numeric_limits<double>::quiet_NaN()));
  view.End({.text = "no improvement",
            .virtual_seconds = 3661,
            .wall_seconds = 12,
            .peak_memory_bytes = 1 << 20});
  EXPECT_THAT(Text(), Not(HasSubstr("\r")));
  EXPECT_THAT(
      Lines(),
      ElementsAre("fashion: 1000 clients, 60000 records, 4 rounds of 10 clients",
                  "  model     mlp, 26010 parameters", "  privacy   none",
                  "  sums      simulated: the masks, which cancel, are left out",
                  "  on        2 threads; about 300.0 MB of memory", "  into      runs/1",
                  "  note: the noise is large",
                  "      round       loss    accuracy   epsilon    survivors  simulated     time",
                  "        0/4     2.3000      0.5000         -            -    1:01:01     0:12",
                  "        2/4          -      0.5000    0.1235         9/10    1:01:01     0:12",
                  "done: 2 rounds in 0:12, 1:01:01 of simulated time; at most 1.0 MB of memory",
                  "  no improvement"));
}

TEST_F(ViewTest, NoLineIsWiderThanATerminal) {
  LiveView view(out_, false, &clock_);
  RunHeading heading = Heading();
  heading.name = std::string(200, 'n');
  heading.privacy =
      "epsilon at most 8 at delta 1e-05 for each record, with the same integers and "
      "the same noise as in a federation of real members, exactly";
  heading.ranks = 4;
  heading.resumed_after = 3;
  view.Begin(heading);
  view.Show(Round(1));
  view.Show(Evaluation(1, 1e300));
  for (uint32_t attempt = 1; attempt < 50; ++attempt) {
    view.Show(AttemptFailedLine{.round = 1,
                                .attempt = attempt,
                                .reason = std::string(60, 'r') + " " + std::string(60, '\x1b')});
  }
  view.End({.status = RunEnd::kStopped, .text = "Ctrl-C"});
  for (const std::string& line : Lines()) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(Text(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(Text(), HasSubstr("attempt 5 failed"));
  EXPECT_THAT(Text(), Not(HasSubstr("attempt 6 failed")));
  EXPECT_THAT(Text(), HasSubstr("49 attempts failed"));
  EXPECT_THAT(Text(), HasSubstr("stopped after round 1 of 4"));
}

TEST_F(ViewTest, OnATerminalTheBarIsDrawnTenTimesASecond) {
  LiveView view(out_, /*terminal=*/true, &clock_);
  view.Begin(Heading());
  const size_t drawn = Text().size();
  for (uint32_t i = 1; i < 10; ++i) view.Progress(i, 10);
  EXPECT_EQ(Text().size(), drawn) << "no time has passed";
  clock_.Advance(absl::Milliseconds(100));
  view.Show(Round(1));
  EXPECT_THAT(Text().substr(drawn),
              "\rround 1/4 [#######-----------------------]  25 %  0:00 left  10.0 rounds/s\x1b[K");
  const size_t before = Text().size();
  view.Show(Evaluation(1, 2));
  EXPECT_EQ(Text().substr(before, 4), "\r\x1b[K") << "the bar makes room for lines";
  const size_t ended = Text().size();
  view.End({});
  EXPECT_EQ(Text().substr(ended, 4), "\r\x1b[K");
  EXPECT_EQ(Text().back(), '\n');
}

TEST_F(ViewTest, SweepHasARowForEachRun) {
  SweepView view(out_, false, &clock_);
  view.Begin({.name = "rates", .runs = 3, .at_once = 2, .folder = "out"});
  view.Progress(2, 0.5);
  view.Show({.label = "learning_rate=0.1",
             .seed = 7,
             .newest = Evaluation(4, 0.5),
             .end = {.wall_seconds = 61}});
  view.Show({.label = std::string(100, 'l'),
             .seed = 8,
             .end = {.status = RunEnd::kFailed, .text = "out of memory"}});
  clock_.Advance(absl::Seconds(90));
  view.End();
  EXPECT_THAT(
      Lines(),
      ElementsAre("rates: 3 runs, 2 at once", "  into      out",
                  "    run                                    seed       loss   accuracy      time",
                  "    1/3  learning_rate=0.1                    7     0.5000     0.5000      1:01",
                  "    2/3  llllllllllllll..llllllllllllll       8          -          -      0:00",
                  "         failed: out of memory", "done: 2 of 3 runs in 1:30; 1 failed"));
  EXPECT_THAT(Text(), Not(HasSubstr("\r")));
}

}  // namespace
}  // namespace dure::simulation
