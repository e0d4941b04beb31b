// How large a message of the protocol may be, and the first check of every message: the size of
// each field. Nothing else in this folder looks at a message before. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_LIMITS_H_
#define DURE_PRIVACY_SECAGG_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

inline constexpr uint64_t kMaxDim = uint64_t{1} << 32;
inline constexpr size_t kMaxNameBytes = 64;  // names in a RoundConfig
inline constexpr size_t kMaxMerklePath = 8;  // of a tree over at most 254 leaves
inline constexpr size_t kShareBytes = 32;    // a share of a 32-byte secret
// An input travels inside its message up to this length, and above it ahead of the message, in
// pieces (proto/wire.proto).
inline constexpr size_t kMostInlineInputBytes = size_t{256} << 10;
inline constexpr size_t kSealedBytes = 2 * kShareBytes + 16;  // both shares and the tag

// The largest encoding of an honest message under `config`, which ValidateConfig accepted (so here
// and below), for a transport's own limit.
uint64_t MaxUpMessageBytes(const RoundConfig& config);
uint64_t MaxDownMessageBytes(const RoundConfig& config);

// The message, for whoever keeps it to say it once more: without an input above
// kMostInlineInputBytes, of which there is one copy, at whoever sends it.
UpMessage WithoutLongInput(const UpMessage& message);

// InvalidArgument, naming the field, its size and the limit.
absl::Status CheckSizes(const Offer& offer);
absl::Status CheckSizes(const Advertise& message);
absl::Status CheckSizes(const UpMessage& message, const RoundConfig& config);
// Of a message whose input of `staged_bytes` bytes came ahead of it.
absl::Status CheckSizes(const UpMessage& message, const RoundConfig& config, uint64_t staged_bytes);
absl::Status CheckSizes(const DownMessage& message, const RoundConfig& config);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_LIMITS_H_
