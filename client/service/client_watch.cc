#include "client/service/client_watch.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "transport/connect_fault.h"

namespace dure {
namespace {

using Level = member::Tell::Level;

constexpr absl::Duration kLookTimeout = absl::Seconds(10);
// Who answers in the place of the coordinator is looked at this often at most.
constexpr absl::Duration kLookAgain = absl::Hours(1);

std::optional<FileStamp> StampOfLimits(const std::string& node_folder) {
  absl::StatusOr<FileStamp> stamp = StampOfFile(GuestPath(node_folder));
  if (!stamp.ok()) return std::nullopt;
  return *std::move(stamp);
}

}  // namespace

ClientWatch::ClientWatch(const Node* node, Clock* clock, Owner owner)
    : node_(node), clock_(clock), owner_(std::move(owner)) {}

ClientWatch::~ClientWatch() { End(); }

void ClientWatch::End() {
  alive_.reset();
  aside_.reset();
}

void ClientWatch::Start() {
  ReadLimits();
  LookAndArm();
}

void ClientWatch::LookAndArm() {
  Look();
  owner_.post_after(kInterval, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) LookAndArm();
  });
}

// What cannot be understood changes nothing, and is told once.
void ClientWatch::ReadLimits() {
  stamp_ = StampOfLimits(node_->folder);
  absl::StatusOr<GuestFile> file = ReadGuestFile(node_->folder);
  const std::string fault = file.ok() ? "" : std::string(file.status().message());
  if (fault != limits_fault_ && !fault.empty()) {
    owner_.tell(Level::kWarning, absl::StrCat(fault, "; the limits of before go on holding"));
  }
  limits_fault_ = fault;
  if (file.ok()) limits_ = std::move(file->limits);
}

void ClientWatch::Look() {
  if (StampOfLimits(node_->folder) != stamp_) ReadLimits();
  const MachineState state =
      owner_.look_at_machine ? owner_.look_at_machine(limits_)
                             : LookAtMachine(node_->folder, limits_, clock_->Now(), RealPlaces());
  const absl::Time now = EvenNow();
  std::optional<Pause> pause =
      WhyPaused(limits_, IsPausedHere(node_->folder), state, absl::LocalTimeZone());
  const bool was_paused = pause_.has_value();
  const bool changed = was_paused != pause.has_value() || (pause && pause_->why != pause->why);
  if (changed) paused_since_ = now;
  pause_ = std::move(pause);
  if (changed && pause_ && pause_said_.Say(PauseWord(pause_->why), now)) {
    owner_.tell(Level::kNote, training_ > 0
                                  ? absl::StrCat("after the training under way: ", pause_->text)
                                  : pause_->text);
  }
  if (changed && !pause_ && pause_said_.Say("going_on", now)) {
    owner_.tell(Level::kNote, "no longer paused");
  }
  TellAvailability();
  EndTrainingIfItMust(now);
  AnnounceNotes();
}

void ClientWatch::TellAvailability() {
  const bool available = !pause_.has_value();
  if (!connected_ || available == told_available_) return;
  told_available_ = available;
  ClientMessage message;
  message.mutable_availability()->set_available(available);
  owner_.send(std::move(message));
}

void ClientWatch::EndTrainingIfItMust(absl::Time now) {
  if (!pause_ || training_ == 0 || ended_training_ || !EndsTraining(pause_->why) ||
      now - paused_since_ < kPauseGrace) {
    return;
  }
  ended_training_ = true;
  owner_.tell(Level::kNote, absl::StrCat("the training under way is ended: ", pause_->text));
  owner_.end_training();
}

void ClientWatch::TrainingEnds() {
  --training_;
  ended_training_ = false;
}

absl::Status ClientWatch::SetPaused(bool paused) {
  absl::Status set = SetPausedHere(node_->folder, paused);
  if (set.ok()) Look();
  return set;
}

void ClientWatch::Connected(const std::string& words) {
  connected_ = true;
  told_available_ = true;  // what the coordinator takes a member for that says nothing
  fault_ = absl::OkStatus();
  seen_there_.clear();
  looked_ = absl::InfinitePast();
  next_try_.reset();
  standing_.reset();
  if (connection_said_.Say("connected", EvenNow())) {
    owner_.tell(Level::kNote, absl::StrCat("connected to ", node_->membership.address, words));
  }
  TellAvailability();
}

