#include "privacy/dp/client_update.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "crypto/secret_bytes.h"
#include "privacy/dp/blocks.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/discrete_gaussian.h"

namespace dure::dp {
namespace {

constexpr int kMaxTries = 64;
// Scaled coordinates stay below it, so that a sum of 32 fractional digits and this is exact.
constexpr double kOffset = 0x1p20;
constexpr double kMinDivisor = 1e-6;
constexpr double kMaxDivisor = 1e18;
// Coordinates whose coins are drawn at a time. Their squares, each of 2^40 at most, have an exact
// sum in binary64.
constexpr size_t kChunk = 4096;
constexpr size_t kLanes = 8;

bool IsPositiveFinite(double x) { return std::isfinite(x) && x > 0; }

std::span<uint8_t> BytesOf(std::span<int32_t> words) {
  return {reinterpret_cast<uint8_t*>(words.data()), words.size_bytes()};
}

// Squared L2 norm in binary64; partial sums in an order that does not depend on the machine.
double NormSq(std::span<const float> x) {
  std::array<double, kLanes> partial = {};
  const size_t whole = x.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      partial[lane] += value * value;
    }
  }
  double sum = 0;
  for (double part : partial) sum += part;
  for (size_t i = whole; i < x.size(); ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

// The exact sum of squares of integers below 2^20 in size, at most kChunk of them.
uint64_t SumOfSquares(std::span<const int32_t> v) {
  std::array<double, kLanes> partial = {};
  const size_t whole = v.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = v[i + lane];
      partial[lane] += value * value;
    }
  }
  uint64_t sum = 0;
  for (double part : partial) sum += static_cast<uint64_t>(part);
  for (size_t i = whole; i < v.size(); ++i) {
    sum += static_cast<uint64_t>(static_cast<int64_t>(v[i]) * v[i]);
  }
  return sum;
}

// floor(x + U), U uniform on multiples of 2^-32 in [0, 1). `coins` are random and become the
// result. x is first rounded to a multiple of 2^-32; then all is exact, as everything is below
// 2^21. The conversion cuts off the fraction of a positive number.
void RoundAtRandom(std::span<const double> x, std::span<int32_t> coins) {
  for (size_t i = 0; i < x.size(); ++i) {
    const double shifted = (x[i] + (kOffset + 0.5)) + coins[i] * 0x1p-32;
    coins[i] = static_cast<int32_t>(shifted) - static_cast<int32_t>(kOffset);
  }
}

}  // namespace

struct ClientUpdateEncoder::Task {
  std::span<const float> update;
  double factor = 0;  // the clip, the weight and the scale in one
  double count = 0;   // the count coordinate, scaled
  Rounding rounding = Rounding::kRandom;
  bool subtract = false;  // take off what the same task added with the same coins
  std::span<uint32_t> words;
};

ClientUpdateEncoder::ClientUpdateEncoder(const ClientUpdateParams& params)
    : params_(params), coordinates_(params.dim + (params.count_coordinate != 0 ? 1 : 0)) {
  if (!params.rotation_seed.has_value()) return;
  rotation_.emplace(*params.rotation_seed, RotationBlock(RotatedDim(coordinates_)));
  coordinates_ = RotatedDim(coordinates_);
}

