// A member's side of SCAFFOLD in one attempt (Karimireddy et al. 2020, algorithm 1, option II):
//
//   local steps   y <- y - rate (gradient + c - c_i), K of them from y = x
//   afterwards    c_i+ = c_i - c + (x - y) / (K rate)
//   is sent       (y - x, control_scale (c_i+ - c_i)), clipped and rounded as one vector
//
// What is kept is c_i and what was sent of its change: clipped by the same factor, cut off at the
// same range. So the server's c stays the mean of what members keep, but for rounding and noise.
// Not thread-safe.
#ifndef DURE_CLIENT_MEMBER_CONTROL_H_
#define DURE_CLIENT_MEMBER_CONTROL_H_

#include <span>
#include <vector>

#include "federation/terms/terms.h"

namespace dure {

class MemberControl {
 public:
  // `own` may be empty: zeros. Precondition (DURE_CHECK): else as long as `server`.
  MemberControl(std::vector<float> server, std::vector<float> own);

  // c - c_i.
  std::vector<float> Correction() const;

  // What is sent after local training that changed the model by `change` in `steps` steps of
  // `rate`. Changes own(). Without a step, or if a number is not finite, nothing of c_i changes.
  std::vector<float> Joined(std::span<const float> change, double steps, double rate,
                            const RoundTerms& terms);

  const std::vector<float>& own() const { return own_; }

 private:
  std::vector<float> server_, own_;
};

}  // namespace dure

#endif  // DURE_CLIENT_MEMBER_CONTROL_H_
