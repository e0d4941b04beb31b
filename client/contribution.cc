#include "client/contribution.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/secret_bytes.h"
#include "federation/terms/schedule.h"
#include "federation/terms/sums_terms.h"
#include "learner/dp_sgd.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/fixed_grid.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

template <typename T>
void Wipe(std::vector<T>* values) {
  WipeBytes({reinterpret_cast<uint8_t*>(values->data()), values->size() * sizeof(T)});
}

int Log2(uint64_t power_of_two) { return std::countr_zero(power_of_two); }

dp::DiscreteGaussian GaussianOf(uint64_t sigma2) {
  absl::StatusOr<dp::DiscreteGaussian> gaussian = dp::DiscreteGaussian::Create(sigma2);
  DURE_CHECK(gaussian.ok());  // DeriveTerms keeps sigma2 in range
  return *gaussian;
}

std::array<uint8_t, 32> FreshSeed(AesCtrRandom& random) {
  std::array<uint8_t, 32> seed;
  random.Fill(seed);
  return seed;
}

}  // namespace

void NoiseReserve::PrepareFor(const RoundTerms& terms, AesCtrRandom& random) {
  if (sigma2_ != terms.sigma2_local || coordinates_ != terms.coordinates) Drop();
  sigma2_ = terms.sigma2_local;
  coordinates_ = terms.coordinates;
  Refill(random);
}

void NoiseReserve::Refill(AesCtrRandom& random) {
  if (!words_.empty() || coordinates_ == 0 || sigma2_ == 0) return;
  words_.resize(coordinates_);
  GaussianOf(sigma2_).Fill(random, std::span<uint32_t>(words_));
}

std::vector<uint32_t> NoiseReserve::Take(const RoundTerms& terms) {
  DURE_CHECK(sigma2_ == terms.sigma2_local && coordinates_ == terms.coordinates);
  if (sigma2_ != 0) {
    DURE_CHECK(words_.size() == coordinates_);
    return std::exchange(words_, {});
  }
  // Without noise of the message's own: zeros where it is added to, nothing where it is not.
  const bool added = terms.unit == PrivacySection::CLIENT || terms.mode == LocalSection::GRADIENT;
  return std::vector<uint32_t>(added && terms.unit != PrivacySection::NONE ? coordinates_ : 0);
}

void NoiseReserve::Drop() {
  Wipe(&words_);
  words_.clear();
}

absl::StatusOr<Contribution> Contribution::Create(const FederationSpec& spec,
                                                  const RoundTerms& terms,
                                                  const secagg::RoundConfig& config,
                                                  uint32_t records) {
  Contribution contribution(spec.local(), terms, records);
  contribution.learning_rate_ =
      spec.local().learning_rate() * LocalScheduleOf(spec).Factor(config.round());
  if (terms.unit != PrivacySection::CLIENT) return contribution;
  dp::ClientUpdateParams params = {.dim = terms.update_dim,
                                   .clip_norm = terms.clip_norm,
                                   .scale_log2 = Log2(terms.scale),
                                   .norm_bound_sq = terms.norm_bound_sq,
                                   .sigma2 = terms.sigma2_local,
                                   .count_coordinate = terms.count_coordinate};
  if (terms.rotation) params.rotation_seed = DigestFromBytes(config.rotation_seed());
  DURE_ASSIGN_OR_RETURN(contribution.encoder_, dp::ClientUpdateEncoder::Create(params));
  DURE_CHECK(contribution.encoder_->coordinates() == terms.coordinates);
  return contribution;
}

LocalPlan Contribution::MakePlan(AesCtrRandom& random) const {
  if (sums_plan_) return *sums_plan_;
  switch (terms_.mode) {
    case LocalSection::EPOCHS: {
      EpochsPlan plan{.epochs = local_.epochs(),
                      .batch_size = local_.batch_size(),
                      .learning_rate = learning_rate_,
                      .proximal_mu = local_.proximal_mu(),
                      .seed = FreshSeed(random)};
      if (control_) plan.correction = control_->Correction();
      return plan;
    }
    case LocalSection::DP_SGD:
      return DpSgdPlan{.steps = local_.steps(),
                       .sampling_rate = terms_.sampling_rate,
                       .batch_size = local_.batch_size(),
                       .learning_rate = learning_rate_,
                       .clip_norm = terms_.clip_norm,
                       .scale_log2 = Log2(terms_.scale_step),
                       .sigma2 = terms_.sigma2_step,
                       .seed = FreshSeed(random)};
    default:
      break;
  }
  GradientPlan plan{.records = dp::PoissonSample(records_, terms_.sampling_rate, random),
                    .clip_norm = terms_.clip_norm,
                    .scale_log2 = Log2(terms_.scale)};
  // Beyond the public bound the member sends noise alone (section 2.4).
  if (plan.records.size() >= terms_.batch_cap) plan.records.clear();
  return plan;
}

