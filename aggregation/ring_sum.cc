#include "aggregation/ring_sum.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace dure {

RingSum::RingSum(int bits, uint64_t dim) : bits_(bits), dim_(dim), sum_(RingZeros(0, bits)) {
  DURE_CHECK(dim >= 1);
}

RingVector* RingSum::mutable_sum() {
  if (RingSize(sum_) == 0) sum_ = RingZeros(dim_, bits_);
  return &sum_;
}

absl::Status RingSum::AddPacked(std::span<const uint8_t> packed) {
  DURE_RETURN_IF_ERROR(CheckPacked(packed, dim_, bits_));
  DURE_RETURN_IF_ERROR(UnpackAndAdd(packed, bits_, mutable_sum(), /*threads=*/0));
  ++count_;
  return absl::OkStatus();
}

}  // namespace dure
