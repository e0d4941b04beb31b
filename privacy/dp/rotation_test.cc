#include "privacy/dp/rotation.h"

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "crypto/aes_ctr.h"
#include "crypto/hkdf.h"
#include "gtest/gtest.h"
#include "privacy/dp/client_encoding.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

std::vector<double> Numbers(const std::string& text) {
  std::istringstream stream(text);
  std::vector<double> numbers;
  for (double x; stream >> x;) numbers.push_back(x);
  return numbers;
}

Digest SeedOf(const std::string& hex) {
  const std::vector<uint8_t> bytes = testing::FromHex(hex);
  Digest seed{};
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
}

double Norm(const std::vector<double>& x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  return std::sqrt(sum);
}

std::vector<double> Waves(size_t size) {
  std::vector<double> x(size);
  for (size_t i = 0; i < size; ++i) x[i] = std::sin(0.37 * static_cast<double>(i)) + 0.1;
  return x;
}

TEST(RotationTest, OutputsAreTheKnownOnes) {
  int rows = 0;
  for (const testing::Row& row : testing::ReadGolden("rotation.csv")) {
    std::vector<double> x = Numbers(row.at("input"));
    const std::vector<double> input = x;
    const std::vector<double> expected = Numbers(row.at("output"));
    ASSERT_EQ(x.size(), expected.size());
    ASSERT_EQ(std::to_string(x.size()), row.at("block_len"));
    const Rotation rotation(SeedOf(row.at("rotation_seed")), x.size());
    rotation.Apply(0, x);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-12);
    rotation.Invert(0, x);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], input[i], 1e-12);
    ++rows;
  }
  EXPECT_GT(rows, 2);
}

TEST(RotationTest, KeepsNormsAndTurnsBackAtEveryBlockSize) {
  for (uint64_t block = 1; block <= kMaxRotationBlock; block *= 2) {
    const size_t size = std::min<uint64_t>(4 * block, kMaxRotationBlock);
    const std::vector<double> input = Waves(size);
    std::vector<double> x = input;
    const Rotation rotation(Digest{1, 2, 3}, block);
    rotation.Apply(0, x);
    EXPECT_NEAR(Norm(x), Norm(input), 1e-9 * Norm(input)) << block;
    rotation.Invert(0, x);
    for (size_t i = 0; i < size; ++i) ASSERT_NEAR(x[i], input[i], 1e-12) << block;
  }
}

TEST(RotationTest, SpreadsOneLargeCoordinateEvenly) {
  std::vector<double> x(kMaxRotationBlock);
  x[12345] = 1;
  Rotation(Digest{7}, kMaxRotationBlock).Apply(0, x);
  for (double value : x) {
    ASSERT_NEAR(std::abs(value), 1 / std::sqrt(static_cast<double>(kMaxRotationBlock)), 1e-15);
  }
}

// A later block has the later bits of the stream of signs.
TEST(RotationTest, SignsContinueFromBlockToBlock) {
  const Digest seed = {9};
  const SecretBytes key =
      HkdfSha256({.key = seed, .salt = {}, .info = Transcript("rot").bytes()}, 48);
  std::vector<uint8_t> bytes(2 * kMaxRotationBlock / 8);
  AesCtr(key.view()).Generate(bytes);
  const Rotation rotation(seed, 1);  // nothing but signs
  for (uint64_t first : {uint64_t{0}, kMaxRotationBlock}) {
    std::vector<double> x(kMaxRotationBlock, 1.0);
    rotation.Apply(first, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const bool minus = bytes[(first + i) / 8] >> ((first + i) % 8) & 1;
      ASSERT_EQ(x[i], minus ? -1.0 : 1.0);
    }
  }
}

}  // namespace
}  // namespace dure::dp
