// Who shares secrets with whom: everybody with everybody (docs/secure-aggregation.md section 1.3,
// n <= 128). A member's neighbours are numbered by their place in its ascending list. A value.
#ifndef DURE_PRIVACY_SECAGG_GRAPH_H_
#define DURE_PRIVACY_SECAGG_GRAPH_H_

#include <cstdint>

#include "base/check.h"
#include "base/strong_id.h"

namespace dure::secagg {

// A pair of neighbours, in the direction in which a share travels.
struct Edge {
  ClientIndex dealer;
  ClientIndex holder;
};

class Graph {
 public:
  // The complete graph on `members` members, at least two (DURE_CHECK).
  static Graph Complete(uint32_t members) { return Graph(members); }

  uint32_t members() const { return members_; }
  // k: how many neighbours each member has.
  uint32_t degree() const { return members_ - 1; }

  // The neighbour of `member` at `position` < degree() of its ascending list (DURE_CHECK).
  ClientIndex NeighbourAt(ClientIndex member, uint32_t position) const {
    DURE_CHECK(position < degree());
    return ClientIndex(position < member.value() ? position : position + 1);
  }

  // The inverse: where the holder of an edge stands in its dealer's list. The two differ
  // (DURE_CHECK).
  uint32_t PositionOfHolder(const Edge& edge) const {
    DURE_CHECK(edge.holder != edge.dealer && edge.holder.value() < members_);
    return edge.holder < edge.dealer ? edge.holder.value() : edge.holder.value() - 1;
  }
  // The x at which the dealer evaluates its polynomials for the holder: 1..k.
  uint8_t ShareX(const Edge& edge) const {
    return static_cast<uint8_t>(PositionOfHolder(edge) + 1);
  }

 private:
  explicit Graph(uint32_t members) : members_(members) { DURE_CHECK(members >= 2); }

  uint32_t members_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_GRAPH_H_
