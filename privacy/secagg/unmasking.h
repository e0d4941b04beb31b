// The end of a session on the coordinator's side: shares become secrets, secrets become masks, and
// the masks leave the sum (after step 9 of docs/secure-aggregation.md section 1.2). Not
// thread-safe.
#ifndef DURE_PRIVACY_SECAGG_UNMASKING_H_
#define DURE_PRIVACY_SECAGG_UNMASKING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/ring.h"
#include "crypto/secret_bytes.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {

// The shares that came in, by the member whose secret they are of. Of each member one secret only
// is ever collected: the seed of a survivor, or the mask key of one that dropped.
class UnmaskingShares {
 public:
  // Most subsets of shares that are tried for one secret.
  static constexpr uint32_t kMaxSubsets = 512;

  explicit UnmaskingShares(uint32_t members) : shares_(members) {}

  // The share at `x` of the secret of `owner`. Its commitment was checked, and no other share has
  // the same x.
  void Add(ClientIndex owner, uint8_t x, ByteView share);
  uint32_t count(ClientIndex owner) const {
    return static_cast<uint32_t>(shares_[owner.value()].size());
  }

  // The secret of `owner` from `threshold` <= count(owner) shares (DURE_CHECK): the first subset,
  // of at most kMaxSubsets, whose secret `matches` what its owner committed to. nullopt if none
  // does: the owner dealt shares that are not on one polynomial.
  std::optional<SecretBytes> Rebuild(ClientIndex owner, uint32_t threshold,
                                     const std::function<bool(ByteView)>& matches) const;

 private:
  struct Share {
    uint8_t x;
    SecretBytes value;
  };
  std::vector<std::vector<Share>> shares_;
};

// Whose masks are in the sum: those of one group.
struct MaskedSum {
  const Digest& t1;
  const Graph& graph;
  uint32_t group = 0;
  std::span<const RosterEntry> roster;
  std::span<const Digest> seed_commitments;  // by index in the roster; used for survivors
  const MemberSet& dealers;                  // U2
  const MemberSet& survivors;                // U3
  uint32_t threshold = 0;
};

// Removes from `sum` the self masks of the survivors and the pairwise masks that dropped members
// left behind. Every member of U2 in the group must have `threshold` shares (DURE_CHECK). Returns
// nothing if it is done; otherwise the dealer whose shares do not rebuild what it committed to, and
// `sum` is unchanged.
std::optional<ClientIndex> RemoveMasksFrom(const MaskedSum& what, const UnmaskingShares& shares,
                                           RingVector* sum);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_UNMASKING_H_
