#include "coordinator/mean_update.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

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

MeanUpdate Of(std::vector<float> mean) {
  auto kept = std::make_shared<const std::vector<float>>(std::move(mean));
  return {.size = kept->size(), .read = [kept](uint64_t first, std::span<float> out) {
            std::copy_n(kept->begin() + static_cast<std::ptrdiff_t>(first), out.size(),
                        out.begin());
          }};
}

int Log2(uint64_t power_of_two) { return std::countr_zero(power_of_two); }

// Writes coordinates first, first + 1, ... of the opened sum; called on several threads.
using ReadSum = std::function<void(uint64_t first, std::span<int64_t> out)>;

// Block by block, because the sum as signed integers would be twice as long as the model.
absl::StatusOr<MeanUpdate> Divided(ReadSum read, const RoundTerms& terms, double divisor) {
  const dp::DecodeParams params = {.scale_log2 = Log2(terms.scale), .expected_batch = divisor};
  DURE_RETURN_IF_ERROR(dp::DecodeMean({}, params, {}));  // what can be wrong is the same for all
  return MeanUpdate{
      .size = terms.update_dim,
      .read = [read = std::move(read), params](uint64_t first, std::span<float> out) {
        std::vector<int64_t> values(std::min<uint64_t>(kBlockCoordinates, out.size()));
        for (uint64_t done = 0; done < out.size(); done += values.size()) {
          const auto block =
              std::span(values).first(std::min<uint64_t>(values.size(), out.size() - done));
          read(first + done, block);
          DURE_CHECK(dp::DecodeMean(block, params, out.subspan(done, block.size())).ok());
        }
      }};
}

// Modes without a noise of the message's own, and gradients.
absl::StatusOr<MeanUpdate> OfRecords(ReadSum read, uint32_t survivors, double share,
                                     const RoundTerms& terms) {
  if (terms.mode == LocalSection::GRADIENT) {
    return Divided(std::move(read), terms, terms.expected_batch * share);
  }
  if (!terms.weighted) return Divided(std::move(read), terms, survivors);
  int64_t weights = 0;  // unit none: the true weights, added up
  read(terms.coordinates - 1, {&weights, 1});
  if (weights <= 0) return absl::FailedPreconditionError("nobody in the sum has any records");
  return Divided(std::move(read), terms,
                 static_cast<double>(weights) / static_cast<double>(terms.weight_max));
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
  std::vector<float> mean(terms.update_dim);
  double count_mean = 0;
  DURE_RETURN_IF_ERROR(encoder.Decode(sum, divisor, /*threads=*/0, mean, &count_mean));
  MeanUpdate update = Of(std::move(mean));
  update.count_mean = count_mean * (divisor / members);  // members are counted, not their weights
  return update;
}

absl::StatusOr<MeanUpdate> OfOneSum(GroupSum group, const RoundTerms& terms,
                                    const std::string& rotation_seed, Random& random) {
  DURE_CHECK(RingSize(group.sum) == terms.coordinates && group.survivors >= 1);
  const int bits = static_cast<int>(terms.bits);
  if (terms.unit != PrivacySection::CLIENT && terms.sigma2_central == 0) {
    auto sum = std::make_shared<const RingVector>(std::move(group.sum));
    return OfRecords([sum, bits](uint64_t first,
                                 std::span<int64_t> out) { RingToSigned(*sum, bits, first, out); },
                     group.survivors, group.share, terms);
  }
  std::vector<int64_t> values = RingToSigned(group.sum, bits);
  group.sum = RingVector();
  if (terms.sigma2_central != 0) {
    AesCtrRandom fresh(random);
    DURE_RETURN_IF_ERROR(dp::AddCentralNoise(terms.sigma2_central, fresh, /*threads=*/0, values));
  }
  if (terms.unit == PrivacySection::CLIENT) {
    return OfClients(values, group.survivors, terms, rotation_seed);
  }
  auto kept = std::make_shared<const std::vector<int64_t>>(std::move(values));
  return OfRecords(
      [kept](uint64_t first, std::span<int64_t> out) {
        std::copy_n(kept->begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
      },
      group.survivors, group.share, terms);
}

}  // namespace

std::vector<float> MeanUpdate::Part(uint64_t first, uint64_t count) const {
  std::vector<float> part(count);
  ForEachRange({.begin = 0, .end = count}, {.least = kCoordinatesForThread},
               [&](const Range& range) {
                 read(first + range.begin, std::span(part).subspan(range.begin, range.size()));
               });
  return part;
}

absl::StatusOr<MeanUpdate> ToMeanUpdate(std::vector<GroupSum> sums, const RoundTerms& terms,
                                        const std::string& rotation_seed, Random& random) {
  DURE_CHECK(!sums.empty());
  if (terms.robust == SecureAggregationSection::OFF) {
    DURE_CHECK(sums.size() == 1);
    return OfOneSum(std::move(sums[0]), terms, rotation_seed, random);
  }
  std::vector<std::vector<float>> means;
  std::vector<std::vector<float>> counts;
  for (GroupSum& group : sums) {
    absl::StatusOr<MeanUpdate> mean = OfOneSum(std::move(group), terms, rotation_seed, random);
    // A group of members that claim to have no records has nothing to say.
    if (absl::IsFailedPrecondition(mean.status())) continue;
    DURE_RETURN_IF_ERROR(mean.status());
    means.push_back(mean->Whole());
    counts.push_back({static_cast<float>(mean->count_mean)});
  }
  if (means.empty()) return absl::FailedPreconditionError("nobody in the sums has any records");
  MeanUpdate update = Of(CombineGroups(terms, means));
  update.count_mean = CoordinateMedian(counts)[0];
  return update;
}

}  // namespace dure