absl::StatusOr<ClientUpdateEncoder> ClientUpdateEncoder::Create(const ClientUpdateParams& params) {
  if (params.dim < 1 || params.dim > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("dim = ", params.dim, " is outside 1 to ", kMaxDim));
  }
  if (!IsPositiveFinite(params.clip_norm)) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_norm = ", params.clip_norm, " is not a positive finite number"));
  }
  if (params.count_coordinate != 0 && !IsPositiveFinite(params.count_coordinate)) {
    return absl::InvalidArgumentError(absl::StrCat("count_coordinate = ", params.count_coordinate,
                                                   " is not a positive finite number, or 0"));
  }
  if (params.scale_log2 < 0 || params.scale_log2 > kMaxScaleLog2) {
    return absl::InvalidArgumentError(
        absl::StrCat("scale_log2 = ", params.scale_log2, " is outside 0 to ", kMaxScaleLog2));
  }
  const double norm = std::hypot(params.clip_norm, params.count_coordinate);
  if (!(std::ldexp(norm, params.scale_log2) <= kOffset - 2)) {
    return absl::InvalidArgumentError(absl::StrCat("clip_norm = ", params.clip_norm, " at scale 2^",
                                                   params.scale_log2,
                                                   " is not below 2^20; choose a smaller scale"));
  }
  if (params.norm_bound_sq < 1) {
    return absl::InvalidArgumentError("norm_bound_sq = 0: no update could be sent");
  }
  if (params.sigma2 > DiscreteGaussian::kMaxSigma2) {
    return absl::InvalidArgumentError(
        absl::StrCat("sigma2 = ", params.sigma2, " is above 2^40, the limit of the sampler"));
  }
  return ClientUpdateEncoder(params);
}

std::vector<uint32_t> ClientUpdateEncoder::DrawNoise(AesCtrRandom& random, int threads) const {
  std::vector<uint32_t> words(coordinates_);
  if (params_.sigma2 == 0) return words;
  const auto gaussian = DiscreteGaussian::Create(params_.sigma2);
  DURE_CHECK(gaussian.ok());  // Create saw to it
  const BlockSeeds seeds(CountBlocks(coordinates_), random);
  ForEachBlock(coordinates_, threads, [&](const Block& block) {
    AesCtrRandom stream = seeds.RandomOf(block);
    gaussian->Fill(stream, std::span(words).subspan(block.first, block.size));
  });
  return words;
}

ClientUpdateEncoder::Outcome ClientUpdateEncoder::AddUpdate(std::span<const float> update,
                                                            double weight, AesCtrRandom& random,
                                                            int threads,
                                                            std::span<uint32_t> words) const {
  DURE_CHECK(update.size() == params_.dim && words.size() == coordinates_);
  DURE_CHECK(weight >= 0 && weight <= 1);
  Outcome outcome;
  std::vector<double> partial(CountBlocks(params_.dim));
  ForEachBlock(params_.dim, threads, [&](const Block& block) {
    partial[block.index] = NormSq(update.subspan(block.first, block.size));
  });
  double norm_sq = 0;
  for (double part : partial) norm_sq += part;
  // Squares of finite floats do not overflow binary64.
  outcome.finite = std::isfinite(norm_sq);
  if (!outcome.finite) return outcome;
  const double norm = std::sqrt(norm_sq);
  outcome.clipped = norm > params_.clip_norm;

  const double count = outcome.clipped ? -params_.count_coordinate : params_.count_coordinate;
  Task task = {.update = update,
               .factor = std::ldexp(outcome.clipped ? params_.clip_norm / norm * weight : weight,
                                    params_.scale_log2),
               .count = std::ldexp(count, params_.scale_log2),
               .words = words};
  // Adds, looks at the norm, and takes off again what is above the bound: with the same coins, as
  // their seed is kept.
  auto add_within_bound = [&] {
    AesCtrRandom::Seed seed;
    random.Fill(seed);
    AesCtrRandom coins(seed);
    task.subtract = false;
    const bool within = AddPass(task, coins, threads) <= params_.norm_bound_sq;
    if (!within) {
      AesCtrRandom same(seed);
      task.subtract = true;
      AddPass(task, same, threads);
    }
    WipeBytes(seed);
    return within;
  };
  while (outcome.tries < kMaxTries) {
    ++outcome.tries;
    if (add_within_bound()) return outcome;
  }
  outcome.truncated = true;
  task.rounding = Rounding::kTowardZero;
  add_within_bound();  // or nothing
  return outcome;
}

