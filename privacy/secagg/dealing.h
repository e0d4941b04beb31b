// Shares of secrets: how a dealer makes them (step 3 of docs/secure-aggregation.md section 1.2),
// how the coordinator checks them without opening any, and how a holder opens its own (step 4).
// Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_DEALING_H_
#define DURE_PRIVACY_SECAGG_DEALING_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/ed25519.h"
#include "crypto/merkle.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/session_keys.h"
#include "privacy/secagg/transcript.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// What a dealer puts in.
struct DealerInput {
  const Digest& t1;
  const Graph& graph;
  ClientIndex dealer;
  uint32_t threshold = 0;
  const SecretBytes& mask_key;   // mask_sk, 32 bytes
  const SecretBytes& self_seed;  // b, 32 bytes
  const SigningKey& signer;
};

// Message 3. Draws the coefficients of mask_sk's polynomial, then those of b's. `sealing`, one key
// a neighbour, is used up.
Shares MakeShares(const DealerInput& input, std::span<OneMessageKey> sealing, Random& random);

// A dealer's shares as the coordinator keeps them.
struct Dealing {
  Shares message;
  MerkleTree tree;  // over the leaves by ascending holder

  // What the dealer signed.
  Transcript Statement(const Digest& t1, ClientIndex dealer) const;
  // For the holder at `position` among the dealer's neighbours.
  Dealt::FromDealer For(ClientIndex dealer, uint32_t position) const;
};

// Whose shares they should be.
struct DealerId {
  ClientIndex index;
  const PublicKey& key;
};

// Checks message 3. It must have passed CheckSizes. InvalidArgument if it has not one share for
// every neighbour; Unauthenticated if the signature is wrong.
absl::StatusOr<Dealing> VerifyShares(Shares message, const Digest& t1, const Graph& graph,
                                     const DealerId& dealer);

// What a holder keeps of one dealer.
struct HeldShare {
  SecretBytes mask_key;   // share_s
  SecretBytes self_seed;  // share_b
};
// What a holder keeps of all, and the edges over which it got nothing good.
struct HeldShares {
  // Both by position among the holder's neighbours.
  std::vector<std::optional<HeldShare>> by_dealer;
  MemberSet voids;
};

// Opens what a dealer sealed for this holder. nullopt if path, signature, decryption or a
// commitment fails: the edge is void. `opening` is used up.
std::optional<HeldShare> OpenDealt(const Dealt::FromDealer& dealt, const Digest& t1,
                                   const Graph& graph, ClientIndex holder, const DealerId& dealer,
                                   OneMessageKey& opening);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_DEALING_H_
