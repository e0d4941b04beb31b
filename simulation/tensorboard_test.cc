#include "simulation/tensorboard.h"

#include <filesystem>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/tensorboard.pb.h"
#include "simulation/tf_record.h"

namespace dure::simulation {
namespace {

using tensorboard::Event;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(TfRecordTest, CrcIsThatOfRfc3720) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  // Section B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string up;
  for (char c = 0; c < 32; ++c) up.push_back(c);
  EXPECT_EQ(Crc32c(up), 0x46dd794eu);
}

class TensorBoardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "/dure_tensorboard_test_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  TensorBoardWriter Begin(const RunRecord* kept = nullptr) {
    absl::StatusOr<TensorBoardWriter> writer = TensorBoardWriter::Create(folder_, kStart, kept);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }
  // Every event of a file, whose frames must be whole.
  static std::vector<Event> Events(const std::string& path) {
    const std::string contents = *ReadFile(path, 1 << 20);
    std::vector<Event> events;
    for (size_t at = 0; at < contents.size();) {
      const auto length = static_cast<uint8_t>(contents[at]);  // all are shorter than 256 bytes
      const std::string data = contents.substr(at + 12, length);
      EXPECT_EQ(contents.substr(at, length + 16), TfRecord(data));
      EXPECT_TRUE(events.emplace_back().ParseFromString(data));
      at += length + 16;
    }
    return events;
  }
  static std::vector<std::string> Scalars(const Event& event) {
    std::vector<std::string> all;
    for (const auto& value : event.summary().value()) {
      all.push_back(absl::StrCat(value.tag(), "=", value.simple_value()));
    }
    return all;
  }

  const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
  std::string folder_;
};

// The bytes were computed from TensorBoard's published description by a program of its own that
// shares nothing with this one.
TEST_F(TensorBoardTest, FirstRecordsAreTheseBytes) {
  TensorBoardWriter writer = Begin();
  EvaluationLine line{.round = 3};
  line.metrics.set_loss(0.5);
  ASSERT_TRUE(writer.Write(line, kStart + absl::Milliseconds(1500)).ok());
  EXPECT_EQ(absl::BytesToHexString(*ReadFile(writer.path(), 1000)),
            "1800000000000000a37f4b22090000008074d2da411a0d627261696e2e4576656e743a3248f03b531a00"
            "000000000000129bd82d090000608074d2da4110032a0d0a0b0a046c6f7373150000003f7ffd849b");
}

TEST_F(TensorBoardTest, FileIsNamedAsTensorBoardLooksForIt) {
  const std::string first = Begin().path();
  EXPECT_THAT(first, HasSubstr(absl::StrCat(folder_, "/events.out.tfevents.1800000000.")));
  EXPECT_EQ(first.substr(first.size() - 2), ".0");
  const std::string second = Begin().path();
  EXPECT_EQ(second.substr(second.size() - 2), ".1");
  EXPECT_EQ(TensorBoardWriter::Create(folder_ + "/none", kStart, nullptr).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(TensorBoardTest, RoundsAndEvaluationsAreScalars) {
  TensorBoardWriter writer = Begin();
  RoundLine round{.round = 1,
                  .survivors = 9,
                  .epsilon = 0.25,
                  .update_norm = 0.5,
                  .virtual_seconds = 10,
                  .wall_seconds = 2};
  ASSERT_TRUE(writer.Write(round, kStart).ok());
  round = {.round = 2,
           .survivors = 10,
           .clip_norm = 1.5,
           .update_norm = std::numeric_limits<double>::infinity(),
           .virtual_seconds = 25,
           .wall_seconds = 5};
  ASSERT_TRUE(writer.Write(round, kStart).ok());
  EvaluationLine evaluation{.round = 2};
  evaluation.metrics.set_loss(std::numeric_limits<double>::quiet_NaN());
  evaluation.metrics.set_accuracy(0.75);
  evaluation.metrics.set_own_name("epsilon");
  evaluation.metrics.set_own(7);
  ASSERT_TRUE(writer.Write(evaluation, kStart).ok());
  const std::vector<Event> events = Events(writer.path());
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_THAT(Scalars(events[1]), ElementsAre("epsilon=0.25", "survivors=9", "update_norm=0.5",
                                              "round_seconds=2", "virtual_seconds=10"));
  EXPECT_THAT(Scalars(events[2]), ElementsAre("clip_norm=1.5", "survivors=10", "update_norm=inf",
                                              "round_seconds=3", "virtual_seconds=15"));
  EXPECT_THAT(Scalars(events[3]), ElementsAre("loss=nan", "accuracy=0.75", "own/epsilon=7"));
  EXPECT_EQ(events[3].step(), 2);
  EXPECT_EQ(events[3].wall_time(), 1.8e9);
}

TEST_F(TensorBoardTest, AResumedRunTakesBackWhatCameAfterItsCheckpoint) {
  RunRecord kept;
  kept.rounds.push_back({.round = 4, .virtual_seconds = 40, .wall_seconds = 8});
  TensorBoardWriter writer = Begin(&kept);
  ASSERT_TRUE(
      writer.Write(RoundLine{.round = 5, .virtual_seconds = 50, .wall_seconds = 9}, kStart).ok());
  const std::vector<Event> events = Events(writer.path());
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events[1].step(), 5);
  EXPECT_THAT(Scalars(events[2]),
              ElementsAre("survivors=0", "update_norm=0", "round_seconds=1", "virtual_seconds=10"));
}

}  // namespace
}  // namespace dure::simulation
