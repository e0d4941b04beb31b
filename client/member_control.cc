#include "client/member_control.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace dure {

MemberControl::MemberControl(std::vector<float> server, std::vector<float> own)
    : server_(std::move(server)), own_(std::move(own)) {
  if (own_.empty()) own_.resize(server_.size());
  DURE_CHECK(own_.size() == server_.size());
}

std::vector<float> MemberControl::Correction() const {
  std::vector<float> correction(server_.size());
  for (size_t i = 0; i < correction.size(); ++i) correction[i] = server_[i] - own_[i];
  return correction;
}

std::vector<float> MemberControl::Joined(std::span<const float> change, double steps, double rate,
                                         const RoundTerms& terms) {
  const size_t dim = server_.size();
  DURE_CHECK(change.size() == dim);
  std::vector<float> joined(2 * dim);
  std::copy(change.begin(), change.end(), joined.begin());
  if (!(steps * rate > 0)) return joined;
  double norm_sq = 0;
  for (size_t i = 0; i < dim; ++i) {
    const double moved = -static_cast<double>(server_[i]) - change[i] / (steps * rate);
    joined[dim + i] = static_cast<float>(terms.control_scale * moved);
    norm_sq += static_cast<double>(change[i]) * change[i] +
               static_cast<double>(joined[dim + i]) * joined[dim + i];
  }
  if (!std::isfinite(norm_sq)) return joined;  // nothing of it is sent
  const bool clips = terms.unit == PrivacySection::CLIENT;
  const double norm = std::sqrt(norm_sq);
  const double factor = clips && norm > terms.clip_norm ? terms.clip_norm / norm : 1;
  for (size_t i = 0; i < dim; ++i) {
    double sent = factor * joined[dim + i];
    if (!clips) sent = std::clamp<double>(sent, -double{kFixedGridRange}, double{kFixedGridRange});
    own_[i] = static_cast<float>(own_[i] + sent / terms.control_scale);
  }
  return joined;
}

}  // namespace dure
