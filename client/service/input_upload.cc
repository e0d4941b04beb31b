#include "client/service/input_upload.h"

#include <algorithm>
#include <utility>

#include "privacy/secagg/limits.h"
#include "transport/limits.h"

namespace dure {
namespace {

// The input in the message; null if it is no message with one.
std::string* PackedOf(ClientMessage* message) {
  if (!message->has_secagg()) return nullptr;
  secagg::UpMessage* up = message->mutable_secagg();
  if (up->has_masked_input()) return up->mutable_masked_input()->mutable_packed();
  if (up->has_plain_input()) return up->mutable_plain_input()->mutable_packed();
  return nullptr;
}

}  // namespace

bool InputUpload::Take(ClientMessage* message) {
  std::string* packed = PackedOf(message);
  if (packed == nullptr) return false;
  if (packed->size() > secagg::kMostInlineInputBytes) {
    Upload upload{.packed = std::move(*packed)};
    packed->clear();
    upload.message = std::move(*message);
    upload.sha256 = Sha256(AsBytes(upload.packed));
    upload_ = std::move(upload);
    Announce();
    return true;
  }
  const bool again = packed->empty() && upload_ &&
                     upload_->message.secagg().session_id() == message->secagg().session_id();
  if (again) Announce();
  return again;
}

void InputUpload::Announce() {
  ++generation_;
  upload_->under_way = 0;
  ClientMessage ahead;
  ahead.mutable_input_ahead()->set_session_id(upload_->message.secagg().session_id());
  ahead.mutable_input_ahead()->set_size(upload_->packed.size());
  ahead.mutable_input_ahead()->set_sha256(ToString(upload_->sha256));
  send_(std::move(ahead), nullptr);
}

void InputUpload::Heard(const ServerMessage& message) {
  if (!upload_) return;
  const std::string& session = upload_->message.secagg().session_id();
  if (message.has_send_input()) {
    const SendInput& send = message.send_input();
    if (send.session_id() != session || send.offset() > upload_->packed.size()) return;
    ++generation_;
    upload_->next = send.offset();
    upload_->under_way = 0;
    SendPieces();
    return;
  }
  const bool answered = message.has_secagg() && message.secagg().session_id() == session &&
                        !message.secagg().has_dealt() && !message.secagg().has_roster();
  const bool ended = message.has_attempt_ended() && message.attempt_ended().session_id() == session;
  const bool another = message.has_offer() && message.offer().offer().session_id() != session;
  if (answered || ended || another || message.has_welcome()) upload_.reset();
}

void InputUpload::SendPieces() {
  const std::string& packed = upload_->packed;
  if (upload_->next == packed.size() && upload_->under_way == 0) {
    return send_(upload_->message, nullptr);  // all of it is there already
  }
  while (upload_->under_way < kInputPiecesAtATime && upload_->next < packed.size()) {
    ClientMessage message;
    InputPiece* piece = message.mutable_input_piece();
    piece->set_session_id(upload_->message.secagg().session_id());
    piece->set_offset(upload_->next);
    piece->set_data(packed.substr(upload_->next, kInputPieceBytes));
    upload_->next += piece->data().size();
    ++upload_->under_way;
    send_(std::move(message), [this, generation = generation_] {
      if (generation != generation_ || !upload_) return;
      --upload_->under_way;
      if (upload_->next < upload_->packed.size()) SendPieces();
    });
    if (upload_->next == packed.size()) send_(upload_->message, nullptr);
  }
}

}  // namespace dure
