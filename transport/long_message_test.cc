// Long messages of many members reach the server a few at a time.
#include <algorithm>

#include "tests/support/session_fixture.h"

namespace dure {
namespace {

constexpr size_t kMembers = 5;

class LongMessageTest : public SessionTest {
 protected:
  void OpenAll(absl::Duration patience, size_t at_a_time = 2) {
    ServerOptions options = Options();
    options.long_message_patience = patience;
    options.long_messages_at_a_time = at_a_time;
    events_.hold_credits = true;
    StartServer(options);
    for (size_t i = 0; i < kMembers; ++i) {
      sessions_.push_back(Open(ca_.Member(absl::StrCat("m", i)), &recorders_[i]));
    }
    ASSERT_TRUE(AwaitPeers(kMembers));
  }
  void SendLong(size_t member) {
    ASSERT_TRUE(sessions_[member]->Send(Say(std::string(kLongMessageBytes + 1, 'x'))).ok());
  }
  // Says that a long message is ahead, and sends none.
  void Ask(size_t member) {
    ClientMessage ahead;
    ahead.mutable_long_message_ahead();
    ASSERT_TRUE(sessions_[member]->Send(ahead).ok());
    ASSERT_TRUE(sessions_[member]->Send(Say("asked")).ok());
  }
  bool AwaitMessages(size_t count) {
    return events_.Await([&] { return events_.messages.size() >= count; });
  }

  SessionRecorder recorders_[kMembers];
  std::vector<std::unique_ptr<Session>> sessions_;
};

TEST_F(LongMessageTest, OneIsDealtWithWhileTheNextComesAndShortOnesPass) {
  OpenAll(absl::Hours(1), /*at_a_time=*/1);
  for (size_t i = 0; i + 1 < kMembers; ++i) SendLong(i);
  ASSERT_TRUE(AwaitMessages(2));
  ASSERT_TRUE(sessions_.back()->Send(Say("short")).ok());
  ASSERT_TRUE(AwaitMessages(3));
  const auto is_short = [](const auto& said) { return said.second.hello().software() == "short"; };
  EXPECT_EQ(std::count_if(events_.messages.begin(), events_.messages.end(), is_short), 1);
  // Each that is dealt with lets one more in.
  for (size_t dealt_with = 0; dealt_with < 2; ++dealt_with) {
    ReadCredit credit;
    events_.Update([&] { credit = std::move(events_.credits[dealt_with]); });
    credit.reset();
    ASSERT_TRUE(AwaitMessages(4 + dealt_with));
  }
  events_.Update([&] { events_.credits.clear(); });
}

TEST_F(LongMessageTest, TheOrderInWhichTheyAreDealtWithIsTheOwners) {
  OpenAll(absl::Hours(1), /*at_a_time=*/1);
  for (size_t i = 0; i < kMembers; ++i) SendLong(i);
  ASSERT_TRUE(AwaitMessages(2));
  // The second one first, each time.
  for (size_t next = 1; next < kMembers - 1; ++next) {
    ReadCredit credit;
    events_.Update([&] { credit = std::move(events_.credits[next]); });
    credit.reset();
    ASSERT_TRUE(AwaitMessages(next + 2));
  }
  events_.Update([&] { events_.credits.clear(); });
}

TEST_F(LongMessageTest, WhoIsSlowHoldsNobodyUp) {
  OpenAll(absl::Milliseconds(1));
  Ask(0);
  Ask(1);
  ASSERT_TRUE(AwaitMessages(2));
  SendLong(2);
  ASSERT_TRUE(AwaitMessages(3));
}

TEST_F(LongMessageTest, WhoIsLostMakesRoom) {
  OpenAll(absl::Hours(1));
  Ask(0);
  Ask(1);
  ASSERT_TRUE(AwaitMessages(2));
  SendLong(2);
  ASSERT_TRUE(sessions_[3]->Send(Say("short")).ok());
  ASSERT_TRUE(AwaitMessages(3));
  EXPECT_EQ(events_.messages.back().second.hello().software(), "short");
  sessions_[0].reset();
  ASSERT_TRUE(AwaitMessages(4));
}

TEST_F(LongMessageTest, TheSameMemberSendsOneAfterAnother) {
  OpenAll(absl::Hours(1));
  events_.Update([&] { events_.hold_credits = false; });
  for (int i = 0; i < 4; ++i) SendLong(0);
  ASSERT_TRUE(AwaitMessages(4));
}

}  // namespace
}  // namespace dure
