// What the private gradient costs (docs/secure-aggregation.md section 2.4): epsilon per record
// after so many attempts, add-or-remove one record, against a coordinator that sees each noised
// sum but not who was sampled. Thread-safe: constant once created.
#ifndef DURE_PRIVACY_DP_RECORD_ACCOUNTANT_H_
#define DURE_PRIVACY_DP_RECORD_ACCOUNTANT_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "privacy/dp/rdp.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {

class RecordAccountant {
 public:
  // Computes the RDP of one attempt at orders 2..64 (a fraction of a millisecond); afterwards an
  // epsilon takes less than a microsecond or two. InvalidArgument as DeriveRecordGradient,
  // unless kMinSamplingRate <= sampling_rate <= 1, or without noise.
  static absl::StatusOr<RecordAccountant> Create(const RecordGradientParams& params,
                                                 double sampling_rate);

  const RecordGradient& gradient() const { return gradient_; }

  // After `attempts` attempts, each of which counts in full. `delta` is what is left for the
  // mechanism: the caller takes attempts * 2^-40 for the batch cap off first. 0 for 0 attempts.
  // InvalidArgument unless kMinDelta <= delta < 1.
  absl::StatusOr<EpsilonAtOrder> Epsilon(uint64_t attempts, double delta) const;

 private:
  RecordAccountant(const RecordGradient& gradient, RdpCurve curve)
      : gradient_(gradient), curve_(std::move(curve)) {}

  RecordGradient gradient_;
  RdpCurve curve_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_RECORD_ACCOUNTANT_H_
