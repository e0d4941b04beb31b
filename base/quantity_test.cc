#include "base/quantity.h"

#include <limits>

#include "gtest/gtest.h"

namespace dure {
namespace {

TEST(QuantityTest, BytesHaveAUnit) {
  EXPECT_EQ(BytesInWords(0), "0 B");
  EXPECT_EQ(BytesInWords(1023), "1023 B");
  EXPECT_EQ(BytesInWords(1536), "1.5 KB");
  EXPECT_EQ(BytesInWords(uint64_t{3} << 30), "3.0 GB");
  EXPECT_EQ(BytesInWords(uint64_t{2048} << 40), "2048.0 TB");
}

TEST(QuantityTest, SecondsAreClockTime) {
  EXPECT_EQ(SecondsInWords(0.4), "0:00");
  EXPECT_EQ(SecondsInWords(75.2), "1:15");
  EXPECT_EQ(SecondsInWords(3599.6), "1:00:00");
  EXPECT_EQ(SecondsInWords(3661), "1:01:01");
  EXPECT_EQ(SecondsInWords(-1), "-");
  EXPECT_EQ(SecondsInWords(std::numeric_limits<double>::quiet_NaN()), "-");
  EXPECT_EQ(SecondsInWords(std::numeric_limits<double>::infinity()), "-");
  EXPECT_EQ(SecondsInWords(1e300), "-");
}

}  // namespace
}  // namespace dure
