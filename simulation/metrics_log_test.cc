#include "simulation/metrics_log.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure::simulation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The lines of docs/formats/metrics.md.
constexpr char kRun[] =
    R"({"type":"run","version":"0.1.0","name":"a \"b\"","seed":18446744073709551615,"clients":100,)"
    R"("records":60000,"parameters":26010,"rounds":3,"threads":2,"ranks":1,)"
    R"("started":"2026-11-22T20:40:00Z","configuration":{"local.learning_rate":"0.1","name":"x"}})"
    "\n";
constexpr char kRound[] =
    R"({"type":"round","round":1,"attempt":1,"cohort":10,"survivors":9,"epsilon":0.12,)"
    R"("update_norm":0.5,"virtual_seconds":12.5,"wall_seconds":0.5,"bytes_received":1000,)"
    R"("bytes_sent":2000})"
    "\n";
constexpr char kFailed[] =
    R"({"type":"attempt_failed","round":2,"attempt":2,"reason":"3 of 10 are left",)"
    R"("virtual_seconds":14.0})"
    "\n";
constexpr char kEvaluation[] =
    R"({"type":"evaluation","round":1,"records":4,"loss":0.75,"accuracy":0.5,"own_name":"psnr",)"
    R"("own":31.5,"confusion":[1,1,1,1],"virtual_seconds":12.5,"wall_seconds":0.75})"
    "\n";
constexpr char kEnd[] =
    R"({"type":"end","status":"stopped","text":"Ctrl-C","model_sha256":"ab","epsilon":null,)"
    R"("virtual_seconds":14.0,"wall_seconds":1.5,"peak_memory_bytes":1048576})"
    "\n";

RunLine TheRun() {
  return {.version = "0.1.0",
          .name = "a \"b\"",
          .seed = std::numeric_limits<uint64_t>::max(),
          .clients = 100,
          .records = 60000,
          .parameters = 26010,
          .rounds = 3,
          .threads = 2,
          .ranks = 1,
          .started = "2026-11-22T20:40:00Z",
          .configuration = {{"name", "x"}, {"local.learning_rate", "0.1"}}};
}

RoundLine Round(uint32_t round, uint32_t attempt) {
  return {.round = round,
          .attempt = attempt,
          .cohort = 10,
          .survivors = 9,
          .epsilon = 0.12,
          .update_norm = 0.5,
          .virtual_seconds = 12.5,
          .wall_seconds = 0.5,
          .bytes_received = 1000,
          .bytes_sent = 2000};
}

AttemptFailedLine TheFailure() {
  return {.round = 2, .attempt = 2, .reason = "3 of 10 are left", .virtual_seconds = 14};
}

EvaluationLine Evaluation(uint32_t round) {
  EvaluationLine line{.round = round, .virtual_seconds = 12.5, .wall_seconds = 0.75};
  line.metrics.set_records(4);
  line.metrics.set_loss(0.75);
  line.metrics.set_accuracy(0.5);
  line.metrics.set_own_name("psnr");
  line.metrics.set_own(31.5);
  for (int i = 0; i < 4; ++i) line.metrics.add_confusion(1);
  return line;
}

EndLine TheEnd() {
  return {.status = RunEnd::kStopped,
          .text = "Ctrl-C",
          .model_sha256 = "ab",
          .virtual_seconds = 14,
          .wall_seconds = 1.5,
          .peak_memory_bytes = 1 << 20};
}

std::string Fault(const std::string& contents) {
  const absl::StatusOr<RunRecord> record = ParseMetrics(contents, "m");
  if (record.ok()) return "";
  EXPECT_EQ(record.status().code(), absl::StatusCode::kDataLoss);
  return std::string(record.status().message());
}

TEST(MetricsLineTest, IsOneJsonObjectALine) {
  EXPECT_EQ(MetricsLine(TheRun()), kRun);
  EXPECT_EQ(MetricsLine(Round(1, 1)), kRound);
  EXPECT_EQ(MetricsLine(TheFailure()), kFailed);
  EXPECT_EQ(MetricsLine(Evaluation(1)), kEvaluation);
  EXPECT_EQ(MetricsLine(TheEnd()), kEnd);
}

