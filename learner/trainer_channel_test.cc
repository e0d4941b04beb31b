#include "learner/trainer_channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>

namespace dure {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kSoon = absl::Milliseconds(20);

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here_ = FileDescriptor(ends[0]);
    there_ = FileDescriptor(ends[1]);
  }
  FileDescriptor here_, there_;
};

TEST_F(ChannelTest, PacketsKeepTheirBoundsAndBringDescriptors) {
  FileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int descriptors[] = {null.get(), null.get()};
  ASSERT_TRUE(SendTrainerPacket(here_.get(), "one", descriptors, kSoon).ok());
  ASSERT_TRUE(
      SendTrainerPacket(here_.get(), std::string(kMaxTrainerPacketBytes, 'x'), {}, kSoon).ok());
  auto first = ReceiveTrainerPacket(there_.get(), kMaxTrainerDescriptors, kSoon);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->bytes, "one");
  EXPECT_EQ(first->descriptors.size(), 2u);
  auto second = ReceiveTrainerPacket(there_.get(), 0, kSoon);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->bytes.size(), kMaxTrainerPacketBytes);
}

TEST_F(ChannelTest, DescriptorsThatWereNotAskedForAreDropped) {
  const int descriptors[] = {0, 1, 2};
  ASSERT_TRUE(SendTrainerPacket(here_.get(), "x", descriptors, kSoon).ok());
  auto packet = ReceiveTrainerPacket(there_.get(), 0, kSoon);
  ASSERT_TRUE(packet.ok()) << packet.status();
  EXPECT_TRUE(packet->descriptors.empty());
}

TEST_F(ChannelTest, LimitsAreKeptOnBothSides) {
  const std::string large(kMaxTrainerPacketBytes + 1, 'x');
  EXPECT_EQ(SendTrainerPacket(here_.get(), large, {}, kSoon).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SendTrainerPacket(here_.get(), "", {}, kSoon).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(send(here_.get(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  EXPECT_EQ(ReceiveTrainerPacket(there_.get(), 0, kSoon).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelTest, SilenceIsDeadlineExceededAndAClosedEndUnavailable) {
  EXPECT_EQ(ReceiveTrainerPacket(there_.get(), 0, kSoon).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  here_.Close();
  EXPECT_EQ(ReceiveTrainerPacket(there_.get(), 0, kSoon).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(SendTrainerPacket(there_.get(), "x", {}, kSoon).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, APacketOrAClosedEndIsSeenWithoutWaiting) {
  EXPECT_FALSE(TrainerPacketWaits(there_.get()));
  ASSERT_TRUE(SendTrainerPacket(here_.get(), "x", {}, kSoon).ok());
  EXPECT_TRUE(TrainerPacketWaits(there_.get()));
  ASSERT_TRUE(ReceiveTrainerPacket(there_.get(), 0, kSoon).ok());
  EXPECT_FALSE(TrainerPacketWaits(there_.get()));
  here_.Close();
  EXPECT_TRUE(TrainerPacketWaits(there_.get()));
}

TEST_F(ChannelTest, AnEndThatTakesNothingIsDeadlineExceeded) {
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = SendTrainerPacket(here_.get(), std::string(kMaxTrainerPacketBytes, 'x'), {}, kSoon);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(SharedMemoryTest, BothSidesSeeTheSameAndNeitherCanResize) {
  auto ours = SharedMemory::Create("test", 64, SharedMemory::Peer::kWrites);
  ASSERT_TRUE(ours.ok()) << ours.status();
  auto theirs = SharedMemory::Map(FileDescriptor(dup(ours->descriptor())), 64, true);
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  static_cast<char*>(theirs->data())[63] = 'z';
  EXPECT_EQ(static_cast<char*>(ours->data())[63], 'z');
  EXPECT_NE(ftruncate(theirs->descriptor(), 32), 0);
  EXPECT_NE(ftruncate(theirs->descriptor(), 128), 0);
}

TEST(SharedMemoryTest, AReadingPeerCannotWrite) {
  auto ours = SharedMemory::Create("test", 64, SharedMemory::Peer::kReads);
  ASSERT_TRUE(ours.ok()) << ours.status();
  EXPECT_FALSE(SharedMemory::Map(FileDescriptor(dup(ours->descriptor())), 64, true).ok());
  auto theirs = SharedMemory::Map(FileDescriptor(dup(ours->descriptor())), 64, false);
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  static_cast<char*>(ours->data())[0] = 'a';
  EXPECT_EQ(static_cast<const char*>(theirs->data())[0], 'a');
}

TEST(SharedMemoryTest, WrongSizeOrNoSealIsRefused) {
  auto ours = SharedMemory::Create("test", 64, SharedMemory::Peer::kWrites);
  ASSERT_TRUE(ours.ok());
  EXPECT_EQ(SharedMemory::Map(FileDescriptor(dup(ours->descriptor())), 65, true).status().code(),
            absl::StatusCode::kInvalidArgument);
  FileDescriptor bare(memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(bare.get(), 64), 0);
  EXPECT_EQ(SharedMemory::Map(std::move(bare), 64, true).status().code(),
            absl::StatusCode::kInvalidArgument);
}

ParamManifest Manifest() { return {.params = {{"fc.weight", {2, 3}}, {"fc.bias", {2}}}}; }

TrainerReply GoodLoaded() {
  TrainerReply reply;
  TrainerLoaded& loaded = *reply.mutable_loaded();
  for (const ParamEntry& entry : Manifest().params) {
    TrainerLoaded::Param& param = *loaded.add_params();
    param.set_name(entry.name);
    param.mutable_shape()->Add(entry.shape.begin(), entry.shape.end());
  }
  loaded.set_records(5);
  loaded.add_label_counts(2);
  loaded.add_label_counts(3);
  TrainerLoaded::Layer& layer = *loaded.add_sandbox();
  layer.set_name("no\nnetwork");
  layer.set_applied(true);
  return reply;
}

absl::StatusCode LoadedCode(const std::function<void(TrainerLoaded&)>& change) {
  TrainerReply reply = GoodLoaded();
  change(*reply.mutable_loaded());
  return ParseLoadedReply(reply.SerializeAsString(), Manifest(), 2).status().code();
}

TEST(TrainerReplyTest, LoadedIsChecked) {
  auto loaded = ParseLoadedReply(GoodLoaded().SerializeAsString(), Manifest(), 2);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->data.records, 5u);
  EXPECT_EQ(loaded->sandbox[0].name, "no?network");
  constexpr auto kNonsense = absl::StatusCode::kInternal;
  EXPECT_EQ(LoadedCode([](auto& l) { l.set_records(6); }), kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) { l.add_label_counts(0); }), kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) { l.mutable_params(0)->set_name("other"); }), kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) { l.mutable_params(0)->set_shape(0, 9); }), kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) { l.mutable_params()->RemoveLast(); }), kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) {
              l.set_label_counts(0, UINT64_MAX);
              l.set_label_counts(1, 6);
            }),
            kNonsense);
  EXPECT_EQ(LoadedCode([](auto& l) {
              for (size_t i = 0; i < kMaxSandboxLayers; ++i) l.add_sandbox();
            }),
            kNonsense);
}

