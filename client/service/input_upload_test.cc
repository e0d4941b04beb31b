#include "client/service/input_upload.h"

#include <deque>

#include "gtest/gtest.h"
#include "transport/limits.h"

namespace dure {
namespace {

class InputUploadTest : public ::testing::Test {
 protected:
  ClientMessage Message(size_t bytes, bool plain = false) {
    input_.clear();
    for (size_t i = 0; i < bytes; ++i) input_.push_back(static_cast<char>(i * 31 >> 5));
    ClientMessage message;
    message.mutable_secagg()->set_session_id("session");
    if (plain) {
      message.mutable_secagg()->mutable_plain_input()->set_packed(input_);
    } else {
      message.mutable_secagg()->mutable_masked_input()->set_packed(input_);
      message.mutable_secagg()->mutable_masked_input()->set_signature("signature");
    }
    return message;
  }
  ServerMessage SendFrom(uint64_t offset) {
    ServerMessage message;
    message.mutable_send_input()->set_session_id("session");
    message.mutable_send_input()->set_offset(offset);
    return message;
  }
  // The oldest message that was sent; the connection has taken it.
  ClientMessage Next() {
    EXPECT_FALSE(sent_.empty());
    auto [message, taken] = std::move(sent_.front());
    sent_.pop_front();
    if (taken) taken();
    return message;
  }
  // Reads pieces from `offset` to the end.
  void ExpectPieces(uint64_t offset) {
    std::string read;
    while (offset + read.size() < input_.size()) {
      EXPECT_LE(sent_.size(), kInputPiecesAtATime + 1);
      const ClientMessage message = Next();
      ASSERT_TRUE(message.has_input_piece());
      EXPECT_EQ(message.input_piece().offset(), offset + read.size());
      EXPECT_LE(message.input_piece().data().size(), kInputPieceBytes);
      read += message.input_piece().data();
    }
    EXPECT_TRUE(read == input_.substr(offset));
    const ClientMessage last = Next();
    ASSERT_TRUE(last.has_secagg());
    EXPECT_TRUE(last.secagg().masked_input().packed().empty());
    EXPECT_EQ(last.secagg().masked_input().signature(), "signature");
    EXPECT_TRUE(sent_.empty());
  }

  std::string input_;
  std::deque<std::pair<ClientMessage, std::function<void()>>> sent_;
  InputUpload upload_{[this](ClientMessage message, std::function<void()> taken) {
    sent_.emplace_back(std::move(message), std::move(taken));
  }};
};

TEST_F(InputUploadTest, ShortInputsAndOtherMessagesAreNoneOfItsBusiness) {
  ClientMessage message = Message(256 << 10);
  EXPECT_FALSE(upload_.Take(&message));
  EXPECT_EQ(message.secagg().masked_input().packed().size(), size_t{256} << 10);
  ClientMessage hello;
  hello.mutable_hello();
  EXPECT_FALSE(upload_.Take(&hello));
  EXPECT_TRUE(sent_.empty());
}

TEST_F(InputUploadTest, ALongInputIsAnnouncedAndComesInPiecesAndThenItsMessage) {
  ClientMessage message = Message(1'000'001);
  ASSERT_TRUE(upload_.Take(&message));
  const ClientMessage ahead = Next();
  ASSERT_TRUE(ahead.has_input_ahead());
  EXPECT_EQ(ahead.input_ahead().size(), input_.size());
  EXPECT_EQ(ahead.input_ahead().sha256(), ToString(Sha256(AsBytes(input_))));
  EXPECT_TRUE(sent_.empty());
  upload_.Heard(SendFrom(0));
  ExpectPieces(0);
}

TEST_F(InputUploadTest, AfterACutItGoesOnWhereTheCoordinatorSays) {
  ClientMessage message = Message(1'000'001);
  ASSERT_TRUE(upload_.Take(&message));
  ClientMessage again;
  again.mutable_secagg()->set_session_id("session");
  again.mutable_secagg()->mutable_masked_input()->set_signature("signature");
  for (const uint64_t offset :
       {uint64_t{0}, uint64_t{1}, uint64_t{65'536}, uint64_t{999'999}, uint64_t{1'000'001}}) {
    sent_.clear();
    upload_.Disconnected();
    ClientMessage repeated = again;
    ASSERT_TRUE(upload_.Take(&repeated)) << "the message once more, without its input";
    ASSERT_TRUE(Next().has_input_ahead());
    upload_.Heard(SendFrom(offset));
    ExpectPieces(offset);
  }
}

TEST_F(InputUploadTest, WhatTheOldConnectionTookDoesNotCount) {
  ClientMessage message = Message(1'000'001);
  ASSERT_TRUE(upload_.Take(&message));
  Next();
  upload_.Heard(SendFrom(0));
  auto old = std::move(sent_);
  sent_.clear();
  upload_.Disconnected();
  for (auto& [piece, taken] : old) {
    if (taken) taken();
  }
  EXPECT_TRUE(sent_.empty());
}

TEST_F(InputUploadTest, ItEndsWhenTheCoordinatorHasTheInputOrWantsItNoMore) {
  const auto ends_with = [&](const ServerMessage& heard) {
    ClientMessage message = Message(300'000);
    EXPECT_TRUE(upload_.Take(&message));
    upload_.Heard(heard);
    return upload_.bytes() == 0;
  };
  ServerMessage survivors, ended, offer, dealt, other;
  survivors.mutable_secagg()->set_session_id("session");
  survivors.mutable_secagg()->mutable_survivors();
  dealt.mutable_secagg()->set_session_id("session");
  dealt.mutable_secagg()->mutable_dealt();
  ended.mutable_attempt_ended()->set_session_id("session");
  offer.mutable_offer()->mutable_offer()->set_session_id("another");
  other.mutable_attempt_ended()->set_session_id("another");
  EXPECT_TRUE(ends_with(survivors));
  EXPECT_TRUE(ends_with(ended));
  EXPECT_TRUE(ends_with(offer));
  EXPECT_FALSE(ends_with(dealt));
  EXPECT_FALSE(ends_with(other));
  // An offset beyond the end is no offset.
  sent_.clear();
  upload_.Heard(SendFrom(300'001));
  EXPECT_TRUE(sent_.empty());
}

}  // namespace
}  // namespace dure
