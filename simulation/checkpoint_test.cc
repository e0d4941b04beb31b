#include "simulation/checkpoint.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure::simulation {
namespace {

using ::testing::HasSubstr;

Checkpoint Example() {
  Checkpoint checkpoint;
  checkpoint.run.seed = 7;
  checkpoint.run.clients = 12;
  checkpoint.wall_seconds = 1.5;
  SimulationState& state = checkpoint.state;
  state.run.round = RoundNumber(3);
  state.run.attempts = AttemptNumber(4);
  state.run.counts.training = 4;
  state.run.model = "model";
  state.run.optimizer = "";
  state.run.clip_norm = 0.25;
  state.clock = absl::Seconds(90);
  state.bytes_received = 100;
  state.states[11] = LocalState{.round = RoundNumber(2), .control = {1.5f, -2.0f}};
  return checkpoint;
}

class CheckpointTest : public ::testing::Test {
 protected:
  ~CheckpointTest() override { unlink(path_.c_str()); }
  std::string Bytes() {
    EXPECT_TRUE(WriteCheckpoint(path_, Example()).ok());
    return *ReadFile(path_, 1 << 20);
  }
  const std::string path_ =
      absl::StrCat(::testing::TempDir(), "/checkpoint_test-", getpid(), ".bin");
};

TEST_F(CheckpointTest, WhatWasWrittenIsRead) {
  const absl::StatusOr<Checkpoint> read = DecodeCheckpoint(Bytes());
  ASSERT_TRUE(read.ok()) << read.status();
  const Checkpoint wanted = Example();
  EXPECT_TRUE(read->run == wanted.run);
  EXPECT_EQ(read->wall_seconds, 1.5);
  EXPECT_EQ(read->state.run.round, RoundNumber(3));
  EXPECT_EQ(read->state.run.attempts, AttemptNumber(4));
  EXPECT_EQ(read->state.run.counts, wanted.state.run.counts);
  EXPECT_EQ(read->state.run.model, "model");
  EXPECT_EQ(read->state.run.optimizer, "");
  EXPECT_EQ(read->state.run.clip_norm, 0.25);
  EXPECT_EQ(read->state.clock, absl::Seconds(90));
  EXPECT_EQ(read->state.bytes_received, 100);
  EXPECT_TRUE(read->state.states == wanted.state.states);
}

TEST_F(CheckpointTest, EveryByteIsCovered) {
  const std::string bytes = Bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(absl::IsDataLoss(DecodeCheckpoint(damaged).status())) << i;
    EXPECT_TRUE(absl::IsDataLoss(DecodeCheckpoint(bytes.substr(0, i)).status())) << i;
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeCheckpoint(bytes + "x").status()));
}

TEST_F(CheckpointTest, ErrorsNameTheFileAndTheRemedy) {
  EXPECT_TRUE(absl::IsNotFound(ReadCheckpoint(path_).status()));
  ASSERT_TRUE(WriteFileAtomic(path_, "no checkpoint, but long enough to be one perhaps").ok());
  const absl::Status status = ReadCheckpoint(path_).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--resume"));
}

TEST_F(CheckpointTest, AnotherRunIsNamed) {
  const RunIdentity run = Example().run;
  EXPECT_TRUE(CheckSameRun(run, run).ok());
  const auto fault = [&](auto change) {
    RunIdentity other = run;
    change(&other);
    return std::string(CheckSameRun(run, other).message());
  };
  EXPECT_THAT(fault([](RunIdentity* r) { r->seed = 8; }), HasSubstr("seed 7, and this run has"));
  EXPECT_THAT(fault([](RunIdentity* r) { r->spec[0] = 1; }), HasSubstr("federation file"));
  EXPECT_THAT(fault([](RunIdentity* r) { r->clients = 13; }), HasSubstr("12 clients"));
  EXPECT_THAT(fault([](RunIdentity* r) { r->records[0] = 1; }), HasSubstr("other data"));
  EXPECT_THAT(fault([](RunIdentity* r) { r->settings[0] = 1; }), HasSubstr("settings"));
}

}  // namespace
}  // namespace dure::simulation
