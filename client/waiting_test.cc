#include "client/waiting.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace dure {
namespace {

const absl::Time kNow = absl::FromCivil(absl::CivilHour(2026, 11, 23, 12), absl::UTCTimeZone());

ClientFacts Connected() {
  return {.now = kNow, .address = "coordinator.example:7000", .connected = true};
}

ClientFacts StandsAs(Standing::State state, uint32_t here, uint32_t needed) {
  ClientFacts facts = Connected();
  facts.standing.emplace();
  facts.standing->set_state(state);
  facts.standing->set_here(here);
  facts.standing->set_needed(needed);
  return facts;
}

TEST(WaitingTest, EveryStandingHasASentence) {
  EXPECT_EQ(WaitingFor(StandsAs(Standing::TOO_FEW_MEMBERS, 4, 7)).text,
            "waiting for 3 of 7 members: 4 are here");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::TOO_FEW_MEMBERS, 1, 7)).text,
            "waiting for 6 of 7 members: 1 is here");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::OTHERS_AWAITED, 4, 7)).text,
            "this member has done its part; waiting for 3 of 7 members");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::NOT_SELECTED, 0, 0)).reason, "not_selected");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::PAUSED, 0, 0)).reason, "paused_by_organiser");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::STATE_UNSPECIFIED, 0, 0)).reason, "ready");
  // Numbers of a coordinator that does not count well.
  EXPECT_EQ(WaitingFor(StandsAs(Standing::TOO_FEW_MEMBERS, 9, 7)).text,
            "waiting for 0 of 7 members: 7 are here");
  EXPECT_EQ(WaitingFor(StandsAs(Standing::TOO_FEW_MEMBERS, 0, 0)).text, "waiting for members");
}

TEST(WaitingTest, WorkComesBeforeEverythingElse) {
  ClientFacts facts = StandsAs(Standing::NOT_SELECTED, 0, 0);
  facts.training = true;
  EXPECT_EQ(WaitingFor(facts).reason, "training");
  facts.pause = Pause{.why = Pause::Why::kHours, .text = "paused until 22:00"};
  EXPECT_EQ(WaitingFor(facts).text, "finishing the training under way; then paused until 22:00");
  facts.training = false;
  EXPECT_EQ(WaitingFor(facts).reason, "outside_hours");
}

TEST(WaitingTest, ACoordinatorThatDoesNotAnswerHasItsAddressTheCauseAndTheNextAttempt) {
  ClientFacts facts = Connected();
  facts.connected = false;
  EXPECT_EQ(WaitingFor(facts).text, "connecting to coordinator.example:7000");
  facts.fault = absl::UnavailableError("cannot reach the coordinator at c:1: it refuses");
  facts.next_try = kNow + absl::Seconds(7);
  EXPECT_EQ(WaitingFor(facts).reason, "unreachable");
  EXPECT_EQ(WaitingFor(facts).text,
            "cannot reach the coordinator at c:1: it refuses; next attempt in 7 seconds");
  facts.next_try = kNow - absl::Seconds(1);
  EXPECT_TRUE(absl::EndsWith(WaitingFor(facts).text, "; trying now"));
  facts.pause = Pause{.why = Pause::Why::kBattery, .text = "on battery"};
  EXPECT_EQ(WaitingFor(facts).reason, "unreachable");
  ASSERT_EQ(NotesOf(facts).size(), 1u);
  EXPECT_EQ(NotesOf(facts)[0].reason, "on_battery");
}

TEST(WaitingTest, WhoAnswersInThePlaceOfTheCoordinatorIsSaid) {
  ClientFacts facts = Connected();
  facts.connected = false;
  facts.fault = absl::UnauthenticatedError("c:1 is not the coordinator");
  facts.not_coordinator = true;
  EXPECT_EQ(WaitingFor(facts).reason, "tls_intercepted");
  EXPECT_EQ(WaitingFor(facts).text, "c:1 is not the coordinator");
  facts.seen_there = "expected CA AB, got issuer CD";
  EXPECT_EQ(WaitingFor(facts).text, "expected CA AB, got issuer CD");
}