TEST(TrainerReplyTest, ComplaintsAboutInputPassOthersAreNonsense) {
  TrainerReply reply;
  reply.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kFailedPrecondition));
  reply.mutable_error()->set_text("bad\x1b[2Jdata" + std::string(5000, 'x'));
  absl::Status status = ParseTrainedReply(reply.SerializeAsString(), 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bad?[2Jdata"));
  EXPECT_EQ(status.message().size(), kMaxTrainerTextBytes);
  for (int code : {0, 2, 4, 14, 99, -1}) {
    reply.mutable_error()->set_code(code);
    EXPECT_EQ(ParseTrainedReply(reply.SerializeAsString(), 1).code(), absl::StatusCode::kInternal);
  }
}

TEST(TrainerReplyTest, TrainedAndEvaluatedAreChecked) {
  TrainerReply reply;
  reply.mutable_trained()->set_records(3);
  EXPECT_TRUE(ParseTrainedReply(reply.SerializeAsString(), 3).ok());
  EXPECT_EQ(ParseTrainedReply(reply.SerializeAsString(), 4).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ParseEvaluatedReply(reply.SerializeAsString(), 3).status().code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(ParseTrainedReply("\xff\xff", 4).code(), absl::StatusCode::kInternal);

  ModelMetrics& evaluated = *reply.mutable_evaluated()->mutable_metrics();
  evaluated.set_records(3);
  auto parse = [&] { return ParseEvaluatedReply(reply.SerializeAsString(), 3); };
  EXPECT_TRUE(parse().ok());
  for (double accuracy : {-0.1, 1.1, std::nan("")}) {
    evaluated.set_accuracy(accuracy);
    EXPECT_EQ(parse().status().code(), absl::StatusCode::kInternal) << accuracy;
  }
  evaluated.set_accuracy(0.5);
  evaluated.set_loss(-1);
  EXPECT_EQ(parse().status().code(), absl::StatusCode::kInternal);
  evaluated.set_loss(std::numeric_limits<double>::infinity());
  EXPECT_TRUE(parse().ok());
}

TEST(TrainerReplyTest, FloatUpdatesAreFinite) {
  const float good[] = {0, -1e30f, 1e30f, 1e-40f};
  EXPECT_TRUE(CheckUpdate(good).ok());
  for (float value : {std::nanf(""), std::numeric_limits<float>::infinity(),
                      -std::numeric_limits<float>::infinity(), 1.1e30f, -1e38f}) {
    const float bad[] = {0, value};
    EXPECT_EQ(CheckUpdate(bad).code(), absl::StatusCode::kInternal) << value;
  }
}

TEST(TrainerReplyTest, UpdatesAreBounded) {
  const int64_t bound = 3 * (int64_t{1} << 20);  // 3 records, F s C = 2^16 2^4 1
  const int64_t good[] = {0, -bound, 0};
  EXPECT_TRUE(CheckUpdate(good, 3, 1.0, 4).ok());
  const int64_t long_in_all[] = {bound, bound, 0};
  EXPECT_EQ(CheckUpdate(long_in_all, 3, 1.0, 4).code(), absl::StatusCode::kInternal);
  for (int64_t value : {bound + 1, -bound - 1, INT64_MIN, INT64_MAX}) {
    const int64_t bad[] = {0, value};
    EXPECT_EQ(CheckUpdate(bad, 3, 1.0, 4).code(), absl::StatusCode::kInternal) << value;
  }
}

}  // namespace
}  // namespace dure
