// 64-bit words of an AesCtrRandom, fetched a block at a time: inside the samplers of this room, a
// word costs little more than its keystream. What was fetched is wiped at the end; what was fetched
// and not used is dropped. Not thread-safe.
#ifndef DURE_PRIVACY_DP_RANDOM_WORDS_H_
#define DURE_PRIVACY_DP_RANDOM_WORDS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure::dp {

class RandomWords {
 public:
  // `random` is borrowed. A block is `expected` words, at least 1 and at most 512 (4 KiB).
  RandomWords(AesCtrRandom& random, size_t expected)
      : random_(random), block_(8 * std::clamp<size_t>(expected, 1, 512)) {
    used_ = block_.size();
  }

  uint64_t Next() {
    if (used_ == block_.size()) [[unlikely]] {
      random_.Fill(block_.mutable_view());
      used_ = 0;
    }
    uint64_t word;
    std::memcpy(&word, block_.view().data() + used_, sizeof(word));
    used_ += sizeof(word);
    return word;
  }

 private:
  AesCtrRandom& random_;
  SecretBytes block_;
  size_t used_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_RANDOM_WORDS_H_
