// What a seed decides: numbers that are a function of the seed and of a name for what they are for,
// so that a new draw in one place leaves all others as they were. Not thread-safe.
#ifndef DURE_TESTS_WORLD_DICE_H_
#define DURE_TESTS_WORLD_DICE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace dure::world {

// The seed of a stream of random bytes: of the dice here, of a process in the world.
inline AesCtrRandom::Seed StreamOf(uint64_t seed, std::string_view name, uint32_t number = 0) {
  return Transcript("world").AddU64(seed).Add(name).AddU32(number).Hash();
}

class Dice {
 public:
  Dice(uint64_t seed, std::string_view name) : random_(StreamOf(seed, name)) {}

  // Below `n`, which is at least 1. The bias is below 2^-40 for the small n of a world.
  uint64_t Below(uint64_t n) {
    DURE_CHECK(n >= 1);
    return random_.NextU64() % n;
  }
  // `from` and `to` included.
  uint32_t Between(uint32_t from, uint32_t to) {
    return from + static_cast<uint32_t>(Below(uint64_t{to} - from + 1));
  }
  bool Chance(double probability) {
    return static_cast<double>(random_.NextU64() >> 11) * 0x1p-53 < probability;
  }
  // In whole microseconds.
  absl::Duration Between(absl::Duration from, absl::Duration to) {
    const int64_t span = absl::ToInt64Microseconds(to - from);
    return from + absl::Microseconds(static_cast<int64_t>(Below(static_cast<uint64_t>(span) + 1)));
  }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Below(choices.size())];
  }
  template <typename T>
  T Of(std::initializer_list<T> choices) {
    return choices.begin()[Below(choices.size())];
  }

 private:
  AesCtrRandom random_;
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_DICE_H_
