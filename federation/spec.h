// What a federation is: the spec (proto/federation.proto), read from TOML, validated, with every
// default filled in. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_SPEC_H_
#define DURE_FEDERATION_SPEC_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "federation/toml_reader.h"
#include "proto/federation.pb.h"

namespace dure {

// Largest federation file, in bytes.
inline constexpr uint64_t kMaxFederationFileBytes = uint64_t{1} << 20;

// Reads `toml`, fills in defaults and validates. `file` is for messages only.
// InvalidArgument with "FILE:LINE:COLUMN: what, which, the limit", and "did you mean" for an
// unknown key or value; FailedPrecondition for settings that cannot work together.
// `overrides` are keys that a command line gives over what the file says (toml_reader.h).
absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file,
                                               std::span<const KeyOverride> overrides = {});

struct SpecFault;
// Adds to what was read what the file leaves out, before defaults are filled in; or says why not.
using SpecCompletion = std::function<std::optional<SpecFault>(FederationSpec*)>;
absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file,
                                               const SpecCompletion& complete,
                                               std::span<const KeyOverride> overrides = {});

// Fills in the defaults that `spec` lacks (docs/federation-file.md). What has none stays unset:
// required keys, rounds.cohort, and keys that the chosen optimiser does not use.
void FillDefaults(FederationSpec* spec);
// Of any message of keys: those that its rules state, where the key is used.
void FillDefaultValues(google::protobuf::Message* section);

// The checks of ParseFederation, for a spec that arrived as a message, defaults filled in by its
// sender. InvalidArgument for one key that is missing, outside its limits or not used;
// FailedPrecondition for keys that cannot go together and for fields that this version lacks.
absl::Status ValidateFederation(const FederationSpec& spec);

// H("spec", (path, canonical value)...) in field-number order, defaults included
// (docs/formats/spec-digest.md). What members approve, and what every session binds as "task".
// `spec` must have passed ValidateFederation.
Digest SpecDigest(const FederationSpec& spec);

// The spec as commented TOML that ParseFederation reads back to the same spec, if it is valid.
std::string FederationToToml(const FederationSpec& spec);

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_H_
