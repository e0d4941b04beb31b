// Long vectors in blocks of a fixed number of coordinates, over threads. Every block draws from a
// keystream of its own, so that the result is the same for any number of threads.
#ifndef DURE_PRIVACY_DP_BLOCKS_H_
#define DURE_PRIVACY_DP_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure::dp {

// A whole number of Hadamard blocks (kMaxRotationBlock); what one thread works on stays in its
// second-level cache.
inline constexpr size_t kBlockCoordinates = size_t{1} << 15;

struct Block {
  size_t index = 0;
  uint64_t first = 0;  // coordinate, index * kBlockCoordinates
  size_t size = 0;     // kBlockCoordinates, or what is left
  // Room for `size` numbers, the thread's own; not initialised. Wiped after its last block.
  std::span<double> scratch;
};

// How many blocks `coordinates` have.
size_t CountBlocks(uint64_t coordinates);

// Calls work(block) once for each, on up to `threads` threads, the caller's among them; returns
// when all are done. 0 threads: as many as the machine has.
void ForEachBlock(uint64_t coordinates, int threads, const std::function<void(const Block&)>& work);

// A fresh seed for every block, all from one stream. Wiped at the end. Thread-safe once created.
class BlockSeeds {
 public:
  BlockSeeds(size_t blocks, AesCtrRandom& random);
  AesCtrRandom RandomOf(const Block& block) const;

 private:
  SecretBytes seeds_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_BLOCKS_H_
