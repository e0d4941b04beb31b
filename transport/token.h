// Invitations as text that people paste: "dure1:" and the base64url (RFC 4648 section 5, without
// padding) of the serialised Invitation. The text is a secret: never log it. Thread-safe.
#ifndef DURE_TRANSPORT_TOKEN_H_
#define DURE_TRANSPORT_TOKEN_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/wire.pb.h"

namespace dure {

inline constexpr std::string_view kTokenPrefix = "dure1:";
inline constexpr size_t kInvitationSecretBytes = 32;

// InvalidArgument if `invitation` is not one that DecodeToken would accept.
absl::StatusOr<std::string> EncodeToken(const Invitation& invitation);

// Reads a token. White space and line breaks anywhere in it are ignored. The address is HOST:PORT,
// the secret has kInvitationSecretBytes and the CA's certificate is well formed and signed by
// itself; whether it is still valid is not looked at.
// InvalidArgument with what is wrong: not a token, another version, cut off, damaged, longer than
// kMaxTokenBytes. The message never repeats the text.
absl::StatusOr<Invitation> DecodeToken(std::string_view text);

}  // namespace dure

#endif  // DURE_TRANSPORT_TOKEN_H_
