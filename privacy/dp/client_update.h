// What a member does with its update before it is masked, and the way back from the sum
// (docs/secure-aggregation.md section 2.1): clip, rotate (optional), scale, round to integers whose
// norm is checked exactly, add to noise that was drawn before the data was touched.
//
//   encoder = ClientUpdateEncoder::Create(params);
//   words = encoder.DrawNoise(random, threads);            // before training
//   encoder.AddUpdate(update, weight, random, threads, words);
//   client.SetInput(std::move(words));                     // b <= 32: the words are the ring's
//
// Privacy rests on integers alone: sum_j v_j^2 <= B^2 is checked in 128 bits, whatever floating
// point did before. So one member moves the sum by at most B in L2, count coordinate included.
//
// Memory beside the update and the result, 4 bytes a coordinate: 640 KiB a thread. One pass over
// the update for its norm, one to encode it. The same seeds give the same words for any number of
// threads. How long it takes depends on the data (retries of the rounding, one in many updates).
// Thread-safe: constant once created; each call has its own AesCtrRandom.
#ifndef DURE_PRIVACY_DP_CLIENT_UPDATE_H_
#define DURE_PRIVACY_DP_CLIENT_UPDATE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "privacy/dp/rotation.h"

namespace dure::dp {

struct ClientUpdateParams {
  uint64_t dim = 0;            // floats of the update, 1 to kMaxDim
  double clip_norm = 0;        // C > 0
  int scale_log2 = 0;          // of DeriveClientEncoding for coordinates()
  uint64_t norm_bound_sq = 0;  // B^2, of the same
  uint64_t sigma2 = 0;         // variance parameter of this member's noise; 0: none
  // kappa of adaptive clipping (privacy/dp/adaptive_clip.h): one coordinate more after the update,
  // +kappa from a member whose update was within the clip norm, -kappa from one that was clipped.
  double count_coordinate = 0;  // 0: there is none
  // The public seed of the round's rotation; blocks are RotationBlock(dim and count coordinate).
  std::optional<Digest> rotation_seed;
};

class ClientUpdateEncoder {
 public:
  // InvalidArgument, naming the parameter and its limits, unless all are in range and
  // s sqrt(C^2 + kappa^2) is below 2^20, which DeriveClientEncoding always gives.
  static absl::StatusOr<ClientUpdateEncoder> Create(const ClientUpdateParams& params);

  // d of a message: dim, the count coordinate, and the padding of the rotation.
  uint64_t coordinates() const { return coordinates_; }

  // coordinates() words, mod 2^32, of discrete Gaussian noise, or zeros if sigma2 is 0.
  // `threads`: 0 is as many as the machine has, here and below.
  std::vector<uint32_t> DrawNoise(AesCtrRandom& random, int threads) const;

  // What happened to one update. A fact about its data: for tests and the member itself.
  struct Outcome {
    bool finite = true;      // false: not a number or infinite; nothing was added
    bool clipped = false;    // the norm was above C
    bool truncated = false;  // no try was within B: rounded toward zero, or nothing was added
    int tries = 0;           // of the rounding
  };
  // words += the encoded update. `weight` multiplies it after clipping: w_i / w_max, 0 to 1.
  // Preconditions (DURE_CHECK): update.size() == dim, words.size() == coordinates(), weight.
  Outcome AddUpdate(std::span<const float> update, double weight, AesCtrRandom& random, int threads,
                    std::span<uint32_t> words) const;

  // The mean from the sum, signed integers (RingToSigned): out = sum / (s divisor), rotated back.
  // `divisor` is how many members are in the sum, times their public mean weight / w_max if they
  // are weighted. `count_mean`, if there is a count coordinate and it is wanted, is its mean.
  // InvalidArgument if sizes differ, or unless 1e-6 <= divisor <= 1e18.
  absl::Status Decode(std::span<const int64_t> sum, double divisor, int threads,
                      std::span<float> out, double* count_mean = nullptr) const;

 private:
  enum class Rounding { kRandom, kTowardZero };
  struct Task;  // one pass over an update

  explicit ClientUpdateEncoder(const ClientUpdateParams& params);
  unsigned __int128 AddPass(const Task& task, AesCtrRandom& random, int threads) const;
  void Load(const Task& task, uint64_t first, std::span<double> x) const;

  ClientUpdateParams params_;
  uint64_t coordinates_;
  std::optional<Rotation> rotation_;
};

// Words mod 2^32 that stand for signed integers below 2^31 in size, as the vector of a ring: the
// same memory for b <= 32; for larger rings a new one, and the words are wiped.
RingVector RingFromWords(std::vector<uint32_t> words, int bits);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_CLIENT_UPDATE_H_
