// What a running client knows of its own situation: what it may take of this
// machine, whether it is paused, how it stands with the coordinator, what is wrong with clock and
// certificate. It looks at the machine now and then, tells the coordinator whether this member may
// be asked, ends a training that must not go on, and says what changes, and what does not once an
// hour. Lives on the client's strand; only LookAtAddress runs elsewhere.
#ifndef DURE_CLIENT_SERVICE_CLIENT_WATCH_H_
#define DURE_CLIENT_SERVICE_CLIENT_WATCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/rate_limit.h"
#include "base/strand.h"
#include "client/engine.h"
#include "client/guest.h"
#include "client/service/guest_file.h"
#include "client/service/machine_state.h"
#include "client/service/node.h"
#include "client/waiting.h"
#include "crypto/x509.h"
#include "proto/control.pb.h"
#include "proto/wire.pb.h"
#include "transport/look.h"

namespace dure {

class ClientWatch {
 public:
  // How often the machine is looked at.
  static constexpr absl::Duration kInterval = absl::Seconds(20);

  // All are called on the strand and outlive the watch's last use of it.
  struct Owner {
    std::function<void(ClientMessage)> send;  // to the coordinator, if it is connected
    std::function<void()> end_training;
    std::function<void(member::Tell::Level, std::string)> tell;
    std::function<void(Strand::Task)> post;                        // from any thread, to the strand
    std::function<void(absl::Duration, Strand::Task)> post_after;  // to the strand
    // For tests; else absent.
    std::function<AddressLook()> look_at_address;
    std::function<MachineState(const GuestLimits&)> look_at_machine;
    std::function<absl::Time()> even_now;
  };

  // `node` is borrowed. The clock tells this machine's time.
  ClientWatch(const Node* node, Clock* clock, Owner owner);
  ~ClientWatch();
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

  // The first look, and a timer for the others.
  void Start();
  // No timer and nothing that runs elsewhere is left, and no look begins any more.
  void End();
  // Hello has been sent. `words` follow "connected to ADDRESS".
  void Connected(const std::string& words);
  // Why it is not connected, and when it is dialled again.
  void Disconnected(const absl::Status& why, absl::Duration next_try);
  void Dialling() { next_try_.reset(); }
  void Heard(const ServerMessage& message);
  void TrainingBegins() { ++training_; }
  void TrainingEnds();
  void MeasuringBegins() { ++measuring_; }
  void MeasuringEnds() { --measuring_; }
  // `dure client pause|resume`: on disk first.
  absl::Status SetPaused(bool paused);

  const GuestLimits& limits() const { return limits_; }
  // Bytes have been sent: how long what follows waits (max_upload).
  absl::Duration TakeUpload(uint64_t bytes);
  bool paused() const { return pause_.has_value(); }
  WaitingReport Report();

 private:
  void Look();
  void LookAndArm();
  void ReadLimits();
  void TellAvailability();
  void EndTrainingIfItMust(absl::Time now);
  // For pauses and announcements: it does not jump.
  absl::Time EvenNow() { return owner_.even_now ? owner_.even_now() : even_clock_.Now(); }
  ClientFacts Facts();
  void ReadCertificate();
  void AnnounceWaiting(member::Tell::Level level);
  void AnnounceNotes();
  void LookWhoIsThere();

  const Node* const node_;
  Clock* const clock_;
  EvenClock even_clock_;
  const Owner owner_;
  GuestLimits limits_;
  std::optional<FileStamp> stamp_;
  std::string limits_fault_;
  std::optional<Pause> pause_;
  absl::Time paused_since_;
  bool told_available_ = true;  // what the coordinator of this connection believes

  bool connected_ = false;
  absl::Status fault_;
  std::string seen_there_;
  bool looking_ = false;
  absl::Time looked_ = absl::InfinitePast();
  std::optional<absl::Time> next_try_;
  std::optional<Standing> standing_;
  std::optional<absl::Duration> clock_ahead_;
  std::string certificate_;  // the node's, whose validity this is
  Validity validity_{absl::InfinitePast(), absl::InfiniteFuture()};
  RateLimit upload_;
  int training_ = 0;
  int measuring_ = 0;
  bool ended_training_ = false;
  Announcer connection_said_, pause_said_, notes_said_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared with tasks on the strand
  std::unique_ptr<Strand> aside_;                               // for what blocks
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_CLIENT_WATCH_H_
