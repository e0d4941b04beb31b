// Masks in groups, in ranges and on threads: always what one mask after the other would give.
#include "privacy/secagg/mask.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "crypto/aes_ctr.h"
#include "crypto/random.h"

namespace dure::secagg {
namespace {

std::vector<KeyedMask> SomeMasks(size_t count) {
  AesCtrRandom random(AesCtrRandom::Seed{1});
  std::vector<KeyedMask> masks;
  for (size_t i = 0; i < count; ++i) {
    masks.push_back({.key = SecretBytes(kMaskKeyBytes),
                     .sign = i % 3 == 0 ? MaskSign::kSubtract : MaskSign::kAdd});
    random.Fill(masks.back().key.mutable_view());
  }
  return masks;
}

// The specification: the words of each keystream, one after the other.
template <typename Word>
std::vector<Word> Expected(const std::vector<KeyedMask>& masks, size_t dim) {
  std::vector<Word> sum(dim, 7);
  for (const KeyedMask& mask : masks) {
    std::vector<uint8_t> bytes(dim * sizeof(Word));
    AesCtr(mask.key.view()).Generate(bytes);
    for (size_t i = 0; i < dim; ++i) {
      Word word;
      std::memcpy(&word, bytes.data() + i * sizeof(Word), sizeof(Word));
      sum[i] += mask.sign == MaskSign::kAdd ? word : Word{0} - word;
    }
  }
  return sum;
}

template <typename Word>
void ExpectAllWaysAgree(size_t dim, size_t count) {
  const std::vector<KeyedMask> masks = SomeMasks(count);
  const std::vector<Word> expected = Expected<Word>(masks, dim);
  for (int threads : {0, 1, 2, 5}) {
    RingVector sum = std::vector<Word>(dim, 7);
    ApplyMasks(masks, threads, &sum);
    EXPECT_EQ(std::get<std::vector<Word>>(sum), expected) << dim << ", " << threads << " threads";
  }
  // In two ranges, whichever comes first.
  for (uint64_t middle = 0; middle <= dim; middle += std::max<uint64_t>(4, dim / 12 * 4)) {
    RingVector sum = std::vector<Word>(dim, 7);
    ApplyMasks(masks, {.begin = middle, .end = dim}, /*threads=*/2, &sum);
    ApplyMasks(masks, {.begin = 0, .end = middle}, /*threads=*/1, &sum);
    EXPECT_EQ(std::get<std::vector<Word>>(sum), expected) << dim << " at " << middle;
  }
  RingVector sum = std::vector<Word>(dim, 7);
  for (const KeyedMask& mask : masks) ApplyMask(mask.key.view(), mask.sign, &sum);
  EXPECT_EQ(std::get<std::vector<Word>>(sum), expected);
}

TEST(MaskTest, AllWaysAgree) {
  for (size_t dim : {0, 1, 3, 4, 5, 2047, 2048, 2049, 4096, 10007}) {
    ExpectAllWaysAgree<uint32_t>(dim, 3);
    ExpectAllWaysAgree<uint64_t>(dim, 3);
  }
  ExpectAllWaysAgree<uint32_t>(100'003, 35);
  ExpectAllWaysAgree<uint64_t>(100'003, 17);
}

TEST(MaskTest, NoMaskChangesNothing) {
  RingVector sum = std::vector<uint32_t>(100, 7);
  ApplyMasks({}, /*threads=*/0, &sum);
  EXPECT_EQ(std::get<std::vector<uint32_t>>(sum), std::vector<uint32_t>(100, 7));
}

TEST(MaskTest, WhatWasAddedCanBeTakenAway) {
  RingVector sum = RingFromSigned(std::vector<int64_t>(50'000, -3), 20);
  std::vector<KeyedMask> masks = SomeMasks(20);
  ApplyMasks(masks, 0, &sum);
  EXPECT_NE(RingToSigned(sum, 20)[0], -3);
  for (KeyedMask& mask : masks) mask.sign = Opposite(mask.sign);
  ApplyMasks(masks, 0, &sum);
  EXPECT_EQ(RingToSigned(sum, 20), std::vector<int64_t>(50'000, -3));
}

TEST(MaskDeathTest, TheCallersMistakes) {
  RingVector sum = std::vector<uint32_t>(100);
  std::vector<KeyedMask> masks = SomeMasks(1);
  EXPECT_DEATH(ApplyMasks(masks, {.begin = 2, .end = 10}, 1, &sum), "");
  EXPECT_DEATH(ApplyMasks(masks, {.begin = 0, .end = 101}, 1, &sum), "");
  masks[0].key = SecretBytes(size_t{47});
  EXPECT_DEATH(ApplyMasks(masks, 1, &sum), "");
}

}  // namespace
}  // namespace dure::secagg
