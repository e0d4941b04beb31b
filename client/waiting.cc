#include "client/waiting.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/paragraph.h"

namespace dure {
namespace {

std::string MomentText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

WaitingItem Unreachable(const ClientFacts& facts) {
  std::string again;
  if (facts.next_try) {
    again = *facts.next_try > facts.now
                ? absl::StrCat("; next attempt in ", LengthInWords(*facts.next_try - facts.now))
                : "; trying now";
  }
  WaitingItem item{.reason = "unreachable", .until = absl::InfiniteFuture()};
  if (facts.not_coordinator) {
    item.reason = "tls_intercepted";
    item.text = absl::StrCat(
        facts.seen_there.empty() ? std::string(facts.fault.message()) : facts.seen_there, again);
    return item;
  }
  if (facts.fault.ok()) {
    item.reason = "connecting";
    item.text = absl::StrCat("connecting to ", facts.address);
    return item;
  }
  item.text = absl::StrCat(std::string(facts.fault.message()), again);
  return item;
}

WaitingItem StandingInWords(const Standing& standing) {
  const uint32_t here = std::min(standing.here(), standing.needed());
  switch (standing.state()) {
    case Standing::TOO_FEW_MEMBERS:
      return {.reason = "too_few_members",
              .text = standing.needed() == 0
                          ? "waiting for members"
                          : absl::StrCat("waiting for ", standing.needed() - here, " of ",
                                         Counted(standing.needed(), "member"), ": ", here,
                                         here == 1 ? " is here" : " are here")};
    case Standing::PAUSED:
      return {.reason = "paused_by_organiser", .text = "the organiser has paused the run"};
    case Standing::NOT_SELECTED:
      return {.reason = "not_selected",
              .text = "not selected for the attempt that is under way; it may be for the next"};
    case Standing::OTHERS_AWAITED:
      return {.reason = "others_awaited",
              .text = absl::StrCat("this member has done its part; waiting for ",
                                   standing.needed() - here, " of ",
                                   Counted(standing.needed(), "member"))};
    default:
      return {.reason = "ready", .text = "connected; the coordinator has nothing to do for it now"};
  }
}

}  // namespace

std::string LengthInWords(absl::Duration length) {
  length = std::max(absl::AbsDuration(length), absl::Seconds(1));
  const auto whole = [&](absl::Duration unit) {
    return static_cast<uint64_t>(absl::ToInt64Seconds(length) / absl::ToInt64Seconds(unit));
  };
  if (length >= absl::Hours(48)) return Counted(whole(absl::Hours(24)), "day");
  if (length >= absl::Hours(2)) return Counted(whole(absl::Hours(1)), "hour");
  if (length >= absl::Minutes(2)) return Counted(whole(absl::Minutes(1)), "minute");
  return Counted(whole(absl::Seconds(1)), "second");
}

WaitingItem WaitingFor(const ClientFacts& facts) {
  if (!facts.connected) {
    // Whoever paused it knows that better than what it could do otherwise.
    if (facts.pause && facts.pause->why == Pause::Why::kAsked) {
      return {.reason = std::string(PauseWord(facts.pause->why)), .text = facts.pause->text};
    }
    return Unreachable(facts);
  }
  if (facts.training) {
    return {.reason = "training",
            .text = facts.pause
                        ? absl::StrCat("finishing the training under way; then ", facts.pause->text)
                        : "training on this machine's data"};
  }
  if (facts.measuring) {
    return {.reason = "measuring", .text = "measuring a model on this machine's data"};
  }
  if (facts.pause) {
    return {.reason = std::string(PauseWord(facts.pause->why)),
            .text = facts.pause->text,
            .until = facts.pause->until};
  }
  if (facts.standing) return StandingInWords(*facts.standing);
  return {.reason = "ready",
          .text = facts.evaluator ? "connected; waiting for a model to measure"
                                  : "connected; waiting for the coordinator to begin an attempt"};
}

std::vector<WaitingItem> NotesOf(const ClientFacts& facts) {
  std::vector<WaitingItem> notes;
  if (facts.now < facts.certificate_begins) {
    notes.push_back(
        {.reason = "certificate_not_yet_valid",
         .text = absl::StrCat("this member's certificate is not valid before ",
                              MomentText(facts.certificate_begins), ": this machine's clock says ",
                              MomentText(facts.now), ", put it right"),
         .until = facts.certificate_begins});
  } else if (facts.now > facts.certificate_ends) {
    notes.push_back({.reason = "certificate_expired",
                     .text = absl::StrCat("this member's certificate expired on ",
                                          MomentText(facts.certificate_ends),
                                          ": ask the organiser for a new invitation, unless this "
                                          "machine's clock (",
                                          MomentText(facts.now), ") is wrong")});
  } else if (facts.certificate_ends - facts.now < kCertificateWarning) {
    notes.push_back({.reason = "certificate_expires",
                     .text = absl::StrCat("this member's certificate expires in ",
                                          LengthInWords(facts.certificate_ends - facts.now),
                                          ", on ", MomentText(facts.certificate_ends)),
                     .until = facts.certificate_ends});
  }
  if (facts.clock_ahead && absl::AbsDuration(*facts.clock_ahead) > kClockDifference) {
    notes.push_back(
        {.reason = "clock_off",
         .text = absl::StrCat("this machine's clock is off by ", LengthInWords(*facts.clock_ahead),
                              ": it is ",
                              *facts.clock_ahead > absl::ZeroDuration() ? "ahead of" : "behind",
                              " the coordinator's; put it right, for certificates are judged by "
                              "it (timedatectl set-ntp true)")});
  }
  if (!facts.connected && facts.pause && facts.pause->why != Pause::Why::kAsked) {
    notes.push_back({.reason = std::string(PauseWord(facts.pause->why)),
                     .text = facts.pause->text,
                     .until = facts.pause->until});
  }
  return notes;
}

WaitingReport ReportOf(const ClientFacts& facts) {
  const auto copy = [](const WaitingItem& item, WaitingReport::Item* out) {
    out->set_reason(item.reason);
    out->set_text(item.text);
    if (item.until != absl::InfiniteFuture()) out->set_until_unix(absl::ToUnixSeconds(item.until));
  };
  WaitingReport report;
  copy(WaitingFor(facts), report.mutable_now());
  for (const WaitingItem& note : NotesOf(facts)) copy(note, report.add_notes());
  report.set_clock_known(facts.clock_ahead.has_value());
  if (facts.clock_ahead) report.set_clock_ahead_ms(absl::ToInt64Milliseconds(*facts.clock_ahead));
  return report;
}

bool Announcer::Say(std::string_view reason, absl::Time now) {
  while (!said_.empty() && now - said_.front() >= kAgain) said_.pop_front();
  if (reason == last_ && !said_.empty()) return false;
  if (said_.size() >= kMostAnHour) return false;
  last_ = reason;
  said_.push_back(now);
  return true;
}

}  // namespace dure
