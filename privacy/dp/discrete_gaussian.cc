#include "privacy/dp/discrete_gaussian.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "privacy/dp/bernoulli_exp.h"
#include "privacy/dp/random_words.h"
#include "privacy/dp/scaled_exp.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;

constexpr int kSlotBits = 46;  // the upper bits of the first word
constexpr int kSignBit = 17;   // below them; the low bits are u
constexpr int kMaxBlockLog2 = 16;
constexpr uint64_t kSlots = uint64_t{1} << kSlotBits;
constexpr uint64_t kUndecidedSlots = 3;  // of each block
constexpr int kTailGroupLog2 = 5;        // blocks of the tail that are drawn together
constexpr int kLastTailGroup = 1023;
constexpr uint8_t kUnclear = 255;
constexpr int64_t kRejected = -1;

// A little more than a sample takes on average: one fetch mostly serves one Sample().
constexpr size_t kWordsPerSample = 4;

uint64_t FloorSqrt(uint64_t x) {
  auto root = static_cast<uint64_t>(std::sqrt(static_cast<double>(x)));
  while (root * root > x) --root;
  while ((root + 1) * (root + 1) <= x) ++root;
  return root;
}

}  // namespace

DiscreteGaussian::DiscreteGaussian(uint64_t sigma2)
    : sigma2_(sigma2), inv_two_sigma2_(0.5 / static_cast<double>(sigma2)) {
  const uint64_t sigma_down = FloorSqrt(sigma2);
  if (sigma_down >= 16) block_log2_ = std::bit_width(sigma_down / 16) - 1;
  // The first block at 12 sigma or more.
  const uint64_t blocks = ((12 * (sigma_down + 1)) >> block_log2_) + 1;
  std::vector<double> weights(blocks);
  double total = 0;
  for (uint64_t k = 0; k < blocks; ++k) {
    // (k w)^2 < 2^50 is exact and the exponent x has two roundings: exp(-x) is off by less than
    // 2^-51 (x + 2) exp(-x), a constant 2^-50 at most.
    const auto start = static_cast<double>(k << block_log2_);
    weights[k] = std::exp(-(start * start * inv_two_sigma2_));
    total += weights[k];
  }
  const auto available = static_cast<double>(kSlots - (kUndecidedSlots + 1) * blocks - 1);
  scale_ = static_cast<uint64_t>(available / total * (1 - 0x1p-40));
  uint64_t slot = 0;
  for (uint64_t k = 0; k < blocks; ++k) {
    const auto wanted = static_cast<uint64_t>(static_cast<double>(scale_) * weights[k]);
    first_.push_back(slot);
    slot += wanted > 0 ? wanted - 1 : 0;
    undecided_.push_back(slot);
    slot += kUndecidedSlots;
  }
  first_.push_back(slot);
  DURE_CHECK(slot < kSlots);
  FillGuide();
}

void DiscreteGaussian::FillGuide() {
  guide_.fill(kUnclear);
  constexpr int kCellLog2 = kSlotBits - kGuideLog2;
  for (uint64_t k = 0; k < std::min<uint64_t>(undecided_.size(), kUnclear); ++k) {
    const uint64_t begin = (first_[k] + (uint64_t{1} << kCellLog2) - 1) >> kCellLog2;
    const uint64_t end = undecided_[k] >> kCellLog2;
    for (uint64_t cell = begin; cell < end; ++cell) guide_[cell] = static_cast<uint8_t>(k);
  }
}

absl::StatusOr<DiscreteGaussian> DiscreteGaussian::Create(uint64_t sigma2) {
  if (sigma2 < 1 || sigma2 > kMaxSigma2) {
    return absl::InvalidArgumentError(
        absl::StrCat("sigma2 = ", sigma2, " is outside 1 to 2^40 = ", kMaxSigma2));
  }
  return DiscreteGaussian(sigma2);
}

// The block of a slot that the guide leaves open, or kRejected.
int64_t DiscreteGaussian::BlockOfSlot(uint64_t slot, RandomWords& words) const {
  const auto next = std::upper_bound(first_.begin(), first_.end(), slot);
  const auto k = static_cast<uint64_t>(next - first_.begin()) - 1;
  if (k == undecided_.size()) return slot == first_.back() ? TailBlock(words) : kRejected;
  if (slot < undecided_[k]) return static_cast<int64_t>(k);
  const uint64_t start = k << block_log2_;
  const ScaledExp wanted = {
      .scale = scale_, .numerator = start * start, .denominator = 2 * sigma2_};
  return IsBelowScaledExp(slot - first_[k], wanted, words) ? static_cast<int64_t>(k) : kRejected;
}