TEST(WaitingTest, ClocksAndCertificates) {
  ClientFacts facts = Connected();
  facts.clock_ahead = absl::Seconds(90);
  facts.certificate_ends = kNow + absl::Hours(24 * 15);
  EXPECT_TRUE(NotesOf(facts).empty());
  facts.clock_ahead = -absl::Minutes(11);
  facts.certificate_ends = kNow + absl::Hours(24 * 6 + 5);
  std::vector<WaitingItem> notes = NotesOf(facts);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0].text, "this member's certificate expires in 6 days, on 2026-11-29 17:00 UTC");
  EXPECT_TRUE(absl::StartsWith(notes[1].text,
                               "this machine's clock is off by 11 minutes: it is behind the "
                               "coordinator's"));
  facts.certificate_ends = kNow - absl::Hours(1);
  EXPECT_EQ(NotesOf(facts)[0].reason, "certificate_expired");
  facts.certificate_begins = kNow + absl::Hours(1);
  EXPECT_EQ(NotesOf(facts)[0].reason, "certificate_not_yet_valid");
}

TEST(WaitingTest, TheReportHasAllOfIt) {
  ClientFacts facts = Connected();
  facts.clock_ahead = absl::Minutes(11);
  facts.pause = Pause{.why = Pause::Why::kHours, .text = "p", .until = kNow + absl::Hours(1)};
  const WaitingReport report = ReportOf(facts);
  EXPECT_EQ(report.now().reason(), "outside_hours");
  EXPECT_EQ(report.now().until_unix(), absl::ToUnixSeconds(kNow) + 3600);
  ASSERT_EQ(report.notes_size(), 1);
  EXPECT_EQ(report.notes(0).reason(), "clock_off");
  EXPECT_TRUE(report.clock_known());
  EXPECT_EQ(report.clock_ahead_ms(), 660'000);
}

TEST(WaitingTest, LengthsAreRoundedDown) {
  EXPECT_EQ(LengthInWords(absl::ZeroDuration()), "1 second");
  EXPECT_EQ(LengthInWords(absl::Seconds(119)), "119 seconds");
  EXPECT_EQ(LengthInWords(-absl::Seconds(11 * 60 + 59)), "11 minutes");
  EXPECT_EQ(LengthInWords(absl::Hours(47)), "47 hours");
  EXPECT_EQ(LengthInWords(absl::Hours(24 * 7 - 1)), "6 days");
}

TEST(AnnouncerTest, WhatDoesNotChangeIsSaidOnceAnHour) {
  Announcer announcer;
  int said = 0;
  for (int second = 0; second < 24 * 3600; second += 7) {
    said += announcer.Say("unreachable", kNow + absl::Seconds(second));
  }
  EXPECT_EQ(said, 24);
}

TEST(AnnouncerTest, WhatChangesIsSaidAtOnce) {
  Announcer announcer;
  EXPECT_TRUE(announcer.Say("unreachable", kNow));
  EXPECT_TRUE(announcer.Say("connected", kNow + absl::Seconds(1)));
  EXPECT_TRUE(announcer.Say("unreachable", kNow + absl::Seconds(2)));
  EXPECT_FALSE(announcer.Say("unreachable", kNow + absl::Seconds(3)));
}

TEST(AnnouncerTest, WhatFlapsIsSaidSoOftenAnHourAtMost) {
  Announcer announcer;
  size_t said = 0;
  for (int second = 0; second < 24 * 3600; ++second) {
    said +=
        announcer.Say(second % 2 == 0 ? "connected" : "unreachable", kNow + absl::Seconds(second));
  }
  EXPECT_LE(said, 24 * Announcer::kMostAnHour);
  EXPECT_GE(said, 24 * Announcer::kMostAnHour - Announcer::kMostAnHour);
}

}  // namespace
}  // namespace dure
