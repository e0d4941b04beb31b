#include "privacy/secagg/graph.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "crypto/aes_ctr.h"
#include "crypto/hkdf.h"

namespace dure::secagg {
namespace {

// Unbiased integers from a stream that T1 keys. All of it is public.
class Draws {
 public:
  explicit Draws(const Digest& t1)
      : stream_(HkdfSha256({.key = t1, .info = Transcript("graph").bytes()}, 48).view()) {}

  // Uniform on 0..below-1.
  uint64_t Next(uint64_t below) {
    // 2^64 mod below: the words at the end that would make small results likelier.
    const uint64_t excess = (~uint64_t{0} % below + 1) % below;
    for (;;) {
      const uint64_t word = Word();
      if (word <= ~uint64_t{0} - excess) return word % below;
    }
  }

 private:
  uint64_t Word() {
    if (next_ == words_.size()) {
      std::array<uint8_t, sizeof(words_)> bytes;
      stream_.Generate(bytes);
      std::memcpy(words_.data(), bytes.data(), bytes.size());
      next_ = 0;
    }
    return words_[next_++];
  }

  AesCtr stream_;
  std::array<uint64_t, 64> words_ = {};
  size_t next_ = words_.size();
};

}  // namespace

std::vector<uint32_t> MemberOrder(const Digest& t1, uint32_t members) {
  std::vector<uint32_t> order(members);
  std::iota(order.begin(), order.end(), 0);
  Draws draws(t1);
  for (uint32_t r = members; r-- > 1;) std::swap(order[r], order[draws.Next(uint64_t{r} + 1)]);
  return order;
}

Graph::Graph(uint32_t members, uint32_t groups, uint32_t reach, std::vector<uint32_t> order)
    : members_(members), groups_(groups), reach_(reach) {
  DURE_CHECK(groups >= 1 && members / groups >= 2);
  if (order.empty()) return;
  place_.resize(members);
  for (uint32_t p = 0; p < members; ++p) place_[order[p]] = p;
  order_.reserve(members + 2 * reach);
  order_.insert(order_.end(), order.end() - reach, order.end());
  order_.insert(order_.end(), order.begin(), order.end());
  order_.insert(order_.end(), order.begin(), order.begin() + reach);
}

Graph Graph::Complete(uint32_t members) { return Graph(members, 1, 0, {}); }

Graph Graph::Ring(uint32_t members, uint32_t degree, const Digest& t1) {
  DURE_CHECK(degree >= 2 && degree % 2 == 0 && degree + 1 < members);
  return Graph(members, 1, degree / 2, MemberOrder(t1, members));
}

Graph Graph::Groups(uint32_t members, uint32_t groups, const Digest& t1) {
  return Graph(members, groups, 0, MemberOrder(t1, members));
}

uint32_t Graph::GroupOf(ClientIndex member) const {
  DURE_CHECK(member.value() < members_);
  if (groups_ == 1) return 0;
  // The last group whose first place is not beyond this one.
  const uint32_t place = place_[member.value()];
  auto group = static_cast<uint32_t>(uint64_t{place} * groups_ / members_);
  while (group + 1 < groups_ && FirstPlace(group + 1) <= place) ++group;
  return group;
}

uint32_t Graph::GroupSize(uint32_t group) const {
  DURE_CHECK(group < groups_);
  return FirstPlace(group + 1) - FirstPlace(group);
}

uint32_t Graph::degree(ClientIndex member) const {
  return reach_ != 0 ? 2 * reach_ : GroupSize(GroupOf(member)) - 1;
}

bool Graph::AreNeighbours(ClientIndex a, ClientIndex b) const {
  DURE_CHECK(a.value() < members_ && b.value() < members_);
  if (a == b) return false;
  if (reach_ == 0) return GroupOf(a) == GroupOf(b);
  const uint32_t forward = (place_[b.value()] + members_ - place_[a.value()]) % members_;
  return forward <= reach_ || members_ - forward <= reach_;
}

std::span<const uint32_t> Graph::Around(ClientIndex member) const {
  DURE_CHECK(member.value() < members_ && !order_.empty());
  const std::span<const uint32_t> all(order_);
  if (reach_ != 0) return all.subspan(place_[member.value()], 2 * size_t{reach_} + 1);
  const uint32_t group = GroupOf(member);
  return all.subspan(FirstPlace(group), GroupSize(group));
}

std::vector<ClientIndex> Graph::Neighbours(ClientIndex member) const {
  DURE_CHECK(member.value() < members_);
  std::vector<ClientIndex> neighbours;
  neighbours.reserve(degree(member));
  if (order_.empty()) {
    for (uint32_t i = 0; i < members_; ++i) {
      if (i != member.value()) neighbours.push_back(ClientIndex(i));
    }
    return neighbours;
  }
  for (const uint32_t other : Around(member)) {
    if (other != member.value()) neighbours.push_back(ClientIndex(other));
  }
  std::sort(neighbours.begin(), neighbours.end());
  return neighbours;
}

uint32_t Graph::PositionOfHolder(const Edge& edge) const {
  DURE_CHECK(AreNeighbours(edge.dealer, edge.holder));
  const uint32_t dealer_is_below = edge.dealer < edge.holder ? 1 : 0;
  if (order_.empty()) return edge.holder.value() - dealer_is_below;
  uint32_t below = 0;
  for (const uint32_t other : Around(edge.dealer)) below += other < edge.holder.value() ? 1 : 0;
  return below - dealer_is_below;
}

}  // namespace dure::secagg
