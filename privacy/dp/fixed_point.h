// The sum of clipped per-example gradients as integers (docs/secure-aggregation.md section 2.4):
//
//   w = trunc(F s g min(1, C / |g|)),  F = 2^16,  s = 2^scale_log2,
//
// and w counts only if sum_j w_j^2 <= (F s C)^2, checked exactly in 128 bits. So one record moves
// the sum by at most F s C in L2, whatever floating point did before. The norm is a binary64 sum in
// a fixed order: the same gradient gives the same integers on every machine. Not thread-safe: one
// ClippedSum a thread, merged afterwards.
#ifndef DURE_PRIVACY_DP_FIXED_POINT_H_
#define DURE_PRIVACY_DP_FIXED_POINT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace dure::dp {

class ClippedSum {
 public:
  struct Params {
    size_t dim = 0;        // d, coordinates of a gradient
    double clip_norm = 0;  // C
    int scale_log2 = 0;    // log2 s
    friend bool operator==(const Params&, const Params&) = default;
  };

  // InvalidArgument unless 1 <= dim <= 2^32, clip_norm is positive and finite, 0 <= scale_log2 <=
  // 48 and F s C <= 2^50.
  static absl::StatusOr<ClippedSum> Create(const Params& params);

  // Most records whose sum stays below 2^62 in every coordinate.
  uint64_t capacity() const { return capacity_; }
  // Records added, those that counted as zero included.
  uint64_t added() const { return added_; }

  // Adds one record's gradient: dim() floats, clipped. A gradient that is not finite, or whose
  // integers fail the check, counts as zero and leaves no trace in the sums. Whether it did is not
  // returned: it is a fact about one record.
  // Precondition (DURE_CHECK): gradient.size() == dim(), added() < capacity().
  void Add(std::span<const float> gradient);

  // Adds what another sum with the same parameters holds.
  // Precondition (DURE_CHECK): equal parameters, added() + other.added() <= capacity().
  void MergeWith(const ClippedSum& other);

  // dim() integers in units of 1 / (F s).
  std::span<const int64_t> sums() const { return std::span(sums_).first(params_.dim); }
  size_t dim() const { return params_.dim; }

  // Back to no records.
  void Reset();

 private:
  explicit ClippedSum(const Params& params);

  Params params_;
  double unit_;                 // F s
  unsigned __int128 limit_sq_;  // floor((F s C)^2)
  uint64_t capacity_;
  uint64_t added_ = 0;
  // Both padded with zeros to a whole number of vectors.
  std::vector<int64_t> scratch_;  // w of the record at hand
  std::vector<int64_t> sums_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_FIXED_POINT_H_
