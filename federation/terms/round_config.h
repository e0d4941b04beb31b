// The RoundConfig of an attempt (docs/secure-aggregation.md section 1.2). The coordinator makes it
// for its Offer; every member makes its own from the terms that it approved and compares.
// Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_ROUND_CONFIG_H_
#define DURE_FEDERATION_TERMS_ROUND_CONFIG_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "crypto/digest.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"
#include "proto/secagg.pb.h"

namespace dure {

// Whose attempt it is and which model it starts from.
struct AttemptId {
  uint32_t round = 0;    // the round that this attempt tries to release, from 1
  uint32_t attempt = 0;  // from 1 over the whole run, never repeated
  Digest model_hash{};   // OfferedModelHash of what is in the RoundOffer
};

// What binds a session to the model, and to the state beside it: SHA-256(model || state).
Digest OfferedModelHash(std::string_view model, std::string_view state);

// Everything that config_hash covers. `terms` must come from DeriveTerms(spec, ...) and
// `spec_digest` from SpecDigest(spec). Without groups minimum_roster and minimum_sum are both
// terms.sum_minimum, not rounds.minimum: the noise is calibrated on it, and a roster smaller than
// `invited` must not lower it. With groups terms.honest_survivors is the worst of all rosters.
secagg::RoundConfig MakeRoundConfig(const FederationSpec& spec, const Digest& spec_digest,
                                    const RoundTerms& terms, const AttemptId& id);

// OK if the two are equal; otherwise InvalidArgument naming the first field, in the order of
// section 1.2, in which they differ, with both values.
absl::Status CompareConfigs(const secagg::RoundConfig& offered, const secagg::RoundConfig& own);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_ROUND_CONFIG_H_