// Adds to (or takes from) the words what `task` says and returns the exact sum of its squares.
unsigned __int128 ClientUpdateEncoder::AddPass(const Task& task, AesCtrRandom& random,
                                               int threads) const {
  const size_t blocks = CountBlocks(coordinates_);
  const BlockSeeds seeds(blocks, random);
  std::vector<uint64_t> partial(blocks);  // 2^15 squares of 2^40 at most
  ForEachBlock(coordinates_, threads, [&](const Block& block) {
    Load(task, block.first, block.scratch);
    AesCtrRandom stream = seeds.RandomOf(block);
    alignas(64) std::array<int32_t, kChunk> integers;
    for (size_t start = 0; start < block.size; start += kChunk) {
      const auto part = block.scratch.subspan(start, std::min(kChunk, block.size - start));
      const auto v = std::span(integers).first(part.size());
      if (task.rounding == Rounding::kRandom) {
        stream.Fill(BytesOf(v));
        RoundAtRandom(part, v);
      } else {
        for (size_t i = 0; i < part.size(); ++i) v[i] = static_cast<int32_t>(part[i]);
      }
      partial[block.index] += SumOfSquares(v);
      uint32_t* const words = task.words.data() + block.first + start;
      if (task.subtract) {
        for (size_t i = 0; i < v.size(); ++i) words[i] -= static_cast<uint32_t>(v[i]);
      } else {
        for (size_t i = 0; i < v.size(); ++i) words[i] += static_cast<uint32_t>(v[i]);
      }
    }
    WipeBytes(BytesOf(integers));
  });
  unsigned __int128 sum = 0;
  for (uint64_t part : partial) sum += part;
  return sum;
}

// Coordinates from `first` on: scaled, with the count coordinate, padded and rotated.
void ClientUpdateEncoder::Load(const Task& task, uint64_t first, std::span<double> x) const {
  const uint64_t dim = params_.dim;
  const size_t given = first < dim ? std::min<uint64_t>(x.size(), dim - first) : 0;
  for (size_t i = 0; i < given; ++i) x[i] = task.update[first + i] * task.factor;
  std::fill(x.begin() + static_cast<std::ptrdiff_t>(given), x.end(), 0.0);
  if (first + given == dim && given < x.size()) x[given] = task.count;  // 0 if there is none
  if (rotation_.has_value()) rotation_->Apply(first, x);
}

absl::Status ClientUpdateEncoder::Decode(std::span<const int64_t> sum, double divisor, int threads,
                                         std::span<float> out, double* count_mean) const {
  if (sum.size() != coordinates_ || out.size() != params_.dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sum has ", sum.size(), " coordinates and the update ", out.size(),
                     "; they should have ", coordinates_, " and ", params_.dim));
  }
  if (!(divisor >= kMinDivisor && divisor <= kMaxDivisor)) {
    return absl::InvalidArgumentError(
        absl::StrCat("divisor = ", divisor, " is outside ", kMinDivisor, " to ", kMaxDivisor));
  }
  const double denominator = std::ldexp(divisor, params_.scale_log2);
  ForEachBlock(coordinates_, threads, [&](const Block& block) {
    const std::span<double> x = block.scratch;
    for (size_t i = 0; i < block.size; ++i) {
      x[i] = static_cast<double>(sum[block.first + i]) / denominator;
    }
    if (rotation_.has_value()) rotation_->Invert(block.first, x);
    for (size_t i = 0; i < block.size && block.first + i < params_.dim; ++i) {
      out[block.first + i] = static_cast<float>(x[i]);
    }
    const bool has_count = params_.count_coordinate != 0 && count_mean != nullptr &&
                           params_.dim - block.first < block.size;
    if (has_count) *count_mean = x[params_.dim - block.first];
  });
  return absl::OkStatus();
}

RingVector RingFromWords(std::vector<uint32_t> words, int bits) {
  if (RingFits(RingVector(std::vector<uint32_t>()), bits)) return words;
  std::vector<uint64_t> wide(words.size());
  for (size_t i = 0; i < words.size(); ++i) {
    wide[i] = static_cast<uint64_t>(int64_t{static_cast<int32_t>(words[i])});
  }
  WipeBytes({reinterpret_cast<uint8_t*>(words.data()), words.size() * sizeof(uint32_t)});
  return wide;
}

}  // namespace dure::dp
