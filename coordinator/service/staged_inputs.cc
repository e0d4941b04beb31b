#include "coordinator/service/staged_inputs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {

absl::StatusOr<uint64_t> StagedInputs::Announce(const secagg::MemberId& member,
                                                const InputAhead& ahead) {
  if (!DigestFromBytes(ahead.sha256())) {
    return absl::InvalidArgumentError("an input was announced without its SHA-256");
  }
  const auto found = inputs_.find(member);
  if (found != inputs_.end() && found->second.session_id == ahead.session_id() &&
      found->second.size == ahead.size() && found->second.sha256 == ahead.sha256()) {
    return found->second.file->size();
  }
  inputs_.erase(member);
  Input input{.session_id = ahead.session_id(),
              .size = ahead.size(),
              .sha256 = ahead.sha256(),
              .hash = std::make_unique<Sha256Stream>()};
  DURE_ASSIGN_OR_RETURN(input.file, PrivateFile::Create(folder_, *random_));
  inputs_.emplace(member, std::move(input));
  return 0;
}

absl::Status StagedInputs::Add(const secagg::MemberId& member, const InputPiece& piece) {
  const auto found = inputs_.find(member);
  if (found == inputs_.end() || found->second.session_id != piece.session_id()) {
    return absl::InvalidArgumentError("a piece of an input that was not announced");
  }
  Input& input = found->second;
  const uint64_t done = input.file->size();
  if (piece.offset() != done || piece.data().empty() || piece.data().size() > input.size - done) {
    return absl::InvalidArgumentError(absl::StrCat("a piece of ", piece.data().size(), " bytes at ",
                                                   piece.offset(), " of an input of ", input.size,
                                                   ", of which ", done, " are here"));
  }
  if (absl::Status written = input.file->Append(AsBytes(piece.data())); !written.ok()) {
    inputs_.erase(found);
    return written;
  }
  input.hash->Add(AsBytes(piece.data()));
  input.last_byte = static_cast<uint8_t>(piece.data().back());
  return absl::OkStatus();
}

absl::StatusOr<secagg::StagedInput> StagedInputs::Take(const secagg::MemberId& member,
                                                       const std::string& session_id) {
  const auto found = inputs_.find(member);
  if (found == inputs_.end() || found->second.session_id != session_id ||
      found->second.file->size() != found->second.size) {
    return absl::FailedPreconditionError("the input of the message has not come whole");
  }
  Input input = std::move(found->second);
  inputs_.erase(found);
  secagg::StagedInput staged{
      .sha256 = input.hash->Finish(), .last_byte = input.last_byte, .bytes = std::move(input.file)};
  if (ToString(staged.sha256) == input.sha256) return staged;
  return absl::InvalidArgumentError("the input is not the one that was announced");
}

void StagedInputs::KeepSession(const Digest& session_id) {
  std::erase_if(inputs_, [kept = ToString(session_id)](const auto& input) {
    return input.second.session_id != kept;
  });
}

}  // namespace dure
