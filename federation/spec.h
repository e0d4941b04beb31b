// What a federation is: the spec (proto/federation.proto), read from TOML, validated, with every
// default filled in. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_SPEC_H_
#define DURE_FEDERATION_SPEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "proto/federation.pb.h"

namespace dure {

// Largest federation file, in bytes.
inline constexpr uint64_t kMaxFederationFileBytes = uint64_t{1} << 20;

// Reads `toml`, fills in defaults and validates. `file` is for messages only.
// InvalidArgument with "FILE:LINE:COLUMN: what, which, the limit", and "did you mean" for an
// unknown key or value; FailedPrecondition for settings that cannot work together.
absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file);

// Fills in the defaults that `spec` lacks.
void FillDefaults(FederationSpec* spec);

// The checks of ParseFederation, for a spec that arrived as a message. Every field is set.
absl::Status ValidateFederation(const FederationSpec& spec);

// H("spec", (path, canonical value)...) in field-number order, defaults included. What members
// approve, and what every session binds as "task".
Digest SpecDigest(const FederationSpec& spec);

// The spec as commented TOML that ParseFederation reads back to the same spec.
std::string FederationToToml(const FederationSpec& spec);

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_H_
