// A clip norm that follows a quantile of the members' norms, privately (Andrew, Thakkar, McMahan,
// Ramaswamy 2021): after each round C <- C exp(-eta (b - gamma)), b the noised share of members
// whose update was within C, gamma the share that is wanted. Where gamma is 1/2, C follows the
// median.
//
// How the count travels. Member i's b_i is +1/2 or -1/2, sent as b_i 2 kappa: one coordinate after
// its clipped update, kappa = C z_delta / (2 sigma_b). It is scaled, rotated and rounded with the
// rest. A member whose update failed sends 0 there, which counts as half a member within.
//
// Why it costs z. Noise has the same deviation in all coordinates, z C' in units of the update, h
// members' discrete noise together, where C' = C z_delta / z bounds the norm of what one member
// sends, count included:
//   C^2 + kappa^2 = C^2 z_delta^2 (z_delta^-2 + (2 sigma_b)^-2) = C^2 z_delta^2 / z^2 = C'^2,
// with z_delta = (z^-2 - (2 sigma_b)^-2)^(-1/2), as in Theorem 1 of the paper. So the message is
// one vector of sensitivity C' with noise multiplier z: DeriveClientEncoding with clip_norm = C'
// finds B and sigma2, the integers are held to B, and the accountants see nothing else. Seen apart,
// the update has noise z_delta C, and the count, in members, z C' / (2 kappa) = sigma_b. If
// rounding made kappa or C' a little wrong, sigma_b would be, not the privacy.
//
// C is public: it is computed from what was released. Every operation is a single one of binary64
// (the build file turns fused multiply-add off), the exponential included, so that all parties find
// the same C. Thread-safe: constant once created.
#ifndef DURE_PRIVACY_DP_ADAPTIVE_CLIP_H_
#define DURE_PRIVACY_DP_ADAPTIVE_CLIP_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace dure::dp {

struct AdaptiveClipParams {
  uint64_t coordinates = 0;     // d of the message, count and padding included, 1 to kMaxDim
  double noise_multiplier = 0;  // z > 0, of the whole
  double target_quantile = 0;   // gamma, above 0 and below 1
  double learning_rate = 0;     // eta, above 0 and at most 1
  double count_noise = 0;       // sigma_b > z / 2, in members
};

class AdaptiveClip {
 public:
  // Limits of every C, those of privacy.clip_norm.
  static constexpr double kMinClip = 1e-6;
  static constexpr double kMaxClip = 1e6;

  // InvalidArgument, naming the parameter and its limits, if one is unset, zero, negative,
  // infinite, not a number or out of range; if sigma_b is so close to z / 2 that z_delta is above
  // 1000 z.
  static absl::StatusOr<AdaptiveClip> Create(const AdaptiveClipParams& params);

  // The noise multiplier of the update alone.
  double z_delta() const { return params_.noise_multiplier * growth_; }
  // C stays within these: kMinClip to kMaxClip, and where the scale of the encoding is 1 to 2^48.
  double min_clip() const { return min_clip_; }
  double max_clip() const { return max_clip_; }

  // C': the clip_norm of DeriveClientEncoding.
  double EncodedNorm(double clip) const { return clip * growth_; }
  // kappa: the count_coordinate of ClientUpdateParams.
  double CountCoordinate(double clip) const { return clip * count_ratio_; }

  // b, the noised share of members within C, from the mean of the count coordinate over all members
  // (ClientUpdateEncoder::Decode). May be below 0 or above 1: noise is not cut off, which would
  // push C to one side.
  double ShareWithin(double count_mean, double clip) const;

  // The next C, within the limits. A step changes C by a factor of e^4 at most, whatever the noise.
  // A `clip` outside the limits counts as the nearest within; a share that is not a number leaves
  // C as it is.
  double Next(double clip, double share_within) const;

 private:
  explicit AdaptiveClip(const AdaptiveClipParams& params);

  AdaptiveClipParams params_;
  double growth_;       // z_delta / z = C' / C
  double count_ratio_;  // kappa / C
  double min_clip_;
  double max_clip_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_ADAPTIVE_CLIP_H_
