// What a member keeps from round to round and nobody else sees: its control variate (SCAFFOLD,
// Karimireddy et al. 2020) and its own values of the parameters that stay with it (model.personal).
// The format is docs/formats/local-state.md, the file client/service/local_state_file.h. Values,
// and pure functions: thread-safe.
#ifndef DURE_CLIENT_LOCAL_STATE_H_
#define DURE_CLIENT_LOCAL_STATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/strong_id.h"
#include "crypto/digest.h"
#include "federation/model_parts.h"
#include "proto/federation.pb.h"

namespace dure {

struct LocalState {
  // The newest released round that this is of; 0: none yet.
  RoundNumber round;
  std::vector<float> control;   // empty: none yet, or not used; else one for each that travels
  std::vector<float> personal;  // empty: none yet, or none stay; else one for each that stays

  bool empty() const { return control.empty() && personal.empty(); }
  bool operator==(const LocalState&) const = default;
};

// Most bytes of a state: two numbers for each parameter of the largest model, and a header.
inline constexpr uint64_t kMaxLocalStateBytes = (uint64_t{1} << 36) + 4096;

// What a state belongs to: with another model, nothing of it is of use.
Digest LocalStateModel(const FederationSpec& spec);

std::string EncodeLocalState(const LocalState& state, const Digest& model);

// What EncodeLocalState wrote; `model` is the one it was given. InvalidArgument for bytes that it
// does not write: lengths, numbers that are not finite, a sum that does not fit.
struct SavedLocalState {
  Digest model{};
  LocalState state;
};
absl::StatusOr<SavedLocalState> DecodeLocalState(std::string_view bytes);

// FailedPrecondition unless the numbers of `state` are as many as `parts` has, or none.
absl::Status CheckLocalState(const LocalState& state, const ModelParts& parts);

}  // namespace dure

#endif  // DURE_CLIENT_LOCAL_STATE_H_
