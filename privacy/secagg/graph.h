// Who shares secrets with whom (docs/secure-aggregation.md section 1.3): everybody with everybody;
// each with its neighbours on a ring that T1 permutes; or everybody within groups that T1 draws. A
// member's neighbours are numbered by their place in its ascending list. A value; thread-safe to
// read.
#ifndef DURE_PRIVACY_SECAGG_GRAPH_H_
#define DURE_PRIVACY_SECAGG_GRAPH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/strong_id.h"
#include "crypto/digest.h"

namespace dure::secagg {

// A pair of neighbours, in the direction in which a share travels.
struct Edge {
  ClientIndex dealer;
  ClientIndex holder;
};

// The members 0..members-1 in an order that T1 draws: AES-256-CTR words of 8 bytes, little-endian,
// keyed by HKDF-SHA256(ikm T1, no salt, info M("graph"), 48 bytes), a Fisher-Yates shuffle by
// unbiased draws.
std::vector<uint32_t> MemberOrder(const Digest& t1, uint32_t members);

class Graph {
 public:
  // All three: at least two members, and two in each group (DURE_CHECK).
  static Graph Complete(uint32_t members);
  // Harary's graph: neighbours are those at ring distance 1 to degree / 2. `degree` is even and
  // below members - 1 (DURE_CHECK).
  static Graph Ring(uint32_t members, uint32_t degree, const Digest& t1);
  // Complete graphs that are not connected: group g has the places floor(g n / groups) to
  // floor((g + 1) n / groups) - 1 of MemberOrder(), so sizes differ by at most one.
  static Graph Groups(uint32_t members, uint32_t groups, const Digest& t1);

  uint32_t members() const { return members_; }
  // How many neighbours a member has; in groups it depends on the member's.
  uint32_t degree(ClientIndex member) const;
  uint32_t groups() const { return groups_; }
  uint32_t GroupOf(ClientIndex member) const;
  uint32_t GroupSize(uint32_t group) const;

  bool AreNeighbours(ClientIndex a, ClientIndex b) const;
  // Ascending.
  std::vector<ClientIndex> Neighbours(ClientIndex member) const;
  // Where the holder of an edge stands in its dealer's list. The two are neighbours (DURE_CHECK).
  uint32_t PositionOfHolder(const Edge& edge) const;
  // The x at which the dealer evaluates its polynomials for the holder: 1..k.
  uint8_t ShareX(const Edge& edge) const {
    return static_cast<uint8_t>(PositionOfHolder(edge) + 1);
  }

 private:
  Graph(uint32_t members, uint32_t groups, uint32_t reach, std::vector<uint32_t> order);

  // The first place of a group.
  uint32_t FirstPlace(uint32_t group) const {
    return static_cast<uint32_t>(uint64_t{group} * members_ / groups_);
  }
  // A member's neighbours and itself, in no particular order. Not on the complete graph.
  std::span<const uint32_t> Around(ClientIndex member) const;

  uint32_t members_;
  uint32_t groups_;
  uint32_t reach_;  // on the ring: k / 2; 0: complete within each group
  // The member at each place; on the ring from `reach_` places before the first to as many beyond
  // the last, so that Around() is one piece. Empty: the complete graph, as members are numbered.
  std::vector<uint32_t> order_;
  std::vector<uint32_t> place_;  // of each member
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_GRAPH_H_
