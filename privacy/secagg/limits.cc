#include "privacy/secagg/limits.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "crypto/x509.h"
#include "privacy/secagg/graph_rule.h"
#include "privacy/secagg/thresholds.h"

namespace dure::secagg {
namespace {

constexpr uint64_t kKeyBytes = 32;
constexpr uint64_t kDigestBytes = sizeof(Digest);
constexpr uint64_t kSignatureBytes = sizeof(Signature);
constexpr uint64_t kMaxBitmapBytes = (kMaxMembers + 7) / 8;
// Tags and lengths that protobuf adds around one field, and around the fields of a nested message.
constexpr uint64_t kFieldOverhead = 16;

// Most neighbours of a member among so many invited.
uint32_t MostNeighbours(uint32_t invited) {
  return std::min(invited - 1, static_cast<uint32_t>(kMaxNeighbours));
}

absl::Status Exactly(absl::string_view field, const std::string& bytes, uint64_t size) {
  if (bytes.size() == size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " has ", bytes.size(), " bytes instead of ", size));
}

absl::Status AtMost(absl::string_view field, uint64_t size, uint64_t limit,
                    absl::string_view unit) {
  if (size <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", size, " ", unit, ", limit ", limit));
}

absl::Status CheckSealed(const Shares::Sealed& sealed) {
  DURE_RETURN_IF_ERROR(Exactly("sealed share", sealed.ciphertext(), kSealedBytes));
  DURE_RETURN_IF_ERROR(Exactly("share commitment", sealed.commit_mask(), kDigestBytes));
  return Exactly("share commitment", sealed.commit_self(), kDigestBytes);
}

absl::Status Check(const Shares& message, uint32_t invited) {
  DURE_RETURN_IF_ERROR(AtMost("Shares", static_cast<uint64_t>(message.sealed_size()),
                              MostNeighbours(invited), "neighbours"));
  for (const Shares::Sealed& sealed : message.sealed()) DURE_RETURN_IF_ERROR(CheckSealed(sealed));
  DURE_RETURN_IF_ERROR(Exactly("seed commitment", message.commit_seed(), kDigestBytes));
  return Exactly("signature of Shares", message.signature(), kSignatureBytes);
}

absl::Status CheckInput(std::string_view what, uint64_t bytes, const RoundConfig& config) {
  const uint64_t expected = PackedBytes(config.dim(), static_cast<int>(config.bits()));
  if (bytes == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), " of ", bytes, " bytes, must be ", expected));
}

absl::Status Check(const MaskedInput& message) {
  DURE_RETURN_IF_ERROR(
      AtMost("void bitmap", message.void_bitmap().size(), kMaxBitmapBytes, "bytes"));
  return Exactly("signature of MaskedInput", message.signature(), kSignatureBytes);
}

