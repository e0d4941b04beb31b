// The integer path of aggregation: one sum over Z_{2^b}, whether the inputs are masked or not.
// Memory grows with the model, never with the number of clients, and is taken by the first input.
// Integers, so the sum does not depend on the order of arrival. Not thread-safe.
#ifndef DURE_AGGREGATION_RING_SUM_H_
#define DURE_AGGREGATION_RING_SUM_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "base/byte_source.h"
#include "base/ring.h"

namespace dure {

class RingSum {
 public:
  // `bits` in 1..64, `dim` at least 1 (DURE_CHECK).
  RingSum(int bits, uint64_t dim);

  // Adds one packed input whose origin was verified. InvalidArgument, and the sum is unchanged,
  // unless it is exactly `dim` elements of `bits` bits with zero padding.
  absl::Status AddPacked(std::span<const uint8_t> packed);

  // The same for an input of which only as much as is being added is in the memory. After an error
  // of `packed` itself, which is returned as it is, the sum is of no use any more.
  absl::Status AddPacked(const ByteSource& packed);

  // How many inputs were added.
  uint32_t count() const { return count_; }
  int bits() const { return bits_; }
  // mod 2^b: only the low `bits` bits of a word count (base/ring.h).
  const RingVector& sum() { return *mutable_sum(); }
  RingVector* mutable_sum();

 private:
  int bits_;
  uint64_t dim_;
  uint32_t count_ = 0;
  RingVector sum_;  // empty before it is needed
};

}  // namespace dure

#endif  // DURE_AGGREGATION_RING_SUM_H_
