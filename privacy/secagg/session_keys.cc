#include "privacy/secagg/session_keys.h"

#include "base/check.h"
#include "crypto/aes_gcm.h"
#include "crypto/hkdf.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/roster.h"

namespace dure::secagg {
namespace {

constexpr size_t kEncryptionKeyBytes = 32;

SecretBytes Derive(ByteView key, const Digest& t1, const Transcript& info, size_t size) {
  return HkdfSha256({.key = key, .salt = t1, .info = info.bytes()}, size);
}

}  // namespace

std::string OneMessageKey::Seal(ByteView associated, ByteView plaintext) {
  DURE_CHECK(!key_.empty());  // one key, one message
  std::string sealed = AesGcmSeal(key_.view(), AesGcmNonce{}, associated, plaintext);
  key_.Wipe();
  return sealed;
}

std::optional<SecretBytes> OneMessageKey::Open(ByteView associated, ByteView sealed) {
  DURE_CHECK(!key_.empty());
  auto opened = AesGcmOpen(key_.view(), AesGcmNonce{}, associated, sealed);
  key_.Wipe();
  if (!opened.ok()) return std::nullopt;
  return *std::move(opened);
}

OneMessageKey EncryptionKey(const SecretBytes& agreed, const Digest& t1, const Edge& edge) {
  return OneMessageKey(Derive(agreed.view(), t1, EncryptionInfo(edge), kEncryptionKeyBytes));
}

SecretBytes PairMaskKey(const SecretBytes& agreed, const Digest& t1, const Edge& edge) {
  return Derive(agreed.view(), t1, PairMaskInfo(edge), kMaskKeyBytes);
}

SecretBytes SelfMaskKey(ByteView seed, const Digest& t1, ClientIndex member) {
  return Derive(seed, t1, SelfMaskInfo(member), kMaskKeyBytes);
}

absl::StatusOr<PairKeys> AgreeOnKeys(const PrivateKeys& keys, const Digest& t1, ClientIndex self,
                                     std::span<const ClientIndex> neighbours,
                                     std::span<const RosterEntry> roster) {
  PairKeys result;
  for (const ClientIndex other : neighbours) {
    const RosterEntry& entry = roster[other.value()];
    auto enc = keys.enc.Agree(entry.enc_key);
    auto mask = keys.mask.Agree(entry.mask_key);
    if (!enc.ok() || !mask.ok()) return LowOrderKey(entry.identity);
    result.sealing.push_back(EncryptionKey(*enc, t1, {.dealer = self, .holder = other}));
    result.opening.push_back(EncryptionKey(*enc, t1, {.dealer = other, .holder = self}));
    result.masks.push_back(PairMaskKey(*mask, t1, {.dealer = self, .holder = other}));
  }
  return result;
}

}  // namespace dure::secagg
