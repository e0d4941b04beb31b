// What a member's client does or waits for, as a word for scripts and a sentence for people, and
// what else its owner should know: a clock that is wrong, a certificate that ends soon. Nobody else
// is named. Thread-safe: values and pure functions, but for Announcer.
#ifndef DURE_CLIENT_WAITING_H_
#define DURE_CLIENT_WAITING_H_

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/guest.h"
#include "proto/control.pb.h"
#include "proto/wire.pb.h"

namespace dure {

// A machine whose clock differs from the coordinator's by more is told so.
inline constexpr absl::Duration kClockDifference = absl::Minutes(2);
// A certificate that ends within this is told of.
inline constexpr absl::Duration kCertificateWarning = absl::Hours(24 * 14);

struct WaitingItem {
  std::string reason;                         // "not_selected"
  std::string text;                           // a sentence without a full stop
  absl::Time until = absl::InfiniteFuture();  // when it ends by itself, if that is known
};

// What is known of the client. `now` and the times are of this machine's clock.
struct ClientFacts {
  absl::Time now;
  std::string address;  // of the coordinator
  bool connected = false;
  absl::Status fault;                  // why the last connection failed or ended
  bool not_coordinator = false;        // `fault`: what answers there is not the coordinator
  std::string seen_there;              // what it is, in words, if somebody has looked
  std::optional<absl::Time> next_try;  // when it is dialled again
  std::optional<Pause> pause;
  bool training = false;                      // the trainer is at work for an attempt
  bool measuring = false;                     // for an evaluator
  std::optional<Standing> standing;           // the newest of this connection
  std::optional<absl::Duration> clock_ahead;  // of this machine, against the coordinator's
  absl::Time certificate_begins = absl::InfinitePast();
  absl::Time certificate_ends = absl::InfiniteFuture();
  bool evaluator = false;
};

// The first that applies: not reachable, paused, at work, waiting.
WaitingItem WaitingFor(const ClientFacts& facts);
// Beside it, the gravest first.
std::vector<WaitingItem> NotesOf(const ClientFacts& facts);
WaitingReport ReportOf(const ClientFacts& facts);

// "6 days", "11 minutes": rounded down, at least one second.
std::string LengthInWords(absl::Duration length);

// Says what changes at once, and what does not once an hour: a client that nobody looks at for a
// month leaves some hundred lines behind, not millions. Not thread-safe.
class Announcer {
 public:
  static constexpr absl::Duration kAgain = absl::Hours(1);
  // A state that flaps is said so often in an hour, and then no more in it.
  static constexpr size_t kMostAnHour = 10;

  // Whether `reason` is to be said now. `now` is of a clock that does not jump.
  bool Say(std::string_view reason, absl::Time now);

 private:
  std::string last_;
  std::deque<absl::Time> said_;  // within the last hour
};

}  // namespace dure

#endif  // DURE_CLIENT_WAITING_H_
