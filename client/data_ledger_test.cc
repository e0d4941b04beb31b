#include "client/data_ledger.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "privacy/dp/record_accountant.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

Digest Filled(uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

ChargedCost Cost(uint64_t sigma2 = 90'000'000) {
  return {.cost = {.dim = 26010,
                   .parties = 6,
                   .sigma2 = sigma2,
                   .norm_bound_sq = 271'000'000,
                   .sampling_rate = 0.01,
                   .uses = 1},
          .delta = std::ldexp(1.0, -40)};
}

DataCharge Charge(uint32_t attempt) {
  return {.federation = Filled(1),
          .name = "fashion",
          .member = Filled(2),
          .attempt = {.round = RoundNumber(attempt),
                      .attempt = AttemptNumber(attempt),
                      .session_id = Filled(3),
                      .t1 = Filled(4)},
          .cost = Cost()};
}

std::string_view WithoutNewline(const std::string& line) {
  return std::string_view(line).substr(0, line.size() - 1);
}

TEST(DataLedgerTest, EntriesAreReadBackAsWritten) {
  ChargedCost none{.unit = PrivacySection::NONE};
  DataCharge unprotected = Charge(3);
  unprotected.cost = none;
  for (const DataEntry& entry :
       {DataEntry(Charge(12)), DataEntry(unprotected), DataEntry(FormerData{Filled(9)})}) {
    const std::string line = EncodeDataLine(5, Filled(7), entry);
    auto read = DecodeDataLine(WithoutNewline(line), Filled(7));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->counter, 5u);
    EXPECT_EQ(EncodeDataLine(5, Filled(7), read->entry), line);
    if (const auto* charge = std::get_if<DataCharge>(&entry)) {
      EXPECT_EQ(std::get<DataCharge>(read->entry).cost, charge->cost);
    }
  }
}

TEST(DataLedgerTest, TheFormatIsTheDocumentedOne) {
  const std::string identity(64, '7'), one(64, '1'), two(64, '2');
  const std::string body = "1 former " + std::string(64, '9') + " ";
  EXPECT_EQ(EncodeDataLine(1, Filled(0x77), FormerData{Filled(0x99)}),
            body + ToHex(Sha256(AsBytes(ToString(Filled(0x77)) + body))) + "\n");
  EXPECT_THAT(EncodeDataLine(2, Filled(7), Charge(12)),
              HasSubstr(" record 26010 6 90000000 271000000 0x1.47ae147ae147bp-7 1 0x1p-40 "));
}

TEST(DataLedgerTest, EveryChangedCharacterAndALineBeforeAreFound) {
  const std::string line(WithoutNewline(EncodeDataLine(1, Filled(7), Charge(12))));
  for (size_t i = 0; i < line.size(); ++i) {
    std::string changed = line;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(DecodeDataLine(changed, Filled(7)).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  EXPECT_FALSE(DecodeDataLine(line, Filled(8)).ok());
  EXPECT_FALSE(DecodeDataLine("", Filled(7)).ok());
  EXPECT_FALSE(DecodeDataLine(std::string(kMaxDataLineBytes + 1, 'x'), Filled(7)).ok());
}

TEST(DataLedgerTest, CostsThatCannotBeAreRefusedWhateverTheirCheck) {
  const std::string good(WithoutNewline(EncodeDataLine(1, Filled(7), Charge(12))));
  const std::string body = good.substr(0, good.size() - 64);
  auto read = [](std::string text) {
    text += ToHex(Sha256(AsBytes(ToString(Filled(7)) + text)));
    return DecodeDataLine(text, Filled(7)).ok();
  };
  ASSERT_TRUE(read(body));
  for (auto [from, to] : {std::pair{" 26010 ", " 0 "},
                          {" 26010 ", " 026010 "},
                          {" 6 ", " 0 "},
                          {" 0x1.47ae147ae147bp-7 ", " 0x1p+1 "},
                          {" 0x1.47ae147ae147bp-7 ", " nan "},
                          {" 0x1.47ae147ae147bp-7 ", " -0x1p-2 "},
                          {" 0x1.47ae147ae147bp-7 ", " 0.01 "},
                          {" 0x1p-40 ", " inf "},
                          {" 0x1p-40 ", " 0x1p+0 "},
                          {" 0x1p-40 ", " -0x1p-40 "},
                          {" record ", " recrd "},
                          {" fashion ", " "},
                          {"1 charge", "-1 charge"}}) {
    std::string changed = body;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, std::string(from).size(), to);
    EXPECT_FALSE(read(changed)) << changed;
  }
}

TEST(TallyTest, EqualChargesCostWhatTheAccountantSays) {
  Tally tally;
  for (int i = 0; i < 300; ++i) tally.Add(Cost());
  EXPECT_EQ(tally.charges(PrivacySection::RECORD), 300u);
  const double expected = dp::CurveOf(Cost().cost, dp::SubsampledOrders())
                              .Epsilon(300, 1e-5 - 300 * std::ldexp(1.0, -40))
                              .epsilon;
  EXPECT_NEAR(tally.Epsilon(PrivacySection::RECORD, 1e-5), expected, 1e-9 * expected);
  EXPECT_TRUE(tally.IsAll(Cost()));
  EXPECT_FALSE(tally.IsAll(Cost(80'000'000)));
}

TEST(TallyTest, ChargesOfDifferentCostsAddUp) {
  Tally both, first;
  first.Add(Cost(), 100);
  both.Add(Cost(), 100);
  both.Add(Cost(40'000'000), 50);
  EXPECT_GT(both.Epsilon(PrivacySection::RECORD, 1e-5),
            first.Epsilon(PrivacySection::RECORD, 1e-5));
  EXPECT_EQ(first.EpsilonWith(Cost(40'000'000), 1e-5), [&] {
    Tally next = first;
    next.Add(Cost(40'000'000));
    return next.Epsilon(PrivacySection::RECORD, 1e-5);
  }());
  EXPECT_EQ(first.charges(PrivacySection::RECORD), 100u);
}

TEST(TallyTest, UnitsAreCountedApart) {
  Tally tally;
  EXPECT_EQ(tally.Epsilon(PrivacySection::RECORD, 1e-5), 0);
  tally.Add(Cost(), 10);
  ChargedCost client = Cost();
  client.unit = PrivacySection::CLIENT;
  client.cost.sampling_rate = 1;
  tally.Add(client, 2);
  tally.Add({.unit = PrivacySection::NONE}, 3);
  EXPECT_GT(tally.Epsilon(PrivacySection::CLIENT, 1e-5), 0);
  EXPECT_LT(tally.Epsilon(PrivacySection::RECORD, 1e-5),
            tally.Epsilon(PrivacySection::CLIENT, 1e-5));
  EXPECT_EQ(tally.charges(PrivacySection::NONE), 3u);
  EXPECT_EQ(tally.Epsilon(PrivacySection::NONE, 1e-5), 0);
}

TEST(TallyTest, ADeltaThatIsUsedUpAndNoiseThatIsMissingAreInfinite) {
  Tally tally;
  ChargedCost cost = Cost();
  cost.delta = 1e-6;
  tally.Add(cost, 9);
  EXPECT_TRUE(std::isfinite(tally.Epsilon(PrivacySection::RECORD, 1e-5)));
  EXPECT_TRUE(std::isinf(tally.EpsilonWith(cost, 9e-6)));
  EXPECT_TRUE(std::isinf(tally.EpsilonWith(Cost(0), 1e-5)));
}

}  // namespace
}  // namespace dure
