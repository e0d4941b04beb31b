// A set of positions 0..size-1 as the protocol writes it: position i is bit i mod 8 of byte i / 8
// (docs/secure-aggregation.md section 1.1). Holds members of a roster (U2, U3) or neighbours of a
// member (void edges). A value.
#ifndef DURE_PRIVACY_SECAGG_MEMBER_SET_H_
#define DURE_PRIVACY_SECAGG_MEMBER_SET_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/digest.h"

namespace dure::secagg {

class MemberSet {
 public:
  // Empty.
  explicit MemberSet(uint32_t size) : size_(size), bytes_((size + 7) / 8) {}
  // InvalidArgument unless `bytes` has exactly the length for `size` and no bit beyond it.
  static absl::StatusOr<MemberSet> Parse(std::string_view bytes, uint32_t size);

  // position < size() in both (DURE_CHECK).
  bool Contains(uint32_t position) const;
  void Insert(uint32_t position);

  uint32_t size() const { return size_; }
  // How many positions are in the set.
  uint32_t count() const;
  // Sets of one size only (DURE_CHECK).
  bool IsSubsetOf(const MemberSet& other) const;
  bool operator==(const MemberSet&) const = default;

  ByteView bytes() const { return bytes_; }
  std::string ToString() const { return dure::ToString(bytes_); }

 private:
  uint32_t size_;
  std::vector<uint8_t> bytes_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_MEMBER_SET_H_