uint64_t Contribution::weight() const { return std::min<uint64_t>(records_, terms_.weight_max); }

absl::StatusOr<RingVector> Contribution::Encode(LocalUpdate update, std::vector<uint32_t> noise,
                                                AesCtrRandom& random) {
  if (auto* sums = std::get_if<std::vector<int64_t>>(&update)) {
    DURE_CHECK(terms_.mode == LocalSection::GRADIENT);
    if (sums_plan_) return FromRecords(std::move(*sums), std::move(noise), random);
    return FromSums(std::move(*sums), std::move(noise), random);
  }
  auto& floats = std::get<std::vector<float>>(update);
  DURE_CHECK(floats.size() == terms_.dim && control_.has_value() == terms_.control_variates);
  if (control_) {
    const double passes = (records_ + local_.batch_size() - 1) / local_.batch_size();
    std::vector<float> joined =
        control_->Joined(floats, local_.epochs() * passes, learning_rate_, terms_);
    Wipe(&floats);
    floats = std::move(joined);
  }
  if (!encoder_) return OnFixedGrid(floats, random);
  const double share = terms_.weighted
                           ? static_cast<double>(weight()) / static_cast<double>(terms_.weight_max)
                           : 1.0;
  // What happened to the update is a fact about its data, and stays here.
  encoder_->AddUpdate(floats, share, random, threads_, noise);
  Wipe(&floats);
  return dp::RingFromWords(std::move(noise), static_cast<int>(terms_.bits));
}

std::optional<RingVector> Contribution::EncodeNothing(std::vector<uint32_t> noise,
                                                      AesCtrRandom& random) {
  if (terms_.unit == PrivacySection::NONE) return std::nullopt;
  if (encoder_) return dp::RingFromWords(std::move(noise), static_cast<int>(terms_.bits));
  if (terms_.mode == LocalSection::DP_SGD) {
    const auto plan = std::get<DpSgdPlan>(MakePlan(random));
    absl::StatusOr<std::vector<float>> update = DpSgdNoiseAlone(plan, terms_.dim, /*threads=*/1);
    DURE_CHECK(update.ok());  // DeriveTerms keeps the plan in range
    absl::StatusOr<RingVector> input = OnFixedGrid(*update, random);
    DURE_CHECK(input.ok());  // finite
    return *std::move(input);
  }
  return FromSums(std::vector<int64_t>(terms_.coordinates), std::move(noise), random);
}

// An attempt that is no training: without noise the integers as they are.
absl::StatusOr<RingVector> Contribution::FromRecords(std::vector<int64_t> sums,
                                                     std::vector<uint32_t> noise,
                                                     AesCtrRandom& random) const {
  if (sums.size() != terms_.coordinates) {
    return absl::InternalError(
        absl::StrCat("the trainer gave ", sums.size(), " sums in place of ", terms_.coordinates));
  }
  if (terms_.unit == PrivacySection::NONE) {
    RingVector input = RingFromSigned(sums, static_cast<int>(terms_.bits));
    Wipe(&sums);
    return input;
  }
  // The first sum is of the records. Beyond the public bound the member sends noise alone.
  if (sums[0] >= static_cast<int64_t>(terms_.batch_cap) << SumsGridLog2(terms_)) {
    std::fill(sums.begin(), sums.end(), 0);
  }
  return FromSums(std::move(sums), std::move(noise), random);
}

// Mode gradient: rounded sums of clipped gradients and noise.
RingVector Contribution::FromSums(std::vector<int64_t> sums, std::vector<uint32_t> noise,
                                  AesCtrRandom& random) const {
  DURE_CHECK(sums.size() == terms_.coordinates && noise.size() == sums.size());
  dp::RoundSum(sums, random, sums);
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<int32_t>(noise[i]);
  RingVector input = RingFromSigned(sums, static_cast<int>(terms_.bits));
  Wipe(&sums);
  Wipe(&noise);
  return input;
}

// Unit none and mode dp_sgd: nearest integers, at most s R in size (section 2.1); of a width that
// was chosen, one of the two nearest.
absl::StatusOr<RingVector> Contribution::OnFixedGrid(std::span<const float> update,
                                                     AesCtrRandom& random) {
  dp::GridUpdateParams params = {
      .grid = {.scale_log2 = Log2(terms_.scale), .range = kFixedGridRange}, .threads = threads_};
  if (terms_.number_bits != 0) params.coins = &random;
  if (terms_.weighted) {
    params.weight = static_cast<double>(weight()) / static_cast<double>(terms_.weight_max);
    params.append_weight = true;
    params.weight_coordinate = static_cast<uint32_t>(weight());
  }
  DURE_ASSIGN_OR_RETURN(dp::GridUpdate encoded, dp::EncodeOnGrid(update, params));
  cut_off_ = encoded.saturated;
  return dp::RingFromWords(std::move(encoded.words), static_cast<int>(terms_.bits));
}

}  // namespace dure
