#include "aggregation/ring_sum.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

// Of an input that is not in the memory, at a time: a multiple of 8.
constexpr uint64_t kBlockElements = uint64_t{1} << 20;

}  // namespace

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

absl::Status RingSum::AddPacked(const ByteSource& packed) {
  const uint64_t bytes = packed.size();
  uint8_t last = 0;
  if (bytes > 0) DURE_RETURN_IF_ERROR(packed.Read(bytes - 1, {&last, 1}));
  DURE_RETURN_IF_ERROR(CheckPackedSize(bytes, last, dim_, bits_));
  std::vector<uint8_t> buffer(PackedBytes(std::min(dim_, kBlockElements), bits_));
  for (uint64_t first = 0; first < dim_; first += kBlockElements) {
    const uint64_t count = std::min(kBlockElements, dim_ - first);
    const auto block = std::span(buffer).first(PackedBytes(count, bits_));
    DURE_RETURN_IF_ERROR(packed.Read(first / 8 * static_cast<uint64_t>(bits_), block));
    UnpackAndAddPart(block, bits_, first, count, mutable_sum(), /*threads=*/0);
  }
  ++count_;
  return absl::OkStatus();
}

}  // namespace dure
