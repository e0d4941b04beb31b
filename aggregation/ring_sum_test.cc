#include "aggregation/ring_sum.h"

#include <gtest/gtest.h>

#include <string>

namespace dure {
namespace {

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(RingSumTest, AddsInputsModuloTheRing) {
  RingSum sum(20, 3);
  ASSERT_TRUE(sum.AddPacked(Bytes(Pack(std::vector<int64_t>{5, -7, 1 << 18}, 20))).ok());
  ASSERT_TRUE(sum.AddPacked(Bytes(Pack(std::vector<int64_t>{-6, -8, 1 << 18}, 20))).ok());
  EXPECT_EQ(sum.count(), 2u);
  EXPECT_EQ(RingToSigned(sum.sum(), 20), (std::vector<int64_t>{-1, -15, -(1 << 19)}));
}

TEST(RingSumTest, DoesNotDependOnTheOrderOfArrival) {
  std::string a = Pack(std::vector<int64_t>{1, -2}, 40);
  std::string b = Pack(std::vector<int64_t>{int64_t{1} << 38, 9}, 40);
  RingSum one(40, 2), other(40, 2);
  ASSERT_TRUE(one.AddPacked(Bytes(a)).ok() && one.AddPacked(Bytes(b)).ok());
  ASSERT_TRUE(other.AddPacked(Bytes(b)).ok() && other.AddPacked(Bytes(a)).ok());
  EXPECT_EQ(one.sum(), other.sum());
}

TEST(RingSumTest, AnInputOfAnotherSizeLeavesTheSumAsItWas) {
  RingSum sum(20, 3);
  ASSERT_TRUE(sum.AddPacked(Bytes(Pack(std::vector<int64_t>{1, 2, 3}, 20))).ok());
  EXPECT_EQ(sum.AddPacked(Bytes(Pack(std::vector<int64_t>{1, 2}, 20))).code(),
            absl::StatusCode::kInvalidArgument);
  std::string padded = Pack(std::vector<int64_t>{1, 2, 3}, 20);
  padded.back() = static_cast<char>(padded.back() | 0x80);
  EXPECT_EQ(sum.AddPacked(Bytes(padded)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(sum.count(), 1u);
  EXPECT_EQ(RingToSigned(sum.sum(), 20), (std::vector<int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace dure