// Block k of group j of the tail is proposed with probability p = 2^-(j + 1 + kTailGroupLog2) and
// accepted if U < S g(k) / p. That is below 1: S g(k) is below 2^46 e^-72, a group on it falls by
// e^-12 at least, and p by 2. The last group, j = 1023, keeps integers below their limits and is
// 1000 sigma away: what lies beyond has probability exp(-500000) and is never drawn.
int64_t DiscreteGaussian::TailBlock(RandomWords& words) const {
  int group = 0;
  uint64_t coins = words.Next();
  for (; coins == 0; coins = words.Next()) {
    group += 64;
    if (group > kLastTailGroup) return kRejected;
  }
  group += std::countr_zero(coins);
  const uint64_t within = words.Next() >> (64 - kTailGroupLog2);
  const uint64_t k = undecided_.size() + (static_cast<uint64_t>(group) << kTailGroupLog2) + within;
  const uint64_t start = k << block_log2_;
  const ScaledExp wanted = {.scale = scale_,
                            .shift = group + 1 + kTailGroupLog2,
                            .numerator = start * start,
                            .denominator = 2 * sigma2_};
  return IsBelowScaledExp(0, wanted, words) ? static_cast<int64_t>(k) : kRejected;
}

// Bernoulli(exp(-(2 k w u + u^2) / (2 sigma2))).
inline bool DiscreteGaussian::IsAccepted(uint64_t block, uint64_t u, RandomWords& words) const {
  const uint64_t numerator = u * (2 * (block << block_log2_) + u);
  const double exponent = static_cast<double>(static_cast<int64_t>(numerator)) * inv_two_sigma2_;
  Rational ratio = {exponent, numerator, Uint128{2} * sigma2_};
  if (exponent < 0.99) [[likely]]
    return BernoulliExp(ratio, words);
  // exp(-g) with g above 1 is m tosses of exp(-g / m): blocks far out only.
  const auto tosses = static_cast<uint64_t>(exponent) + 2;
  ratio.rounded /= static_cast<double>(tosses);
  ratio.denominator *= tosses;
  for (uint64_t i = 0; i < tosses; ++i) {
    if (!BernoulliExp(ratio, words)) return false;
  }
  return true;
}

template <bool kUnitBlocks>
inline int64_t DiscreteGaussian::Draw(RandomWords& words) const {
  const uint64_t u_mask = (uint64_t{1} << block_log2_) - 1;
  for (;;) {
    const uint64_t word = words.Next();
    int64_t block = guide_[word >> (64 - kGuideLog2)];
    if (block == kUnclear) [[unlikely]] {
      block = BlockOfSlot(word >> (64 - kSlotBits), words);
      if (block == kRejected) continue;
    }
    int64_t magnitude = block;
    if constexpr (!kUnitBlocks) {
      const uint64_t u = word & u_mask;
      if (!IsAccepted(static_cast<uint64_t>(block), u, words)) continue;
      magnitude = (block << block_log2_) + static_cast<int64_t>(u);
    }
    const auto negative = static_cast<int64_t>(word >> kSignBit & 1);
    if (magnitude == 0 && negative) [[unlikely]]
      continue;
    return (magnitude ^ -negative) + negative;
  }
}

template <typename Int>
void DiscreteGaussian::FillAs(AesCtrRandom& random, std::span<Int> out) const {
  RandomWords words(random, kWordsPerSample * out.size());
  if (block_log2_ == 0) {
    for (Int& sample : out) sample = static_cast<Int>(Draw<true>(words));
  } else {
    for (Int& sample : out) sample = static_cast<Int>(Draw<false>(words));
  }
}

void DiscreteGaussian::Fill(AesCtrRandom& random, std::span<int64_t> out) const {
  FillAs(random, out);
}

void DiscreteGaussian::Fill(AesCtrRandom& random, std::span<uint32_t> out) const {
  FillAs(random, out);
}

int64_t DiscreteGaussian::Sample(AesCtrRandom& random) const {
  int64_t sample;
  Fill(random, std::span(&sample, 1));
  return sample;
}

static_assert(kSignBit >= kMaxBlockLog2 && kSlotBits + kSignBit < 64);

}  // namespace dure::dp