absl::Status Check(const Unmask& message, uint32_t invited) {
  for (const auto* shares : {&message.self_seeds(), &message.mask_keys()}) {
    DURE_RETURN_IF_ERROR(
        AtMost("Unmask", static_cast<uint64_t>(shares->size()), MostNeighbours(invited), "shares"));
    for (const Unmask::Share& share : *shares) {
      DURE_RETURN_IF_ERROR(Exactly("share", share.share(), kShareBytes));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const Roster& message, uint32_t invited) {
  DURE_RETURN_IF_ERROR(
      AtMost("Roster", static_cast<uint64_t>(message.entries_size()), invited, "members"));
  for (const Advertise& entry : message.entries()) DURE_RETURN_IF_ERROR(CheckSizes(entry));
  return Exactly("signature of Roster", message.signature(), kSignatureBytes);
}

absl::Status Check(const Dealt& message, uint32_t invited) {
  DURE_RETURN_IF_ERROR(AtMost("U2", message.bitmap().size(), kMaxBitmapBytes, "bytes"));
  DURE_RETURN_IF_ERROR(Exactly("signature of U2", message.signature(), kSignatureBytes));
  DURE_RETURN_IF_ERROR(AtMost("Dealt", static_cast<uint64_t>(message.dealers_size()),
                              MostNeighbours(invited), "dealers"));
  for (const Dealt::FromDealer& dealer : message.dealers()) {
    DURE_RETURN_IF_ERROR(CheckSealed(dealer.sealed()));
    DURE_RETURN_IF_ERROR(
        AtMost("Merkle path", static_cast<uint64_t>(dealer.path_size()), kMaxMerklePath, "nodes"));
    for (const std::string& node : dealer.path()) {
      DURE_RETURN_IF_ERROR(Exactly("node of a Merkle path", node, kDigestBytes));
    }
    DURE_RETURN_IF_ERROR(Exactly("seed commitment", dealer.commit_seed(), kDigestBytes));
    DURE_RETURN_IF_ERROR(Exactly("signature of a dealer", dealer.signature(), kSignatureBytes));
  }
  return absl::OkStatus();
}

absl::Status Check(const Survivors& message, uint32_t invited) {
  DURE_RETURN_IF_ERROR(AtMost("U3", message.bitmap().size(), kMaxBitmapBytes, "bytes"));
  DURE_RETURN_IF_ERROR(Exactly("signature of U3", message.signature(), kSignatureBytes));
  DURE_RETURN_IF_ERROR(AtMost("Survivors", static_cast<uint64_t>(message.uploads_size()),
                              MostNeighbours(invited), "uploads"));
  for (const Survivors::Upload& upload : message.uploads()) {
    DURE_RETURN_IF_ERROR(Exactly("hash of an upload", upload.packed_hash(), kDigestBytes));
    DURE_RETURN_IF_ERROR(
        AtMost("void bitmap", upload.void_bitmap().size(), kMaxBitmapBytes, "bytes"));
    DURE_RETURN_IF_ERROR(Exactly("signature of an upload", upload.signature(), kSignatureBytes));
  }
  return absl::OkStatus();
}

absl::Status Check(const Quorum& message, uint32_t invited) {
  DURE_RETURN_IF_ERROR(
      AtMost("Quorum", static_cast<uint64_t>(message.signers_size()), invited, "signers"));
  for (const Quorum::Signer& signer : message.signers()) {
    DURE_RETURN_IF_ERROR(Exactly("signature of a survivor", signer.signature(), kSignatureBytes));
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t MaxUpMessageBytes(const RoundConfig& config) {
  const uint64_t advertise =
      kMaxCertificateBytes + 3 * kKeyBytes + kSignatureBytes + 6 * kFieldOverhead;
  const uint64_t shares =
      MostNeighbours(config.invited()) * (kSealedBytes + 2 * kDigestBytes + 4 * kFieldOverhead) +
      1024;
  const uint64_t input =
      PackedBytes(config.dim(), static_cast<int>(config.bits())) + kMaxBitmapBytes + 1024;
  return kFieldOverhead + kDigestBytes + std::max({advertise, shares, input});
}

uint64_t MaxDownMessageBytes(const RoundConfig& config) {
  const uint64_t entry =
      kMaxCertificateBytes + 3 * kKeyBytes + kSignatureBytes + 6 * kFieldOverhead;
  const uint64_t dealer = kSealedBytes + (3 + kMaxMerklePath) * (kDigestBytes + kFieldOverhead) +
                          kSignatureBytes + 4 * kFieldOverhead;
  // The roster, or shares of the dealers with the bitmap of U2, or signatures of all survivors.
  return std::max(config.invited() * entry, MostNeighbours(config.invited()) * dealer) +
         kMaxBitmapBytes + 1024;
}

UpMessage WithoutLongInput(const UpMessage& message) {
  if (message.plain_input().packed().size() <= kMostInlineInputBytes &&
      message.masked_input().packed().size() <= kMostInlineInputBytes) {
    return message;
  }
  UpMessage kept;
  kept.set_session_id(message.session_id());
  if (message.has_plain_input()) {
    kept.mutable_plain_input();
    return kept;
  }
  kept.mutable_masked_input()->set_void_bitmap(message.masked_input().void_bitmap());
  kept.mutable_masked_input()->set_signature(message.masked_input().signature());
  return kept;
}

absl::Status CheckSizes(const Offer& offer) {
  DURE_RETURN_IF_ERROR(Exactly("session id", offer.session_id(), sizeof(Digest)));
  return Exactly("signature of the Offer", offer.signature(), kSignatureBytes);
}

absl::Status CheckSizes(const Advertise& message) {
  DURE_RETURN_IF_ERROR(
      AtMost("certificate", message.certificate().size(), kMaxCertificateBytes, "bytes"));
  DURE_RETURN_IF_ERROR(Exactly("encryption key", message.enc_key(), kKeyBytes));
  DURE_RETURN_IF_ERROR(Exactly("mask key", message.mask_key(), kKeyBytes));
  DURE_RETURN_IF_ERROR(Exactly("nonce", message.nonce(), kDigestBytes));
  return Exactly("signature of Advertise", message.signature(), kSignatureBytes);
}

absl::Status CheckSizes(const UpMessage& message, const RoundConfig& config,
                        uint64_t staged_bytes) {
  const bool masked = message.has_masked_input() && message.masked_input().packed().empty();
  const bool plain = message.has_plain_input() && message.plain_input().packed().empty();
  if (!masked && !plain) {
    return absl::InvalidArgumentError("a message that carries no input, after one in pieces");
  }
  DURE_RETURN_IF_ERROR(CheckInput("input in pieces", staged_bytes, config));
  return masked ? Check(message.masked_input()) : absl::OkStatus();
}

absl::Status CheckSizes(const UpMessage& message, const RoundConfig& config) {
  switch (message.kind_case()) {
    case UpMessage::kAdvertise:
      return CheckSizes(message.advertise());
    case UpMessage::kShares:
      return Check(message.shares(), config.invited());
    case UpMessage::kMaskedInput:
      DURE_RETURN_IF_ERROR(
          CheckInput("masked input", message.masked_input().packed().size(), config));
      return Check(message.masked_input());
    case UpMessage::kConsent:
      return Exactly("signature of Consent", message.consent().signature(), kSignatureBytes);
    case UpMessage::kUnmask:
      return Check(message.unmask(), config.invited());
    case UpMessage::kPlainInput:
      return CheckInput("input", message.plain_input().packed().size(), config);
    case UpMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("message of no known kind");
}

absl::Status CheckSizes(const DownMessage& message, const RoundConfig& config) {
  switch (message.kind_case()) {
    case DownMessage::kRoster:
      return Check(message.roster(), config.invited());
    case DownMessage::kDealt:
      return Check(message.dealt(), config.invited());
    case DownMessage::kSurvivors:
      return Check(message.survivors(), config.invited());
    case DownMessage::kQuorum:
      return Check(message.quorum(), config.invited());
    case DownMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("message of no known kind");
}

}  // namespace dure::secagg
