#include "coordinator/service/staged_inputs.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "gtest/gtest.h"

namespace dure {
namespace {

class StagedInputsTest : public ::testing::Test {
 protected:
  StagedInputsTest() {
    session_[0] = 1;
    member_[0] = 2;
    for (size_t i = 0; i < 100'000; ++i) input_.push_back(static_cast<char>(i * 7919 >> 3));
  }
  InputAhead Ahead(const std::string& input) const {
    InputAhead ahead;
    ahead.set_session_id(ToString(session_));
    ahead.set_size(input.size());
    ahead.set_sha256(ToString(Sha256(AsBytes(input))));
    return ahead;
  }
  InputPiece Piece(uint64_t offset, uint64_t bytes) const {
    InputPiece piece;
    piece.set_session_id(ToString(session_));
    piece.set_offset(offset);
    piece.set_data(input_.substr(offset, bytes));
    return piece;
  }

  SystemRandom random_;
  StagedInputs inputs_{::testing::TempDir(), &random_};
  Digest session_{}, member_{};
  std::string input_;
};

TEST_F(StagedInputsTest, PiecesOfAnyLengthMakeTheInputAndACutLosesNothing) {
  uint64_t have = 0;
  for (uint64_t bytes = 1; have < input_.size(); bytes = bytes * 3 + 1) {
    // A new connection for each piece.
    ASSERT_EQ(*inputs_.Announce(member_, Ahead(input_)), have);
    bytes = std::min<uint64_t>(bytes, input_.size() - have);
    ASSERT_TRUE(inputs_.Add(member_, Piece(have, bytes)).ok());
    have += bytes;
  }
  EXPECT_EQ(*inputs_.Announce(member_, Ahead(input_)), input_.size());
  absl::StatusOr<secagg::StagedInput> staged = inputs_.Take(member_, ToString(session_));
  ASSERT_TRUE(staged.ok()) << staged.status();
  EXPECT_EQ(staged->sha256, Sha256(AsBytes(input_)));
  EXPECT_EQ(staged->last_byte, static_cast<uint8_t>(input_.back()));
  ASSERT_EQ(staged->bytes->size(), input_.size());
  for (const auto& [offset, bytes] : {std::pair<uint64_t, uint64_t>{0, input_.size()},
                                      {1, 15},
                                      {15, 2},
                                      {70'001, 29'999},
                                      {99'999, 1},
                                      {5, 0}}) {
    std::string read(bytes, '\0');
    ASSERT_TRUE(staged->bytes->Read(offset, {reinterpret_cast<uint8_t*>(read.data()), bytes}).ok());
    EXPECT_EQ(read, input_.substr(offset, bytes)) << offset;
  }
  EXPECT_FALSE(inputs_.Has(member_));
}

TEST_F(StagedInputsTest, WhatIsOutOfOrderIsRefusedAndChangesNothing) {
  EXPECT_FALSE(inputs_.Add(member_, Piece(0, 10)).ok()) << "not announced";
  ASSERT_TRUE(inputs_.Announce(member_, Ahead(input_)).ok());
  ASSERT_TRUE(inputs_.Add(member_, Piece(0, 10)).ok());
  EXPECT_FALSE(inputs_.Add(member_, Piece(0, 10)).ok());
  EXPECT_FALSE(inputs_.Add(member_, Piece(11, 10)).ok());
  EXPECT_FALSE(inputs_.Add(member_, Piece(10, 0)).ok());
  InputPiece beyond = Piece(10, 10);
  beyond.set_data(std::string(input_.size(), 'x'));
  EXPECT_FALSE(inputs_.Add(member_, beyond).ok());
  InputPiece other = Piece(10, 10);
  other.set_session_id("another");
  EXPECT_FALSE(inputs_.Add(member_, other).ok());
  EXPECT_EQ(*inputs_.Announce(member_, Ahead(input_)), 10u);
  EXPECT_EQ(inputs_.Take(member_, ToString(session_)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(StagedInputsTest, AnotherInputBeginsAnewAndOneThatIsNotItselfIsRefused) {
  ASSERT_TRUE(inputs_.Announce(member_, Ahead(input_)).ok());
  ASSERT_TRUE(inputs_.Add(member_, Piece(0, 10)).ok());
  EXPECT_EQ(*inputs_.Announce(member_, Ahead("another input")), 0u);
  InputPiece piece = Piece(0, 13);  // of the first
  ASSERT_TRUE(inputs_.Add(member_, piece).ok());
  EXPECT_EQ(inputs_.Take(member_, ToString(session_)).status().code(),
            absl::StatusCode::kInvalidArgument);
  InputAhead ahead = Ahead(input_);
  ahead.set_sha256("short");
  EXPECT_FALSE(inputs_.Announce(member_, ahead).ok());
}

TEST_F(StagedInputsTest, WhatIsOfAnotherSessionIsForgotten) {
  ASSERT_TRUE(inputs_.Announce(member_, Ahead(input_)).ok());
  inputs_.KeepSession(session_);
  EXPECT_TRUE(inputs_.Has(member_));
  inputs_.KeepSession(Digest{});
  EXPECT_FALSE(inputs_.Has(member_));
}

// Nobody who has the disk can read an input.
TEST_F(StagedInputsTest, TheFileHasNoNameAndHoldsNothingReadable) {
  std::filesystem::create_directory(::testing::TempDir() + "/staged");
  const std::string folder = std::filesystem::canonical(::testing::TempDir() + "/staged").string();
  StagedInputs inputs(folder, &random_);
  ASSERT_TRUE(inputs.Announce(member_, Ahead(input_)).ok());
  ASSERT_TRUE(inputs.Add(member_, Piece(0, input_.size())).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  bool seen = false;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone || target.rfind(folder, 0) != 0) continue;
    seen = true;
    FILE* file = std::fopen(entry.path().c_str(), "rb");
    ASSERT_NE(file, nullptr);
    std::string raw(input_.size(), '\0');
    ASSERT_EQ(std::fread(raw.data(), 1, raw.size(), file), raw.size());
    std::fclose(file);
    size_t equal = 0;
    for (size_t i = 0; i < raw.size(); ++i) equal += raw[i] == input_[i];
    EXPECT_LT(equal, raw.size() / 100);  // as by chance
  }
  EXPECT_TRUE(seen);
}

// A limit on the length of files stands for a full disk.
TEST_F(StagedInputsTest, AFullDiskIsSaidAndTheInputBeginsAnew) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto former = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_TRUE(inputs_.Announce(member_, Ahead(input_)).ok());
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = inputs_.Add(member_, Piece(0, 10'000));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, former);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_FALSE(inputs_.Has(member_));
  EXPECT_EQ(*inputs_.Announce(member_, Ahead(input_)), 0u);
}

}  // namespace
}  // namespace dure
