// A long input on its way to the coordinator (proto/wire.proto, InputAhead): announced, sent in
// pieces from where the coordinator says, a few at a time so that a slow line is not flooded, and
// announced again after the connection was lost. The message that it belongs to follows its last
// piece. Not thread-safe: lives on the client's strand, where `sent` is posted to.
#ifndef DURE_CLIENT_SERVICE_INPUT_UPLOAD_H_
#define DURE_CLIENT_SERVICE_INPUT_UPLOAD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "crypto/digest.h"
#include "proto/wire.pb.h"

namespace dure {

class InputUpload {
 public:
  // Sends a message; calls `sent`, if there is one, on the strand once the connection has taken it.
  using Send = std::function<void(ClientMessage message, std::function<void()> sent)>;
  explicit InputUpload(Send send) : send_(std::move(send)) {}

  // True if the message has a long input, or is one again whose input is here: it is sent from
  // here.
  bool Take(ClientMessage* message);
  // What the coordinator said: SendInput begins the pieces; what follows an input ends its upload.
  void Heard(const ServerMessage& message);
  // The connection is gone: pieces that were under way do not count.
  void Disconnected() { ++generation_; }

  // Bytes of the input that have been given to the connection, and all of them; for people.
  uint64_t sent_bytes() const { return upload_ ? upload_->next : 0; }
  uint64_t bytes() const { return upload_ ? upload_->packed.size() : 0; }

 private:
  struct Upload {
    ClientMessage message;  // without the input
    std::string packed;
    Digest sha256{};
    uint64_t next = 0;
    size_t under_way = 0;  // pieces
  };
  void Announce();
  void SendPieces();

  const Send send_;
  std::optional<Upload> upload_;
  uint64_t generation_ = 0;  // of the pieces under way
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_INPUT_UPLOAD_H_