TEST(MetricsLineTest, WhatIsNotFiniteIsNull) {
  RoundLine round = Round(1, 1);
  round.epsilon = kInfinity;
  round.clip_norm = kNan;
  round.update_norm = kInfinity;
  EXPECT_THAT(MetricsLine(round),
              HasSubstr(R"("epsilon":null,"clip_norm":null,"update_norm":null)"));
  EvaluationLine evaluation = Evaluation(1);
  evaluation.metrics.set_loss(kNan);
  evaluation.metrics.set_perplexity(kInfinity);
  const std::string line = MetricsLine(evaluation);
  EXPECT_THAT(line, HasSubstr(R"("loss":null)"));
  EXPECT_THAT(line, HasSubstr(R"("perplexity":null)"));
  const absl::StatusOr<RunRecord> record =
      ParseMetrics(absl::StrCat(kRun, MetricsLine(round), line), "m");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_FALSE(record->rounds[0].epsilon.has_value());
  EXPECT_TRUE(std::isnan(record->rounds[0].update_norm));
  EXPECT_TRUE(std::isnan(record->evaluations[0].metrics.loss()));
  EXPECT_FALSE(record->evaluations[0].metrics.has_perplexity());
}

TEST(MetricsLineTest, TextThatIsNotUtf8StaysALine) {
  EndLine end = TheEnd();
  end.text = "\xff\n\"";
  EXPECT_THAT(MetricsLine(end), HasSubstr("\"text\":\"\xEF\xBF\xBD\\n\\\"\""));
}

TEST(ReadMetricsTest, ReadsEveryKindOfLine) {
  const absl::StatusOr<RunRecord> record =
      ParseMetrics(absl::StrCat(kRun, kRound, kEvaluation, kFailed, kEnd), "m");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->run.name, "a \"b\"");
  EXPECT_EQ(record->run.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(record->run.configuration, TheRun().configuration);
  ASSERT_THAT(record->rounds, SizeIs(1));
  EXPECT_EQ(MetricsLine(record->rounds[0]), kRound);
  ASSERT_THAT(record->failures, SizeIs(1));
  EXPECT_EQ(MetricsLine(record->failures[0]), kFailed);
  ASSERT_THAT(record->evaluations, SizeIs(1));
  EXPECT_EQ(MetricsLine(record->evaluations[0]), kEvaluation);
  ASSERT_TRUE(record->end.has_value());
  EXPECT_EQ(MetricsLine(*record->end), kEnd);
  EXPECT_EQ(record->resumed, 0u);
  EXPECT_EQ(record->cut_line, 0u);
}

TEST(ReadMetricsTest, TheLastLineOfARoundCounts) {
  RoundLine again = Round(1, 5);
  const absl::StatusOr<RunRecord> record = ParseMetrics(
      absl::StrCat(kRun, kRound, MetricsLine(Round(2, 2)), kEnd, kRun, MetricsLine(again)), "m");
  ASSERT_TRUE(record.ok()) << record.status();
  ASSERT_THAT(record->rounds, SizeIs(2));
  EXPECT_EQ(record->rounds[0].attempt, 5u);
  EXPECT_EQ(record->resumed, 1u);
  EXPECT_FALSE(record->end.has_value()) << "it goes on";
}

TEST(ReadMetricsTest, ACutLastLineIsLeftOutAndSaid) {
  const absl::StatusOr<RunRecord> record =
      ParseMetrics(absl::StrCat(kRun, kRound, std::string(kEnd).substr(0, 20)), "m");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_THAT(record->rounds, SizeIs(1));
  EXPECT_EQ(record->cut_line, 3u);
}

TEST(ReadMetricsTest, LinesOfALaterVersionArePassedOver) {
  const absl::StatusOr<RunRecord> record =
      ParseMetrics(absl::StrCat(kRun, "{\"type\":\"weather\",\"rain\":[]}\n", kRound), "m");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_THAT(record->rounds, SizeIs(1));
}

