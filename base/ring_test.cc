#include "base/ring.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/support/golden.h"

namespace dure {
namespace {

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::vector<int64_t> RandomValues(uint64_t dim, int bits, std::mt19937_64& random) {
  std::vector<int64_t> values(dim);
  for (int64_t& value : values) {
    value = static_cast<int64_t>(random() << (64 - bits)) >> (64 - bits);
  }
  return values;
}

TEST(RingTest, PacksTheKnownAnswers) {
  for (const testing::Row& row : testing::ReadGolden("packing.csv")) {
    int bits = std::stoi(row.at("bits"));
    std::vector<int64_t> values;
    for (absl::string_view part : absl::StrSplit(row.at("values_signed"), ' ')) {
      int64_t value;
      ASSERT_TRUE(absl::SimpleAtoi(part, &value));
      values.push_back(value);
    }
    std::vector<uint8_t> expected = testing::FromHex(row.at("packed_hex"));
    std::string packed = Pack(values, bits);
    EXPECT_EQ(std::vector<uint8_t>(packed.begin(), packed.end()), expected) << "bits " << bits;
    EXPECT_EQ(Pack(RingFromSigned(values, bits), bits), packed);
    auto unpacked = Unpack(expected, values.size(), bits);
    ASSERT_TRUE(unpacked.ok()) << unpacked.status();
    // One bit holds no positive number: 1 is read back as -1.
    if (bits > 1) {
      EXPECT_EQ(RingToSigned(*unpacked, bits), values) << "bits " << bits;
    }
  }
}

TEST(RingTest, UnpackIsTheInverseOfPackForEveryWidth) {
  std::mt19937_64 random(1);
  for (int bits = 1; bits <= 64; ++bits) {
    for (uint64_t dim : {0, 1, 2, 3, 7, 8, 9, 31, 100, 257}) {
      std::vector<int64_t> values = RandomValues(dim, bits, random);
      std::string packed = Pack(values, bits);
      ASSERT_EQ(packed.size(), PackedBytes(dim, bits));
      auto unpacked = Unpack(Bytes(packed), dim, bits);
      ASSERT_TRUE(unpacked.ok()) << unpacked.status();
      EXPECT_TRUE(RingFits(*unpacked, bits));
      EXPECT_EQ(RingToSigned(*unpacked, bits), values) << bits << " bits, " << dim;
    }
  }
}

TEST(RingTest, SumsWrapModuloTheRing) {
  std::mt19937_64 random(2);
  for (int bits = 1; bits <= 64; ++bits) {
    const uint64_t dim = 50;
    RingVector sum = RingZeros(dim, bits);
    std::vector<uint64_t> expected(dim);
    for (int client = 0; client < 5; ++client) {
      std::vector<int64_t> values = RandomValues(dim, bits, random);
      for (uint64_t j = 0; j < dim; ++j) expected[j] += static_cast<uint64_t>(values[j]);
      ASSERT_TRUE(UnpackAndAdd(Bytes(Pack(values, bits)), bits, &sum).ok());
    }
    std::vector<int64_t> decoded = RingToSigned(sum, bits);
    for (uint64_t j = 0; j < dim; ++j) {
      EXPECT_EQ(decoded[j], static_cast<int64_t>(expected[j] << (64 - bits)) >> (64 - bits));
    }
  }
}

TEST(RingTest, ASumAtExactlyTheBoundDoesNotWrap) {
  const int64_t bound = (int64_t{1} << 26) - 1;
  RingVector sum = RingZeros(2, 27);
  ASSERT_TRUE(
      UnpackAndAdd(Bytes(Pack(std::vector<int64_t>{bound - 1, 1 - bound}, 27)), 27, &sum).ok());
  ASSERT_TRUE(UnpackAndAdd(Bytes(Pack(std::vector<int64_t>{1, -1}, 27)), 27, &sum).ok());
  EXPECT_EQ(RingToSigned(sum, 27), (std::vector<int64_t>{bound, -bound}));
}

TEST(RingTest, RefusesAWrongLength) {
  std::string packed = Pack(std::vector<int64_t>{1, 2, 3}, 20);
  RingVector sum = RingZeros(3, 20);
  for (size_t size : {packed.size() - 1, packed.size() + 1}) {
    std::string other = packed;
    other.resize(size);
    EXPECT_EQ(Unpack(Bytes(other), 3, 20).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(UnpackAndAdd(Bytes(other), 20, &sum).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(RingToSigned(sum, 20), std::vector<int64_t>(3, 0));
}

TEST(RingTest, RefusesPaddingThatIsNotZero) {
  std::string packed = Pack(std::vector<int64_t>{1, 2, 3}, 20);
  packed.back() = static_cast<char>(packed.back() | 0x10);
  EXPECT_EQ(Unpack(Bytes(packed), 3, 20).status().code(), absl::StatusCode::kInvalidArgument);
}

// Element by element is what Unpack does; sums are made many elements at a time.
TEST(RingTest, SumsAreThoseOfTheElementsForEveryWidthAndLength) {
  std::mt19937_64 random(7);
  for (int bits = 1; bits <= 64; ++bits) {
    for (uint64_t dim : {1, 7, 8, 15, 16, 17, 40, 129, 1000, 4099}) {
      const std::string packed = Pack(RandomValues(dim, bits, random), bits);
      const std::vector<int64_t> start = RandomValues(dim, bits, random);
      RingVector sum = RingFromSigned(start, bits);
      ASSERT_TRUE(UnpackAndAdd(Bytes(packed), bits, &sum).ok());
      const std::vector<int64_t> addends = RingToSigned(*Unpack(Bytes(packed), dim, bits), bits);
      std::vector<int64_t> expected(dim);
      for (uint64_t i = 0; i < dim; ++i) {
        expected[i] = static_cast<int64_t>(static_cast<uint64_t>(start[i]) +
                                           static_cast<uint64_t>(addends[i]));
      }
      EXPECT_EQ(RingToSigned(sum, bits), RingToSigned(RingFromSigned(expected, bits), bits))
          << bits << " bits, " << dim;
    }
  }
}

TEST(RingTest, SumsOnThreadsAreTheSame) {
  std::mt19937_64 random(8);
  constexpr uint64_t kDim = 1'100'003;
  for (int bits : {20, 29, 40}) {
    const std::string packed = Pack(RandomValues(kDim, bits, random), bits);
    RingVector one = RingZeros(kDim, bits), many = RingZeros(kDim, bits);
    ASSERT_TRUE(UnpackAndAdd(Bytes(packed), bits, &one).ok());
    ASSERT_TRUE(UnpackAndAdd(Bytes(packed), bits, &many, /*threads=*/4).ok());
    EXPECT_EQ(one, many) << bits;
  }
}

TEST(RingTest, VectorsAreAddedWordByWord) {
  for (int bits : {20, 40}) {
    RingVector sum = RingFromSigned(std::vector<int64_t>{1, -2, 3}, bits);
    AddRing(RingFromSigned(std::vector<int64_t>{-5, -6, 7}, bits), &sum);
    EXPECT_EQ(RingToSigned(sum, bits), (std::vector<int64_t>{-4, -8, 10}));
    EXPECT_DEATH(AddRing(RingZeros(2, bits), &sum), "");
    EXPECT_DEATH(AddRing(RingZeros(3, 60 - bits), &sum), "");
  }
}

TEST(RingTest, APartIsReadAsSignedNumbers) {
  const std::vector<int64_t> values = {5, -3, 0, 7, -1};
  std::vector<int64_t> part(3);
  RingToSigned(RingFromSigned(values, 20), 20, 1, part);
  EXPECT_EQ(part, (std::vector<int64_t>{-3, 0, 7}));
  EXPECT_DEATH(RingToSigned(RingFromSigned(values, 20), 20, 3, part), "");
}

}  // namespace
}  // namespace dure
