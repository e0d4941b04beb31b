#include "crypto/shamir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/golden.h"

namespace dure {
namespace {

using testing::FromHex;

// Hands out given bytes, in order.
class GivenRandom final : public Random {
 public:
  explicit GivenRandom(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}
  void Fill(std::span<uint8_t> out) override {
    ASSERT_LE(next_ + out.size(), bytes_.size());
    std::copy_n(bytes_.begin() + static_cast<long>(next_), out.size(), out.begin());
    next_ += out.size();
  }
  bool empty() const { return next_ == bytes_.size(); }

 private:
  std::vector<uint8_t> bytes_;
  size_t next_ = 0;
};

AesCtrRandom Seeded(uint8_t value) {
  AesCtrRandom::Seed seed;
  seed.fill(value);
  return AesCtrRandom(seed);
}

TEST(ShamirTest, FieldProductsAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("gf256_mul.csv")) {
    auto a = static_cast<uint8_t>(std::stoi(row.at("a")));
    auto b = static_cast<uint8_t>(std::stoi(row.at("b")));
    EXPECT_EQ(Gf256Multiply(a, b), std::stoi(row.at("product")));
    EXPECT_EQ(Gf256Multiply(b, a), std::stoi(row.at("product")));
    EXPECT_EQ(Gf256Inverse(a), std::stoi(row.at("inverse_of_a")));
  }
}

TEST(ShamirTest, EveryElementTimesItsInverseIsOne) {
  for (int a = 1; a < 256; ++a) {
    EXPECT_EQ(Gf256Multiply(static_cast<uint8_t>(a), Gf256Inverse(static_cast<uint8_t>(a))), 1);
  }
}

TEST(ShamirTest, SharesAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("shamir_gf256.csv")) {
    GivenRandom random(FromHex(row.at("coefficients")));
    std::vector<SecretBytes> shares = ShamirSplit(
        FromHex(row.at("secret")),
        {.threshold = std::stoi(row.at("threshold")), .shares = std::stoi(row.at("num_shares"))},
        random);
    EXPECT_TRUE(random.empty());
    size_t x = std::stoul(row.at("x"));
    EXPECT_EQ(ToHex(shares.at(x - 1).view()), row.at("share")) << "x = " << x;
  }
}

std::vector<ShamirShare> Views(const std::vector<SecretBytes>& shares) {
  std::vector<ShamirShare> views;
  for (size_t i = 0; i < shares.size(); ++i) {
    views.push_back({static_cast<uint8_t>(i + 1), shares[i].view()});
  }
  return views;
}

TEST(ShamirTest, AnyThresholdOfSharesRebuildsTheSecret) {
  AesCtrRandom random = Seeded(1);
  std::vector<uint8_t> secret(32);
  random.Fill(secret);
  std::vector<SecretBytes> shares = ShamirSplit(secret, {.threshold = 3, .shares = 6}, random);
  std::vector<ShamirShare> all = Views(shares);
  std::vector<bool> chosen = {true, true, true, false, false, false};
  do {
    std::vector<ShamirShare> some;
    for (size_t i = 0; i < all.size(); ++i) {
      if (chosen[i]) some.push_back(all[i]);
    }
    auto rebuilt = ShamirRebuild(some);
    ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
    EXPECT_TRUE(rebuilt->Equals(secret));
  } while (std::prev_permutation(chosen.begin(), chosen.end()));
}

TEST(ShamirTest, FewerSharesLookUniform) {
  // Two of a threshold of three, of one and the same secret: over many splits every byte value
  // comes about equally often. 256 cells, 25,600 draws; 340 is far beyond the 0.999 quantile.
  AesCtrRandom random = Seeded(2);
  std::vector<uint8_t> secret(32, 0xab);
  std::vector<int> seen(256);
  const int splits = 400;
  for (int i = 0; i < splits; ++i) {
    std::vector<SecretBytes> shares = ShamirSplit(secret, {.threshold = 3, .shares = 5}, random);
    for (int share : {0, 3}) {
      for (uint8_t byte : shares[static_cast<size_t>(share)].view()) ++seen[byte];
    }
  }
  const double expected = splits * 2 * 32 / 256.0;
  double chi_square = 0;
  for (int count : seen) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 340);
  std::vector<SecretBytes> shares = ShamirSplit(secret, {.threshold = 3, .shares = 5}, random);
  std::vector<ShamirShare> few = Views(shares);
  few.resize(2);
  auto wrong = ShamirRebuild(few);
  ASSERT_TRUE(wrong.ok());
  EXPECT_FALSE(wrong->Equals(secret));
}

TEST(ShamirTest, SharesAddLinearly) {
  AesCtrRandom random = Seeded(3);
  std::vector<uint8_t> a(32), b(32), both(32);
  random.Fill(a);
  random.Fill(b);
  std::transform(a.begin(), a.end(), b.begin(), both.begin(), std::bit_xor<uint8_t>());
  std::vector<SecretBytes> of_a = ShamirSplit(a, {.threshold = 4, .shares = 7}, random);
  std::vector<SecretBytes> of_b = ShamirSplit(b, {.threshold = 4, .shares = 7}, random);
  for (size_t i = 0; i < of_a.size(); ++i) {
    auto sum = of_a[i].mutable_view();
    for (size_t j = 0; j < sum.size(); ++j) sum[j] ^= of_b[i].view()[j];
  }
  std::vector<ShamirShare> some = Views(of_a);
  some.resize(4);
  auto rebuilt = ShamirRebuild(some);
  ASSERT_TRUE(rebuilt.ok());
  EXPECT_TRUE(rebuilt->Equals(both));
}

TEST(ShamirTest, TheLargestNumberOfSharesWorks) {
  AesCtrRandom random = Seeded(4);
  std::vector<uint8_t> secret(33, 0x5c);  // not a whole number of lanes
  std::vector<SecretBytes> shares =
      ShamirSplit(secret, {.threshold = 200, .shares = kMaxShamirShares}, random);
  std::vector<ShamirShare> some = Views(shares);
  some.erase(some.begin(), some.begin() + 54);
  ASSERT_EQ(some.size(), 200u);
  EXPECT_EQ(some.back().x, 254);
  auto rebuilt = ShamirRebuild(some);
  ASSERT_TRUE(rebuilt.ok());
  EXPECT_TRUE(rebuilt->Equals(secret));
}

TEST(ShamirTest, RefusesZeroRepeatedUnequalAndNoShares) {
  std::vector<uint8_t> value(32), shorter(31);
  EXPECT_EQ(ShamirRebuild({}).status().code(), absl::StatusCode::kInvalidArgument);
  for (auto& shares : {std::vector<ShamirShare>{{0, value}, {1, value}},
                       std::vector<ShamirShare>{{1, value}, {1, value}},
                       std::vector<ShamirShare>{{1, value}, {2, shorter}}}) {
    EXPECT_EQ(ShamirRebuild(shares).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dure
