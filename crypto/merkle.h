// Merkle trees of RFC 6962 section 2.1 over SHA-256: leaves are hashed with the prefix 0x00, inner
// nodes with 0x01. Thread-safe: a tree does not change once it is made.
#ifndef DURE_CRYPTO_MERKLE_H_
#define DURE_CRYPTO_MERKLE_H_

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "crypto/digest.h"

namespace dure {

class MerkleTree {
 public:
  // Over data entries of 32 bytes each, at least one (DURE_CHECK).
  explicit MerkleTree(std::span<const Digest> leaves);

  // MTH of the entries.
  const Digest& root() const { return levels_.back().front(); }
  size_t size() const { return levels_.front().size(); }
  // The audit path of entry `index` (section 2.1.1), from the leaf upwards. index < size()
  // (DURE_CHECK).
  std::vector<Digest> Path(size_t index) const;

 private:
  // levels_[0]: leaf hashes. A node without a sibling moves up as it is, which gives the tree of
  // the RFC, split at the largest power of two.
  std::vector<std::vector<Digest>> levels_;
};

// Where an entry is said to be.
struct MerklePosition {
  size_t index = 0;
  size_t size = 0;  // of the tree
};

// The root that `path` leads to from the entry `leaf`; nullopt if a path for this position cannot
// have that length. The caller compares the root.
std::optional<Digest> MerkleRootFromPath(const Digest& leaf, MerklePosition position,
                                         std::span<const Digest> path);

}  // namespace dure

#endif  // DURE_CRYPTO_MERKLE_H_
