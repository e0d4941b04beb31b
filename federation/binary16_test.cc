#include "federation/binary16.h"

#include <bit>
#include <cmath>
#include <limits>

#include "federation/model_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Both columns from another program (the format "e" of Python's struct, which rounds to the
// nearest, of two as near to the even one).
TEST(Binary16Test, RoundsToTheNearestOfTwoAsNearToTheEvenOne) {
  struct Known {
    uint32_t from;
    uint16_t to;
  };
  for (const Known& known :
       {Known{0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3F800000, 0x3C00}, {0xC0000000, 0xC000},
        {0x3DCCCCCD, 0x2E66},      {0x3EAAAAAB, 0x3555}, {0x477FE000, 0x7BFF}, {0x477FEFFF, 0x7BFF},
        {0x38800000, 0x0400},      {0x33800000, 0x0001}, {0x33000000, 0x0000}, {0x33400000, 0x0001},
        {0x33C00000, 0x0002},      {0x34200000, 0x0002}, {0x322BCC77, 0x0000}, {0x3F7FE000, 0x3BFF},
        {0x3F7FF000, 0x3C00},      {0x3F803000, 0x3C02}, {0x3F801000, 0x3C00}, {0x3F801001, 0x3C01},
        {0x387FC000, 0x03FF},      {0xB8800000, 0x8400}, {0xC0490FDB, 0xC248}, {0x44FFF000, 0x6800},
        {0x45000800, 0x6800},      {0x45001000, 0x6800}, {0x45003000, 0x6802}, {0x447A1000, 0x63D0},
        {0x337FFAE5, 0x0001},      {0x387FE000, 0x0400}}) {
    EXPECT_EQ(ToBinary16(std::bit_cast<float>(known.from)), known.to) << std::hex << known.from;
  }
}

// FNV-1a over the results for 36,608 numbers of every size, from the same program.
TEST(Binary16Test, AgreesWithAnotherProgramOnNumbersOfEverySize) {
  uint64_t hash = 0xcbf29ce484222325;
  size_t numbers = 0;
  for (uint32_t k = 0; k < 65536; ++k) {
    const float value = std::bit_cast<float>(k * 65537u + 12345u);
    if (!(std::abs(value) < 65520)) continue;
    ++numbers;
    const uint16_t bits = ToBinary16(value);
    for (const int byte : {bits & 0xFF, bits >> 8}) {
      hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
    }
  }
  EXPECT_EQ(numbers, 36608u);
  EXPECT_EQ(hash, 0x839cdbfa4241f63f);
}

TEST(Binary16Test, EveryNumberComesBackAsItWas) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = FromBinary16(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(ToBinary16(value), bits);
  }
  EXPECT_EQ(FromBinary16(0x3555), 0.333251953125f);
  EXPECT_EQ(FromBinary16(0x0001), 0x1p-24f);
  EXPECT_EQ(FromBinary16(0xFBFF), -kMaxBinary16);
}

TEST(Binary16Test, WhatIsFiniteStaysFiniteAndNothingElseBecomesSo) {
  EXPECT_EQ(ToBinary16(65520), 0x7BFF);
  EXPECT_EQ(ToBinary16(-std::numeric_limits<float>::max()), 0xFBFF);
  EXPECT_EQ(ToBinary16(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_TRUE(std::isnan(FromBinary16(ToBinary16(std::nanf("")))));
  const float numbers[] = {65519, -65520, 1e30f, 0, std::numeric_limits<float>::infinity()};
  EXPECT_EQ(BeyondBinary16(numbers), 2u);
}

TEST(Binary16Test, NumbersTravelInTheWidthThatWasAgreed) {
  const float numbers[] = {1, -0.1f, 70000};
  EXPECT_EQ(NumbersToBytes(numbers, CommunicationSection::FP32), ParamsToBytes(numbers));
  const std::string half = NumbersToBytes(numbers, CommunicationSection::FP16);
  EXPECT_EQ(half, std::string("\x00\x3C\x66\xAE\xFF\x7B", 6));
  EXPECT_THAT(*NumbersFromBytes(half, 3, CommunicationSection::FP16),
              ElementsAre(1, -0.0999755859375f, 65504));
  EXPECT_THAT(*NumbersFromBytes(ParamsToBytes(numbers), 3, CommunicationSection::FP32),
              ElementsAre(1, -0.1f, 70000));
}

TEST(Binary16Test, RefusesAnotherLengthAndWhatIsNotFinite) {
  const auto read = [](const std::string& bytes, uint64_t count) {
    return std::string(
        NumbersFromBytes(bytes, count, CommunicationSection::FP16).status().message());
  };
  EXPECT_THAT(read("abc", 1), HasSubstr("3 bytes of binary16; 1 numbers take 2"));
  EXPECT_THAT(read("", UINT64_MAX / 2 + 1), HasSubstr("0 bytes"));
  EXPECT_THAT(read(std::string("\0\x3C\0\x7C", 4), 2), HasSubstr("parameter 1 of 2 is not"));
  EXPECT_THAT(read(std::string("\0\x7E", 2), 1), HasSubstr("not a finite number"));
}

}  // namespace
}  // namespace dure