TEST(ReadMetricsTest, ADamagedLineIsNamed) {
  EXPECT_EQ(Fault(""), "m holds no whole line: the run ended before it began");
  EXPECT_EQ(Fault("{\"type\":\"ru"), "m holds no whole line: the run ended before it began");
  EXPECT_EQ(Fault(kRound),
            "m:1: not the start of a run; a metrics file begins with a line of type \"run\"");
  EXPECT_EQ(Fault(absl::StrCat(kRun, "x\n")), "m:2: no JSON object");
  EXPECT_EQ(Fault(absl::StrCat(kRun, "\n")), "m:2: no JSON object");
  EXPECT_EQ(Fault(absl::StrCat(kRun, "[1]\n")), "m:2: no JSON object");
  EXPECT_EQ(Fault(absl::StrCat(kRun, "{}\n")), "m:2: \"type\" is missing");
  EXPECT_EQ(Fault(absl::StrCat(kRun, std::string(100'000, '['), "\n")), "m:2: no JSON object");
  EXPECT_EQ(Fault(absl::StrCat(kRun, std::string(kMaxMetricsLineBytes + 1, ' '), "\n")),
            "m:2: longer than 8388608 bytes");
}

// A line with `from` replaced by `to`.
std::string Changed(std::string line, const std::string& from, const std::string& to) {
  const size_t at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return absl::StrCat(kRun, line.replace(at, from.size(), to));
}

TEST(ReadMetricsTest, AValueThatCannotBeIsNamed) {
  EXPECT_EQ(Fault(Changed(kRound, "\"round\":1,", "\"round\":0,")),
            "m:2: \"round\" is no whole number from 1 to 4294967295");
  EXPECT_EQ(Fault(Changed(kRound, "\"round\":1,", "")),
            "m:2: \"round\" is no whole number from 1 to 4294967295");
  EXPECT_EQ(Fault(Changed(kRound, "\"cohort\":10", "\"cohort\":-1")),
            "m:2: \"cohort\" is no whole number from 0 to 4294967295");
  EXPECT_EQ(Fault(Changed(kRound, "\"cohort\":10", "\"cohort\":4294967296")),
            "m:2: \"cohort\" is no whole number from 0 to 4294967295");
  EXPECT_EQ(Fault(Changed(kRound, "\"epsilon\":0.12", "\"epsilon\":\"0.12\"")),
            "m:2: \"epsilon\" is no number");
  EXPECT_EQ(Fault(Changed(kRound, "\"epsilon\":0.12", "\"epsilon\":1e999")), "m:2: no JSON object");
  EXPECT_EQ(Fault(Changed(kRound, ":12.5", ":-1")),
            "m:2: \"virtual_seconds\" is no number from 0 up");
  EXPECT_EQ(Fault(Changed(kEvaluation, "\"accuracy\":0.5", "\"accuracy\":1.5")),
            "m:2: an accuracy outside 0 to 1");
  EXPECT_EQ(Fault(Changed(kEvaluation, "[1,1,1,1]", "[1,1,1]")),
            "m:2: a confusion matrix that is not square");
  EXPECT_EQ(Fault(Changed(kEnd, "stopped", "tired")),
            "m:2: \"status\" is none of finished, failed, stopped");
  EXPECT_EQ(Fault(Changed(kRun, "\"0.1\"", "0.1")), "m:2: \"local.learning_rate\" is no text");
  EXPECT_EQ(Fault(Changed(kRun, "{\"local.learning_rate\":\"0.1\",\"name\":\"x\"}", "[]")),
            "m:2: \"configuration\" is no object");
}

TEST(ReadMetricsTest, AFileThatIsNotThereIsSaid) {
  EXPECT_EQ(ReadMetrics("/proc/self/nothing").status().code(), absl::StatusCode::kNotFound);
}

class MetricsLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = absl::StrCat(::testing::TempDir(), "/dure_metrics_log_test_",
                         ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // Three rounds, an attempt that failed before the third, and the end.
  void WriteRun() {
    absl::StatusOr<MetricsLog> log = MetricsLog::Create(path_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE(log->Write(TheRun()).ok());
    ASSERT_TRUE(log->Write(Evaluation(0)).ok());
    ASSERT_TRUE(log->Write(Round(1, 1)).ok());
    ASSERT_TRUE(log->Write(Evaluation(1)).ok());
    ASSERT_TRUE(log->Sync().ok());
    ASSERT_TRUE(log->Write(TheFailure()).ok());
    ASSERT_TRUE(log->Write(Round(2, 3)).ok());
    ASSERT_TRUE(log->Write(Round(3, 4)).ok());
    ASSERT_TRUE(log->Write(Evaluation(3)).ok());
    ASSERT_TRUE(log->Write(TheEnd()).ok());
  }
  std::string Contents() { return *ReadFile(path_, kMaxMetricsBytes); }
  void Add(const std::string& bytes) {
    ASSERT_TRUE(AppendFile::Reopen(path_, Contents().size())->Append(bytes).ok());
  }

  std::string path_;
};

TEST_F(MetricsLogTest, ALineIsThereWhenItIsWritten) {
  absl::StatusOr<MetricsLog> log = MetricsLog::Create(path_);
  ASSERT_TRUE(log->Write(TheRun()).ok());
  EXPECT_EQ(Contents(), kRun);
  ASSERT_TRUE(log->Write(Round(1, 1)).ok());
  EXPECT_EQ(Contents(), absl::StrCat(kRun, kRound));
  EXPECT_EQ(MetricsLog::Create(path_).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(MetricsLogTest, GoesOnBehindACheckpoint) {
  WriteRun();
  absl::StatusOr<ResumedMetrics> resumed = MetricsLog::Resume(path_, {.round = 2, .attempt = 3});
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_THAT(resumed->kept.rounds, SizeIs(2));
  EXPECT_THAT(resumed->kept.failures, SizeIs(1));
  EXPECT_THAT(resumed->kept.evaluations, SizeIs(2));
  EXPECT_FALSE(resumed->kept.end.has_value());
  ASSERT_TRUE(resumed->log.Write(TheRun()).ok());
  ASSERT_TRUE(resumed->log.Write(Round(3, 7)).ok());
  const absl::StatusOr<RunRecord> record = ReadMetrics(path_);
  ASSERT_TRUE(record.ok()) << record.status();
  ASSERT_THAT(record->rounds, SizeIs(3));
  EXPECT_EQ(record->rounds[2].attempt, 7u);
  EXPECT_THAT(record->evaluations, SizeIs(2));
  EXPECT_EQ(record->resumed, 1u);
}

TEST_F(MetricsLogTest, AnAttemptThatFailedBeforeTheCheckpointIsKept) {
  WriteRun();
  EXPECT_THAT(MetricsLog::Resume(path_, {.round = 1, .attempt = 2})->kept.failures, SizeIs(1));
  EXPECT_THAT(MetricsLog::Resume(path_, {.round = 1, .attempt = 1})->kept.failures, IsEmpty());
}

TEST_F(MetricsLogTest, WhatIsBehindTheCheckpointMayBeDamaged) {
  WriteRun();
  Add(std::string("\0\0\n{", 4));
  EXPECT_TRUE(MetricsLog::Resume(path_, {.round = 3, .attempt = 4}).ok());
  Add(std::string("\0\0\n{", 4));
  EXPECT_EQ(ReadMetrics(path_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(MetricsLog::Resume(path_, {.round = 3, .attempt = 4}).ok());
  EXPECT_THAT(ReadMetrics(path_)->evaluations, SizeIs(3));
  // Before the first round is released there is nothing else to keep.
  EXPECT_THAT(MetricsLog::Resume(path_, {})->kept.evaluations, SizeIs(1));
  EXPECT_EQ(Contents(), absl::StrCat(kRun, MetricsLine(Evaluation(0))));
}

TEST_F(MetricsLogTest, AFileThatIsBehindItsCheckpointIsRefused) {
  WriteRun();
  const std::string before = Contents();
  const absl::Status status = MetricsLog::Resume(path_, {.round = 4, .attempt = 5}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("ends with round 3, the checkpoint is of round 4"));
  EXPECT_EQ(Contents(), before);
}

}  // namespace
}  // namespace dure::simulation
