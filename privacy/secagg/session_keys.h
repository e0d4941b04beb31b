// Keys that two members agree on for one session: HKDF-SHA256 over X25519 secrets, salt T1
// (docs/secure-aggregation.md section 1.1). Not thread-safe.
#ifndef DURE_PRIVACY_SECAGG_SESSION_KEYS_H_
#define DURE_PRIVACY_SECAGG_SESSION_KEYS_H_

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/secret_bytes.h"
#include "crypto/x25519.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {

// A directional AES-256-GCM key of one session. It is used with the zero nonce, so it encrypts
// exactly one message: a second one is a DURE_CHECK.
class OneMessageKey {
 public:
  explicit OneMessageKey(SecretBytes key) : key_(std::move(key)) {}

  // Once. Erases the key.
  std::string Seal(ByteView associated, ByteView plaintext);
  // Once, on the other side. nullopt if the message is not authentic. Erases the key.
  std::optional<SecretBytes> Open(ByteView associated, ByteView sealed);

 private:
  SecretBytes key_;
};

// K_enc(dealer -> holder) from the X25519 secret of their `enc` keys.
OneMessageKey EncryptionKey(const SecretBytes& agreed, const Digest& t1, const Edge& edge);
// K_mask of both from the X25519 secret of their `mask` keys: kMaskKeyBytes.
SecretBytes PairMaskKey(const SecretBytes& agreed, const Digest& t1, const Edge& edge);
// K_self(member) from its seed b: kMaskKeyBytes.
SecretBytes SelfMaskKey(ByteView seed, const Digest& t1, ClientIndex member);

// All keys of one member with its neighbours, in their ascending order.
struct PairKeys {
  std::vector<OneMessageKey> sealing;  // self -> neighbour
  std::vector<OneMessageKey> opening;  // neighbour -> self
  std::vector<SecretBytes> masks;
};

// This member's private keys of the session.
struct PrivateKeys {
  const X25519PrivateKey& enc;
  const X25519PrivateKey& mask;
};

// Aborted, naming the member, if a neighbour's key is of low order.
absl::StatusOr<PairKeys> AgreeOnKeys(const PrivateKeys& keys, const Digest& t1, ClientIndex self,
                                     std::span<const ClientIndex> neighbours,
                                     std::span<const RosterEntry> roster);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_SESSION_KEYS_H_