void ClientWatch::Disconnected(const absl::Status& why, absl::Duration next_try) {
  connected_ = false;
  standing_.reset();
  fault_ = why.ok()
               ? absl::UnavailableError(absl::StrCat(
                     "the coordinator at ", node_->membership.address, " closed the connection"))
               : why;
  next_try_ = clock_->Now() + next_try;
  if (IsNotCoordinator(fault_)) LookWhoIsThere();
  if (!looking_) AnnounceWaiting(Level::kWarning);
}

void ClientWatch::AnnounceWaiting(Level level) {
  const WaitingItem waiting = WaitingFor(Facts());
  if (!connection_said_.Say(waiting.reason, EvenNow())) return;
  owner_.tell(level, absl::StrCat(waiting.text, "; it is tried again for as long as it takes"));
}

void ClientWatch::LookWhoIsThere() {
  const absl::Time now = EvenNow();
  if (!alive_ || looking_ || now - looked_ < kLookAgain) return;
  looking_ = true;
  looked_ = now;
  if (!aside_) aside_ = std::make_unique<Strand>();
  const auto look = owner_.look_at_address
                        ? owner_.look_at_address
                        : [address = node_->membership.address, ca = node_->ca_certificate] {
                            return LookAtAddress(address, ca, absl::Now(), kLookTimeout);
                          };
  aside_->Post([this, look, alive = std::weak_ptr<bool>(alive_)] {
    // The watch waits for this task before it ends.
    owner_.post([this, alive, seen = look()] {
      if (alive.expired()) return;
      looking_ = false;
      if (connected_ || !IsNotCoordinator(fault_)) return;
      if (seen.reached.ok() && !seen.tls.ok()) seen_there_ = std::string(seen.tls.message());
      AnnounceWaiting(Level::kWarning);
    });
  });
}

void ClientWatch::Heard(const ServerMessage& message) {
  if (message.has_welcome() && message.welcome().time_unix_ms() != 0) {
    clock_ahead_ = clock_->Now() - absl::FromUnixMillis(message.welcome().time_unix_ms());
    AnnounceNotes();
  }
  if (message.has_standing()) standing_ = message.standing();
  // Whatever else it says changes how things stand.
  if (message.has_offer() || message.has_attempt_ended()) standing_.reset();
}

// What is new at once, and all that is still so once an hour.
void ClientWatch::AnnounceNotes() {
  std::string reasons;
  std::vector<WaitingItem> notes = NotesOf(Facts());
  std::erase_if(notes, [&](const WaitingItem& note) {
    return pause_ && note.reason == PauseWord(pause_->why);  // said when it began
  });
  for (const WaitingItem& note : notes) absl::StrAppend(&reasons, note.reason, " ");
  if (reasons.empty() || !notes_said_.Say(reasons, EvenNow())) return;
  for (const WaitingItem& note : notes) owner_.tell(Level::kWarning, note.text);
}

// Also of a certificate that is not of this time: then that is what is to be said. It may have been
// renewed.
void ClientWatch::ReadCertificate() {
  if (certificate_ == node_->certificate) return;
  certificate_ = node_->certificate;
  absl::StatusOr<Certificate> own =
      VerifyCertificateAtAnyTime(node_->certificate, node_->ca_certificate);
  if (own.ok()) validity_ = own->validity;
}

absl::Duration ClientWatch::TakeUpload(uint64_t bytes) {
  upload_.SetRate(limits_.max_upload);
  return upload_.Take(bytes, EvenNow());
}

ClientFacts ClientWatch::Facts() {
  ReadCertificate();
  return {.now = clock_->Now(),
          .address = node_->membership.address,
          .connected = connected_,
          .fault = fault_,
          .not_coordinator = IsNotCoordinator(fault_),
          .seen_there = seen_there_,
          .next_try = next_try_,
          .pause = pause_,
          .training = training_ > 0,
          .measuring = measuring_ > 0,
          .standing = standing_,
          .clock_ahead = clock_ahead_,
          .certificate_begins = validity_.not_before,
          .certificate_ends = validity_.not_after,
          .evaluator = node_->membership.role == EVALUATOR};
}

WaitingReport ClientWatch::Report() {
  Look();
  return ReportOf(Facts());
}

}  // namespace dure
