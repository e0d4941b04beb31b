#include "learner/data/column_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace dure {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSchema[] =
    "dure schema 1\n"
    "column \"age\" numeric range 0 100 missing mean\n"
    "column \"id\" ignored\n"
    "column \"ward\" categorical \"n\" \"s\" missing constant 0\n"
    "label \"y\" classes \"0\" \"1\"\n";
constexpr char kTable[] =
    "id,age,ward,y\n"
    "1,50,n,1\n"
    "2,25,s,0\n"
    "3,?,s,1\n"
    "4,150,,0\n";  // beyond the range: counts as 100

ColumnSums Sums(const std::string& schema = kSchema, uint32_t bins = 4) {
  auto read = SchemaFromText(schema, "s");
  EXPECT_TRUE(read.ok()) << read.status();
  auto sums = ColumnSums::Create(*read, bins);
  EXPECT_TRUE(sums.ok()) << sums.status();
  return *std::move(sums);
}

Table Read(const Schema& schema, const std::string& text) {
  CsvReader reader(text, text.size(), "t", ',');
  auto table = ReadTable(reader, schema, 4);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

std::vector<double> AsDoubles(const std::vector<int64_t>& sums, int grid_log2) {
  std::vector<double> out;
  for (const int64_t sum : sums) out.push_back(std::ldexp(static_cast<double>(sum), -grid_log2));
  return out;
}

TEST(ColumnSumsTest, EveryRecordAddsWhatIsSaid) {
  const ColumnSums sums = Sums();
  EXPECT_EQ(sums.size(), 1u + (3 + 4) + 2 + 2);
  EXPECT_NEAR(sums.norm(), std::sqrt(1 + 4 + 1 + 1), 1e-9);
  const std::vector<double> added = AsDoubles(sums.Add(Read(sums.schema(), kTable), 20), 20);
  // Records; age: present, 0.5 + 0.25 + 1, 0.25 + 0.0625 + 1, bars of a quarter each, the last
  // with its end; wards; labels.
  EXPECT_THAT(added, ElementsAre(4, 3, 1.75, 1.3125, 0, 1, 1, 1, 1, 2, 2, 2));
}

TEST(ColumnSumsTest, NoRecordAddsMoreThanTheNorm) {
  const ColumnSums sums = Sums();
  for (const char* record : {"1,100,n,1\n", "1,0,s,0\n", "1,99.9,,1\n", "1,?,?,0\n"}) {
    const auto added =
        AsDoubles(sums.Add(Read(sums.schema(), std::string("id,age,ward,y\n") + record), 24), 24);
    double square = 0;
    for (const double number : added) {
      EXPECT_GE(number, 0);
      EXPECT_LE(number, 1);
      square += number * number;
    }
    EXPECT_LE(std::sqrt(square), sums.norm());
  }
}

TEST(ColumnSumsTest, SumsSayWhatTheColumnsAre) {
  const ColumnSums sums = Sums();
  const auto statistics =
      sums.Read(AsDoubles(sums.Add(Read(sums.schema(), kTable), 20), 20), /*noise=*/0);
  EXPECT_EQ(statistics.records, 4);
  ASSERT_EQ(statistics.columns.size(), 2u);
  const ColumnStatistics& age = statistics.columns[0];
  EXPECT_EQ(age.name, "age");
  EXPECT_EQ(age.present, 3);
  EXPECT_EQ(age.missing_rate, 0.25);
  EXPECT_NEAR(age.mean, (50 + 25 + 100) / 3.0, 1e-9);
  // 50, 25, 100: deviations from 58.33 are -8.33, -33.33, 41.67.
  EXPECT_NEAR(age.deviation, std::sqrt((69.4444 + 1111.1111 + 1736.1111) / 3), 1e-3);
  EXPECT_EQ(age.mean_error, 0);
  EXPECT_THAT(age.bars, ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(statistics.columns[1].counts, ElementsAre(1, 2));
  EXPECT_EQ(statistics.columns[1].missing_rate, 0.25);
  EXPECT_THAT(statistics.label.counts, ElementsAre(2, 2));
  const Standardisation standards = ColumnSums::StandardisationOf(statistics);
  ASSERT_EQ(standards.size(), 1u);
  const Schema standardised = StandardisedBy(sums.schema(), standards);
  EXPECT_TRUE(CheckSchema(standardised).ok());
  EXPECT_EQ(*standardised.columns[0].mean, age.mean);
  // The missing age becomes the mean, which is 0.
  auto data = ToDataset(Read(standardised, kTable), "t");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_NEAR(data->numbers[0], (50 - age.mean) / age.deviation, 1e-5);
  EXPECT_NEAR(data->numbers[6], 0, 1e-6);
}

TEST(ColumnSumsTest, SumsOfPartsAddUpToThoseOfTheWhole) {
  const ColumnSums sums = Sums();
  const auto whole = sums.Add(Read(sums.schema(), kTable), 24);
  auto parts = sums.Add(Read(sums.schema(), "id,age,ward,y\n1,50,n,1\n2,25,s,0\n"), 24);
  const auto rest = sums.Add(Read(sums.schema(), "id,age,ward,y\n3,?,s,1\n4,150,,0\n"), 24);
  for (size_t i = 0; i < parts.size(); ++i) parts[i] += rest[i];
  EXPECT_EQ(parts, whole);
}

TEST(ColumnSumsTest, NoiseLeavesStatisticsThatCanBe) {
  const ColumnSums sums = Sums();
  // A present count below nothing, bars and categories below nothing.
  const std::vector<double> noised = {10, -3, 4, -2, -1, 2, 3, 4, -5, 20, -1, 30};
  const auto statistics = sums.Read(noised, /*noise=*/5);
  const ColumnStatistics& age = statistics.columns[0];
  EXPECT_EQ(age.present, 0);
  EXPECT_EQ(age.missing_rate, 1);
  EXPECT_EQ(age.mean, 50);
  EXPECT_NEAR(age.deviation, 100 / std::sqrt(12), 1e-9);
  EXPECT_THAT(age.bars, ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(statistics.columns[1].counts, ElementsAre(0, 20));
  EXPECT_GE(statistics.columns[1].missing_rate, 0);
  // With many records the noise says how far the mean may be off: 5 sqrt(1 + 0.25) / 1000 of 100.
  std::vector<double> many = {1000, 1000, 500, 260, 250, 250, 250, 250, 500, 500, 500, 500};
  const auto known = sums.Read(many, 5);
  EXPECT_NEAR(known.columns[0].mean_error, 100 * 5 * std::sqrt(1.25) / 1000, 1e-9);
  EXPECT_NEAR(known.columns[0].deviation, 10, 0.1);
}

TEST(ColumnSumsTest, AColumnThatNeverChangesHasALeastDeviation) {
  const ColumnSums sums = Sums();
  const auto statistics = sums.Read(
      AsDoubles(sums.Add(Read(sums.schema(), "id,age,ward,y\n1,50,n,1\n2,50,n,1\n"), 24), 24), 0);
  EXPECT_EQ(statistics.columns[0].mean, 50);
  EXPECT_EQ(statistics.columns[0].deviation, 100.0 / 1024);
}

TEST(ColumnSumsTest, ANumericColumnNeedsARange) {
  auto schema = SchemaFromText(
      "dure schema 1\ncolumn \"bmi\" numeric\nlabel \"y\" classes \"0\" \"1\"\n", "s");
  const auto sums = ColumnSums::Create(*schema, 10);
  EXPECT_EQ(sums.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(sums.status().message()),
      HasSubstr("column \"bmi\" has no range, and statistics of numbers need public bounds"));
  EXPECT_THAT(std::string(sums.status().message()), HasSubstr("--range bmi:LOW:HIGH"));
}

TEST(ColumnSumsTest, AStandardisationIsSixteenBytesAColumn) {
  const ColumnSums sums = Sums();
  const Standardisation standards = {{.mean = 41.5, .deviation = 0.25}};
  const std::string bytes = StandardisationToBytes(standards);
  EXPECT_EQ(bytes.size(), 16u);
  EXPECT_EQ(static_cast<uint8_t>(bytes[6]), 0x44);  // 41.5 is 0x4044c00000000000
  EXPECT_EQ(static_cast<uint8_t>(bytes[7]), 0x40);
  const auto read = StandardisationFromBytes(bytes, sums.schema());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, standards);
  const auto refused = [&](Standard standard) {
    const auto faulty = StandardisationFromBytes(StandardisationToBytes({standard}), sums.schema());
    return faulty.status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused({.mean = 101, .deviation = 1}));
  EXPECT_TRUE(refused({.mean = 50, .deviation = 0}));
  EXPECT_TRUE(refused({.mean = 50, .deviation = 101}));
  EXPECT_TRUE(refused({.mean = NAN, .deviation = 1}));
  EXPECT_TRUE(refused({.mean = 1, .deviation = NAN}));
  EXPECT_FALSE(StandardisationFromBytes(bytes.substr(1), sums.schema()).ok());
  EXPECT_FALSE(StandardisationFromBytes(bytes + bytes, sums.schema()).ok());
  EXPECT_FALSE(StandardisationFromBytes("", sums.schema()).ok());
}

TEST(ColumnSumsTest, RangesStandInUntilSomethingIsKnown) {
  const ColumnSums sums = Sums();
  EXPECT_THAT(StandardisationOfRanges(sums.schema()),
              ElementsAre(Standard{.mean = 50, .deviation = 100}));
}

TEST(ColumnSumsTest, ALabelThatIsANumberIsAColumnToo) {
  const ColumnSums sums =
      Sums("dure schema 1\ncolumn \"a\" numeric range 0 1\nlabel \"y\" numeric range -1 1\n", 2);
  EXPECT_EQ(sums.size(), 1u + 5 + 5);
  const auto statistics =
      sums.Read(AsDoubles(sums.Add(Read(sums.schema(), "a,y\n0.5,-1\n0.25,0.5\n"), 30), 30), 0);
  EXPECT_THAT(statistics.label.mean, DoubleNear(-0.25, 1e-6));
  EXPECT_THAT(statistics.label.bars, ElementsAre(1, 1));
}

}  // namespace
}  // namespace dure
