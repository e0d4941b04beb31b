// What client-level noise costs (docs/secure-aggregation.md section 2.2): epsilon of one member
// after so many participations, against a coordinator that knows who took part: no amplification,
// zero-out adjacency. Thread-safe: constant once created.
#ifndef DURE_PRIVACY_DP_DISTRIBUTED_ACCOUNTANT_H_
#define DURE_PRIVACY_DP_DISTRIBUTED_ACCOUNTANT_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/rdp.h"

namespace dure::dp {

enum class DistributedMechanism {
  kDiscreteGaussian,  // what members draw
  kSkellam,           // for comparison: Skellam noise of the same variance
};

class DistributedAccountant {
 public:
  // InvalidArgument as DeriveClientEncoding, or without noise.
  static absl::StatusOr<DistributedAccountant> Create(const ClientEncodingParams& params,
                                                      DistributedMechanism mechanism);

  const ClientEncoding& encoding() const { return encoding_; }

  // Orders 2..128, 256, 512, 1024. 0 for 0 participations.
  // InvalidArgument unless kMinDelta <= delta < 1.
  absl::StatusOr<EpsilonAtOrder> Epsilon(uint64_t participations, double delta) const;

 private:
  DistributedAccountant(const ClientEncoding& encoding, RdpCurve curve)
      : encoding_(encoding), curve_(std::move(curve)) {}

  ClientEncoding encoding_;
  RdpCurve curve_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_DISTRIBUTED_ACCOUNTANT_H_
