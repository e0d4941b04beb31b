#include "privacy/secagg/member_set.h"

#include <bit>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace dure::secagg {

absl::StatusOr<MemberSet> MemberSet::Parse(std::string_view bytes, uint32_t size) {
  MemberSet set(size);
  if (bytes.size() != set.bytes_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("bitmap of ", bytes.size(), " bytes for ", size,
                                                   " positions instead of ", set.bytes_.size()));
  }
  set.bytes_.assign(bytes.begin(), bytes.end());
  if (size % 8 != 0 && set.bytes_.back() >> size % 8 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bitmap with bits beyond its ", size, " positions"));
  }
  return set;
}

bool MemberSet::Contains(uint32_t position) const {
  DURE_CHECK(position < size_);
  return bytes_[position / 8] >> position % 8 & 1;
}

void MemberSet::Insert(uint32_t position) {
  DURE_CHECK(position < size_);
  bytes_[position / 8] = static_cast<uint8_t>(bytes_[position / 8] | 1u << position % 8);
}

uint32_t MemberSet::count() const {
  uint32_t count = 0;
  for (uint8_t byte : bytes_) count += static_cast<uint32_t>(std::popcount(byte));
  return count;
}

bool MemberSet::IsSubsetOf(const MemberSet& other) const {
  DURE_CHECK(size_ == other.size_);
  for (size_t i = 0; i < bytes_.size(); ++i) {
    if (bytes_[i] & ~other.bytes_[i]) return false;
  }
  return true;
}

}  // namespace dure::secagg
