#include "privacy/secagg/roster.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure::secagg {
namespace {

template <size_t kBytes>
std::array<uint8_t, kBytes> ToArray(const std::string& bytes) {
  DURE_CHECK(bytes.size() == kBytes);
  std::array<uint8_t, kBytes> array;
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

}  // namespace

absl::StatusOr<RosterEntry> ReadAdvertise(const Advertise& message, CertificateVerifier& verifier) {
  RosterEntry entry;
  DURE_ASSIGN_OR_RETURN(entry.identity, verifier.Verify(AsBytes(message.certificate())));
  entry.enc_key = ToArray<32>(message.enc_key());
  entry.mask_key = ToArray<32>(message.mask_key());
  entry.nonce = ToArray<32>(message.nonce());
  entry.signature = ToArray<64>(message.signature());
  return entry;
}

absl::Status VerifyEntry(const RosterEntry& entry, const SessionBinding& session) {
  const Transcript statement = AdvertiseStatement(session.session_id, session.config_hash, entry);
  if (VerifySignature(entry.identity.key, statement.bytes(), entry.signature)) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(absl::StrCat("the keys of ", DisplayName(entry.identity),
                                                 " are not signed for this session and config"));
}

absl::Status CheckKeysDistinct(std::span<const RosterEntry> entries) {
  std::set<X25519PublicKey> keys;
  for (const RosterEntry& entry : entries) {
    if (!keys.insert(entry.enc_key).second || !keys.insert(entry.mask_key).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          DisplayName(entry.identity), " has a session key that occurs twice in the roster"));
    }
  }
  return absl::OkStatus();
}

absl::Status LowOrderKey(const MemberIdentity& identity) {
  return absl::AbortedError(
      absl::StrCat("the roster has a session key of low order, of ", DisplayName(identity)));
}

std::string DisplayName(const MemberIdentity& identity) {
  const std::string id = ToHex(ByteView(identity.client_id).first(4));
  if (identity.name.empty()) return absl::StrCat("member ", id);
  return absl::StrCat(identity.name, " (", id, ")");
}

}  // namespace dure::secagg
