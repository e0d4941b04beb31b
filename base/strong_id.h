// Identities that cannot be mixed up: RoundNumber is not Attempt although both are integers.
// A StrongInt is a value: ordered, hashable by absl, printable through value().
#ifndef DURE_BASE_STRONG_ID_H_
#define DURE_BASE_STRONG_ID_H_

#include <compare>
#include <cstdint>
#include <utility>

namespace dure {

template <typename Tag, typename Int>
class StrongInt {
 public:
  using ValueType = Int;
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Int value) : value_(value) {}
  constexpr Int value() const { return value_; }
  friend constexpr auto operator<=>(StrongInt, StrongInt) = default;
  template <typename H>
  friend H AbslHashValue(H h, StrongInt id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Int value_ = 0;
};

// The position of a member in a session's roster, 0-based (SECURE_AGGREGATION 1.1).
using ClientIndex = StrongInt<struct ClientIndexTag, uint32_t>;
// One released model is one round; rounds count from 1, round 0 is the initial model.
using RoundNumber = StrongInt<struct RoundNumberTag, uint32_t>;
// One try at a round; attempts count from 1 over the whole run and never repeat.
using AttemptNumber = StrongInt<struct AttemptNumberTag, uint32_t>;

}  // namespace dure

#endif  // DURE_BASE_STRONG_ID_H_
