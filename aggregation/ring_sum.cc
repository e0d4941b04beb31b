#include "aggregation/ring_sum.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace dure {

RingSum::RingSum(int bits, uint64_t dim) : bits_(bits), sum_(RingZeros(dim, bits)) {
  DURE_CHECK(dim >= 1);
}

absl::Status RingSum::AddPacked(std::span<const uint8_t> packed) {
  DURE_RETURN_IF_ERROR(UnpackAndAdd(packed, bits_, &sum_));
  ++count_;
  return absl::OkStatus();
}

}  // namespace dure
