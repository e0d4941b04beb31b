// Inputs of members that come in pieces (proto/wire.proto, InputAhead), until each is whole and the
// message that it belongs to takes it out. A member that lost its connection goes on at the byte
// where it stopped. Memory does not grow with inputs or members: the bytes are in PrivateFiles.
// Not thread-safe: lives on the coordinator's strand.
#ifndef DURE_COORDINATOR_SERVICE_STAGED_INPUTS_H_
#define DURE_COORDINATOR_SERVICE_STAGED_INPUTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/service/private_file.h"
#include "crypto/digest.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/staged_input.h"
#include "proto/wire.pb.h"

namespace dure {

class StagedInputs {
 public:
  // In `folder`, which is there. `random` is borrowed.
  StagedInputs(std::string folder, Random* random) : folder_(std::move(folder)), random_(random) {}

  // The member announces an input of `ahead.size` bytes, which the caller has compared with what is
  // expected. From which byte on it is to be sent. The same announcement again goes on where it
  // stopped; another one begins anew. InvalidArgument for one without a SHA-256.
  absl::StatusOr<uint64_t> Announce(const secagg::MemberId& member, const InputAhead& ahead);
  // InvalidArgument, and nothing changed, for a piece of no announced input, out of order, empty or
  // beyond the end. An error of the disk: what was staged of this input is gone.
  absl::Status Add(const secagg::MemberId& member, const InputPiece& piece);
  // The member's input, whole, taken out. FailedPrecondition if it is not whole; InvalidArgument,
  // and it is gone, if it is not the one that was announced.
  absl::StatusOr<secagg::StagedInput> Take(const secagg::MemberId& member,
                                           const std::string& session_id);
  // Whether an input of that member is being staged, or waits.
  bool Has(const secagg::MemberId& member) const { return inputs_.contains(member); }
  // Forgets what belongs to another session than this.
  void KeepSession(const Digest& session_id);

 private:
  struct Input {
    std::string session_id;
    uint64_t size = 0;
    std::string sha256;
    std::shared_ptr<PrivateFile> file;
    std::unique_ptr<Sha256Stream> hash;
    uint8_t last_byte = 0;
  };

  const std::string folder_;
  Random* const random_;
  std::map<secagg::MemberId, Input> inputs_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_STAGED_INPUTS_H_
