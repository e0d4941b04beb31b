#include "coordinator/mean_update.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <span>

#include "aggregation/coordinate_rule.h"
#include "base/check.h"
#include "base/ranges.h"
#include "base/status_macros.h"
#include "federation/terms/robust_terms.h"
#include "privacy/dp/central_noise.h"
#include "privacy/dp/client_update.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

// Fewer coordinates are not worth a thread of their own.
constexpr uint64_t kCoordinatesForThread = 1 << 16;
// As many as stay in the cache on their way.
constexpr uint64_t kBlockCoordinates = 4096;

int Log2(uint64_t power_of_two) { return std::countr_zero(power_of_two); }

// Writes coordinates first, first + 1, ... of the opened sum; called on several threads.
using ReadSum = std::function<void(uint64_t first, std::span<int64_t> out)>;

// Block by block, because the sum as signed integers would be twice as long as the model.
absl::StatusOr<MeanUpdate> Divided(const ReadSum& read, const RoundTerms& terms, double divisor) {
  const dp::DecodeParams params = {.scale_log2 = Log2(terms.scale), .expected_batch = divisor};
  DURE_RETURN_IF_ERROR(dp::DecodeMean({}, params, {}));  // what can be wrong is the same for all
  MeanUpdate update{.mean = std::vector<float>(terms.update_dim)};
  const auto decode = [&](const Range& range) {
    std::vector<int64_t> values(std::min(kBlockCoordinates, range.size()));
    for (uint64_t first = range.begin; first < range.end; first += values.size()) {
      const auto block = std::span(values).first(std::min(values.size(), range.end - first));
      read(first, block);
      const auto out = std::span(update.mean).subspan(first, block.size());
      DURE_CHECK(dp::DecodeMean(block, params, out).ok());
    }
  };
  ForEachRange({.begin = 0, .end = terms.update_dim}, {.least = kCoordinatesForThread}, decode);
  return update;
}

// Modes without a noise of the message's own, and gradients.
absl::StatusOr<MeanUpdate> OfRecords(const ReadSum& read, const GroupSum& group,
                                     const RoundTerms& terms) {
  if (terms.mode == LocalSection::GRADIENT) {
    return Divided(read, terms, terms.expected_batch * group.share);
  }
  if (!terms.weighted) return Divided(read, terms, group.survivors);
  int64_t weights = 0;  // unit none: the true weights, added up
  read(terms.coordinates - 1, {&weights, 1});
  if (weights <= 0) return absl::FailedPreconditionError("nobody in the sum has any records");
  return Divided(read, terms, static_cast<double>(weights) / static_cast<double>(terms.weight_max));
}

absl::StatusOr<MeanUpdate> OfClients(std::span<const int64_t> sum, uint32_t survivors,
                                     const RoundTerms& terms, const std::string& rotation_seed) {
  dp::ClientUpdateParams params = {.dim = terms.update_dim,
                                   .clip_norm = terms.clip_norm,
                                   .scale_log2 = Log2(terms.scale),
                                   .norm_bound_sq = terms.norm_bound_sq,
                                   .count_coordinate = terms.count_coordinate};
  if (terms.rotation) params.rotation_seed = DigestFromBytes(rotation_seed);
  DURE_ASSIGN_OR_RETURN(const dp::ClientUpdateEncoder encoder,
                        dp::ClientUpdateEncoder::Create(params));
  const double members = survivors;
  // The divisor of a weighted sum is public: members times the mean share that was agreed.
  const double divisor = terms.weighted ? members * static_cast<double>(terms.weight_mean) /
                                              static_cast<double>(terms.weight_max)
                                        : members;
  MeanUpdate update{.mean = std::vector<float>(terms.update_dim)};
  DURE_RETURN_IF_ERROR(
      encoder.Decode(sum, divisor, /*threads=*/0, update.mean, &update.count_mean));
  update.count_mean *= divisor / members;  // members are counted, not their weights
  return update;
}

absl::StatusOr<MeanUpdate> OfOneSum(const GroupSum& group, const RoundTerms& terms,
                                    const std::string& rotation_seed, Random& random) {
  DURE_CHECK(RingSize(group.sum) == terms.coordinates && group.survivors >= 1);
  const int bits = static_cast<int>(terms.bits);
  if (terms.unit != PrivacySection::CLIENT && terms.sigma2_central == 0) {
    return OfRecords(
        [&](uint64_t first, std::span<int64_t> out) { RingToSigned(group.sum, bits, first, out); },
        group, terms);
  }
  std::vector<int64_t> values = RingToSigned(group.sum, bits);
  if (terms.sigma2_central != 0) {
    AesCtrRandom fresh(random);
    DURE_RETURN_IF_ERROR(dp::AddCentralNoise(terms.sigma2_central, fresh, /*threads=*/0, values));
  }
  if (terms.unit == PrivacySection::CLIENT) {
    return OfClients(values, group.survivors, terms, rotation_seed);
  }
  return OfRecords(
      [&](uint64_t first, std::span<int64_t> out) {
        std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
      },
      group, terms);
}

}  // namespace

absl::StatusOr<MeanUpdate> ToMeanUpdate(const std::vector<GroupSum>& sums, const RoundTerms& terms,
                                        const std::string& rotation_seed, Random& random) {
  DURE_CHECK(!sums.empty());
  if (terms.robust == SecureAggregationSection::OFF) {
    DURE_CHECK(sums.size() == 1);
    return OfOneSum(sums[0], terms, rotation_seed, random);
  }
  std::vector<std::vector<float>> means;
  std::vector<std::vector<float>> counts;
  for (const GroupSum& group : sums) {
    absl::StatusOr<MeanUpdate> mean = OfOneSum(group, terms, rotation_seed, random);
    // A group of members that claim to have no records has nothing to say.
    if (absl::IsFailedPrecondition(mean.status())) continue;
    DURE_RETURN_IF_ERROR(mean.status());
    means.push_back(std::move(mean->mean));
    counts.push_back({static_cast<float>(mean->count_mean)});
  }
  if (means.empty()) return absl::FailedPreconditionError("nobody in the sums has any records");
  return MeanUpdate{.mean = CombineGroups(terms, means), .count_mean = CoordinateMedian(counts)[0]};
}

}  // namespace dure
