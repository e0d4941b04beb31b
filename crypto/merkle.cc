#include "crypto/merkle.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace dure {
namespace {

Digest LeafHash(const Digest& entry) {
  std::array<uint8_t, 33> bytes;
  bytes[0] = 0x00;
  std::copy(entry.begin(), entry.end(), bytes.begin() + 1);
  return Sha256(bytes);
}

Digest NodeHash(const Digest& left, const Digest& right) {
  std::array<uint8_t, 65> bytes;
  bytes[0] = 0x01;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  return Sha256(bytes);
}

}  // namespace

MerkleTree::MerkleTree(std::span<const Digest> leaves) {
  DURE_CHECK(!leaves.empty());
  levels_.emplace_back(leaves.size());
  std::transform(leaves.begin(), leaves.end(), levels_.back().begin(), LeafHash);
  while (levels_.back().size() > 1) {
    const std::vector<Digest>& below = levels_.back();
    std::vector<Digest> level;
    level.reserve((below.size() + 1) / 2);
    for (size_t i = 0; i + 1 < below.size(); i += 2) {
      level.push_back(NodeHash(below[i], below[i + 1]));
    }
    if (below.size() % 2 == 1) level.push_back(below.back());
    levels_.push_back(std::move(level));
  }
}

std::vector<Digest> MerkleTree::Path(size_t index) const {
  DURE_CHECK(index < size());
  std::vector<Digest> path;
  for (size_t level = 0; level + 1 < levels_.size(); ++level, index /= 2) {
    const size_t sibling = index ^ 1;
    if (sibling < levels_[level].size()) path.push_back(levels_[level][sibling]);
  }
  return path;
}

std::optional<Digest> MerkleRootFromPath(const Digest& leaf, MerklePosition position,
                                         std::span<const Digest> path) {
  if (position.index >= position.size) return std::nullopt;
  Digest node = LeafHash(leaf);
  size_t used = 0;
  for (size_t index = position.index, width = position.size; width > 1;
       index /= 2, width = (width + 1) / 2) {
    if ((index ^ 1) >= width) continue;  // no sibling on this level
    if (used == path.size()) return std::nullopt;
    const Digest& sibling = path[used++];
    node = index % 2 == 0 ? NodeHash(node, sibling) : NodeHash(sibling, node);
  }
  if (used != path.size()) return std::nullopt;
  return node;
}

}  // namespace dure
