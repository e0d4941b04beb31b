#include "transport/token_limit.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TEST(TokenLimitTest, AnAddressMayBeWrongTenTimes) {
  TokenLimit limit;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(limit.Check("a", kNow).ok()) << i;
    limit.Failed("a", kNow);
  }
  const absl::Status refused = limit.Check("a", kNow);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(std::string(refused.message()).find("in 30 s"), std::string::npos) << refused;
  EXPECT_TRUE(limit.Check("b", kNow).ok()) << "others are not held up";
}

TEST(TokenLimitTest, OneMoreEachHalfMinute) {
  TokenLimit limit;
  for (int i = 0; i < 10; ++i) limit.Failed("a", kNow);
  EXPECT_FALSE(limit.Check("a", kNow + absl::Seconds(29)).ok());
  EXPECT_TRUE(limit.Check("a", kNow + absl::Seconds(30)).ok());
  limit.Failed("a", kNow + absl::Seconds(30));
  EXPECT_FALSE(limit.Check("a", kNow + absl::Seconds(31)).ok());
  EXPECT_TRUE(limit.Check("a", kNow + absl::Minutes(10)).ok());
}

TEST(TokenLimitTest, RightOnesCostNothing) {
  TokenLimit limit;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limit.Check("a", kNow).ok());
  EXPECT_EQ(limit.addresses(), 0u);
}

TEST(TokenLimitTest, AllTogetherHaveALimitToo) {
  TokenLimit limit;
  for (int i = 0; i < 1000; ++i) limit.Failed(absl::StrCat(i), kNow);
  EXPECT_FALSE(limit.Check("another", kNow).ok());
  EXPECT_TRUE(limit.Check("another", kNow + absl::Seconds(1)).ok());
}

TEST(TokenLimitTest, NoMoreAddressesThanTheLimit) {
  TokenLimit limit;
  for (int i = 0; i < 10; ++i) limit.Failed("first", kNow);
  for (size_t i = 0; i < 2 * TokenLimit::kMostAddresses; ++i) {
    limit.Failed(absl::StrCat("a", i), kNow + absl::Seconds(1) * static_cast<int64_t>(i));
  }
  EXPECT_EQ(limit.addresses(), TokenLimit::kMostAddresses);
}

TEST(TokenLimitTest, AClockThatGoesBackLocksNobodyOut) {
  TokenLimit limit;
  for (int i = 0; i < 9; ++i) limit.Failed("a", kNow);
  EXPECT_TRUE(limit.Check("a", kNow - absl::Hours(24)).ok());
  limit.Failed("a", kNow - absl::Hours(24));
  EXPECT_FALSE(limit.Check("a", kNow - absl::Hours(24)).ok());
  EXPECT_TRUE(limit.Check("a", kNow - absl::Hours(24) + absl::Seconds(30)).ok());
}

TEST(TokenLimitTest, AddressesAsTheyAreCounted) {
  EXPECT_EQ(HostForLimit("ipv4:192.0.2.7:51324"), "192.0.2.7");
  EXPECT_EQ(HostForLimit("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:51324"), "20010db800010002");
  EXPECT_EQ(HostForLimit("ipv6:%5B2001:db8:1:2:ffff::%5D:1"), "20010db800010002");
  EXPECT_EQ(HostForLimit("unix:/tmp/x"), "unix:/tmp/x");
  EXPECT_EQ(HostForLimit(""), "");
}

}  // namespace
}  // namespace dure
