// Ways to split for simulations: many clients, quantities, columns, files, caps; and statistics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "learner/data/idx.h"
#include "learner/data/partition.h"
#include "learner/data/partition_statistics.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> Labels(size_t count, size_t classes) {
  std::vector<float> labels(count);
  for (size_t i = 0; i < count; ++i) labels[i] = static_cast<float>(i % classes);
  return labels;
}

std::vector<uint32_t> Of(const Partition& partition, uint32_t client) {
  return {partition.Of(client).begin(), partition.Of(client).end()};
}

// Everybody has a record, and every record is somebody's.
void ExpectWhole(const Partition& partition, size_t records) {
  std::vector<int> seen(records);
  for (uint32_t client = 0; client < partition.clients(); ++client) {
    const auto of = partition.Of(client);
    ASSERT_FALSE(of.empty()) << client;
    EXPECT_TRUE(std::is_sorted(of.begin(), of.end()));
    for (const uint32_t record : of) ++seen[record];
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<long>(records));
}

std::string ErrorOf(const absl::StatusOr<Partition>& partition) {
  EXPECT_EQ(partition.status().code(), absl::StatusCode::kInvalidArgument) << partition.status();
  return std::string(partition.status().message());
}

TEST(PartitionWaysTest, AHundredThousandClientsInAFewMegabytes) {
  const std::vector<float> labels = Labels(1'000'000, 10);
  for (const char* how : {"iid", "contiguous", "dirichlet:0.1", "shards:2", "quantity:0.5"}) {
    const auto partition = SplitRecords({.labels = labels,
                                         .clients = 100'000,
                                         .spec = ParsePartition(how).value(),
                                         .seed = 3,
                                         .most_clients = kMaxSimulatedClients});
    ASSERT_TRUE(partition.ok()) << how << partition.status();
    EXPECT_EQ(partition->clients(), 100'000u);
    EXPECT_LE(partition->bytes(), 5u << 20);
    ExpectWhole(*partition, labels.size());
  }
}

TEST(PartitionWaysTest, QuantitiesDifferByDirichletAndNobodyHasNone) {
  const std::vector<float> labels = Labels(10'000, 10);
  const auto sizes = [&](double alpha) {
    const auto partition = SplitRecords(
        {.labels = labels, .clients = 100, .spec = QuantityPartition{alpha}, .seed = 5});
    EXPECT_TRUE(partition.ok()) << partition.status();
    ExpectWhole(*partition, labels.size());
    return StatisticsOf(*partition, labels, 10).sizes;
  };
  // Var of a share is (1/n)(1 - 1/n) / (n alpha + 1): a standard deviation of about a hundredth of
  // the mean of 99 for alpha = 1e6 / 100, and of nearly ten times the mean for alpha = 0.01.
  EXPECT_GT(sizes(1e4).least, 90u);
  EXPECT_LT(sizes(1e4).most, 110u);
  EXPECT_EQ(sizes(0.01).least, 1u);
  EXPECT_GT(sizes(0.01).most, 1000u);
  const auto all = SplitRecords(
      {.labels = Labels(50, 2), .clients = 50, .spec = QuantityPartition{0.1}, .seed = 5});
  EXPECT_EQ(StatisticsOf(*all, Labels(50, 2), 2).sizes.most, 1u);
}

TEST(PartitionWaysTest, ACapKeepsRecordsAtRandomAndMoreOfThemIfItIsHigher) {
  const std::vector<float> labels = Labels(1000, 10);
  SplitRequest request{.labels = labels, .clients = 10, .spec = DirichletPartition{0.3}, .seed = 2};
  const Partition all = SplitRecords(request).value();
  request.most_records = 20;
  const Partition few = SplitRecords(request).value();
  request.most_records = 40;
  const Partition more = SplitRecords(request).value();
  for (uint32_t i = 0; i < 10; ++i) {
    EXPECT_EQ(few.Of(i).size(), std::min<size_t>(20, all.Of(i).size()));
    EXPECT_EQ(more.Of(i).size(), std::min<size_t>(40, all.Of(i).size()));
    EXPECT_TRUE(std::is_sorted(few.Of(i).begin(), few.Of(i).end()));
    const auto of_all = all.Of(i), of_few = few.Of(i), of_more = more.Of(i);
    EXPECT_TRUE(std::includes(of_more.begin(), of_more.end(), of_few.begin(), of_few.end()));
    EXPECT_TRUE(std::includes(of_all.begin(), of_all.end(), of_more.begin(), of_more.end()));
  }
  EXPECT_EQ(few.records(), few.Of(9).data() + few.Of(9).size() - few.Of(0).data());
  request.most_records = 1'000'000;
  EXPECT_EQ(Of(SplitRecords(request).value(), 3), Of(all, 3));
}

TEST(PartitionWaysTest, TheSeedAloneDecides) {
  const std::vector<float> labels = Labels(500, 5);
  for (const char* how : {"iid", "dirichlet:0.1", "shards:2", "quantity:0.5"}) {
    SplitRequest request{.labels = labels,
                         .clients = 20,
                         .spec = ParsePartition(how).value(),
                         .seed = 7,
                         .most_records = 15};
    const auto once = Of(SplitRecords(request).value(), 4);
    EXPECT_EQ(Of(SplitRecords(request).value(), 4), once) << how;
    request.seed = 8;
    EXPECT_NE(Of(SplitRecords(request).value(), 4), once) << how;
  }
}

TEST(PartitionWaysTest, MoreClientsThanRecordsAreRefused) {
  SplitRequest request{.labels = {}, .clients = 3, .spec = IidPartition{}};
  EXPECT_THAT(ErrorOf(SplitRecords(request)), HasSubstr("there is no record to split"));
  const std::vector<float> labels = Labels(5, 2);
  request.labels = labels;
  request.clients = 6;
  for (const char* how : {"iid", "contiguous", "dirichlet:0.1", "quantity:0.5"}) {
    request.spec = ParsePartition(how).value();
    EXPECT_EQ(ErrorOf(SplitRecords(request)),
              "5 records are too few for 6 clients: each needs at least one; split among fewer "
              "clients, or take more records");
  }
  request.clients = 2'000'000;
  request.most_clients = kMaxSimulatedClients;
  EXPECT_THAT(ErrorOf(SplitRecords(request)), HasSubstr("it must be 1 to 1000000"));
}

TEST(PartitionWaysTest, AFileSaysWhoseEachRecordIs) {
  for (const char* text : {"1\n0\n1\n2\n", "1\r\n0\r\n1\r\n2", " 1\n0 \n1\n2\n",
                           "id,client\n9,1\n8,0\n7,1\n6,2\n", "\"client\"\n\"1\"\n0\n1\n2\n"}) {
    const auto owners = OwnersFromText(text, "f.csv", 4);
    ASSERT_TRUE(owners.ok()) << owners.status();
    EXPECT_THAT(*owners, ElementsAre(1, 0, 1, 2));
  }
}

TEST(PartitionWaysTest, WhatIsWrongWithAFileIsSaidWithItsLine) {
  const auto error = [](std::string_view text, uint64_t records = 3) {
    const auto owners = OwnersFromText(text, "f.csv", records);
    EXPECT_EQ(owners.status().code(), absl::StatusCode::kInvalidArgument) << owners.status();
    return std::string(owners.status().message());
  };
  EXPECT_EQ(error(""),
            "f.csv says whose 0 records are, and there are 3: it must have a line for each");
  EXPECT_EQ(error("0\n1\n"),
            "f.csv says whose 2 records are, and there are 3: it must have a line for each");
  EXPECT_EQ(error("0\n1\n2\n3\n"), "f.csv:4: there are only 3 records, and this is one more");
  EXPECT_EQ(error("0\nx\n2\n"), "f.csv:2: \"x\" is no number of a client: it must be 0 to 999999");
  EXPECT_THAT(error("0\n-1\n2\n"), HasSubstr("f.csv:2: \"-1\" is no number"));
  EXPECT_THAT(error("0\n1000000\n2\n"), HasSubstr("f.csv:2: \"1000000\" is no number"));
  EXPECT_THAT(error("0\n\n2\n"), HasSubstr("f.csv:3: the line before this one is empty"));
  EXPECT_THAT(error("0\n1,2\n2\n"), HasSubstr("f.csv:2: it must be one number"));
  EXPECT_THAT(error("id,clients\n1,0\n"), HasSubstr("did you mean \"clients\"?"));
  EXPECT_THAT(error("id,client\n1,0\n2\n"), HasSubstr("f.csv:3"));
}

TEST(PartitionWaysTest, AFileLeavesNobodyWithoutARecord) {
  const std::vector<float> labels = Labels(3, 2);
  const std::vector<uint32_t> owners = {0, 2, 2};
  SplitRequest request{.labels = labels, .spec = FilePartition{"f.csv"}, .owners = owners};
  EXPECT_EQ(ErrorOf(SplitRecords(request)),
            "f.csv gives no record to client 1 of 3: number the clients from 0 without a gap");
  request.clients = 2;
  EXPECT_THAT(ErrorOf(SplitRecords(request)), HasSubstr("f.csv gives records to client 2, and 2"));
  request.clients = 4;
  EXPECT_THAT(ErrorOf(SplitRecords(request)), HasSubstr("gives no record to client 1 of 4"));
  const std::vector<uint32_t> good = {0, 1, 1};
  request.owners = good;
  request.clients = 0;
  const auto partition = SplitRecords(request);
  ASSERT_TRUE(partition.ok()) << partition.status();
  EXPECT_THAT(Of(*partition, 1), ElementsAre(1, 2));
  const std::vector<uint32_t> many = {0, 1, 20'000};
  request.owners = many;
  EXPECT_THAT(ErrorOf(SplitRecords(request)), HasSubstr("f.csv has 20001 clients, limit 10000"));
}

class PartitionDatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "dure_partition_ways_test";
    ASSERT_TRUE(MakeFolder(root_).ok());
    ASSERT_TRUE(WriteFileAtomic(root_ + "/records.csv",
                                "id,ward,outcome\n1,north,no\n2,east,yes\n3,east,no\n4,south,yes\n")
                    .ok());
    ASSERT_TRUE(WriteFileAtomic(root_ + "/records.schema",
                                "dure schema 1\ncolumn \"id\" numeric\ncolumn \"ward\" ignored\n"
                                "label \"outcome\" classes \"no\" \"yes\"\n")
                    .ok());
  }
  void TearDown() override {
    for (const char* name : {"/records.csv", "/records.schema", "/owners"}) {
      std::remove((root_ + name).c_str());
    }
    std::remove(root_.c_str());
  }
  absl::StatusOr<Partition> Split(std::string_view how, uint32_t clients, uint64_t classes = 2) {
    const auto files = OpenDataFolder(root_);
    const auto data = ReadDataset(*files);
    return PartitionDataset(*files, *data, classes,
                            {.clients = clients, .spec = ParsePartition(how).value(), .seed = 1});
  }
  std::string root_;
};

TEST_F(PartitionDatasetTest, ByAColumnThatIsNoFeature) {
  const auto partition = Split("by:ward", 0);
  ASSERT_TRUE(partition.ok()) << partition.status();
  ASSERT_EQ(partition->clients(), 3u);
  EXPECT_THAT(Of(*partition, 0), ElementsAre(1, 2));
  EXPECT_THAT(Of(*partition, 1), ElementsAre(0));
  EXPECT_THAT(Of(*partition, 2), ElementsAre(3));
  EXPECT_THAT(Of(Split("by:ward", 2).value(), 0), ElementsAre(1, 2, 3));
  EXPECT_THAT(ErrorOf(Split("by:wards", 2)), HasSubstr("did you mean \"ward\"?"));
  EXPECT_THAT(ErrorOf(Split("by:ward", 4)), HasSubstr("the column has 3 values, for 4 clients"));
}

TEST_F(PartitionDatasetTest, ByAFileAndByClassesOnlyWhereThereAreSome) {
  ASSERT_TRUE(WriteFileAtomic(root_ + "/owners", "1\n1\n0\n0\n").ok());
  EXPECT_THAT(Of(Split("file:" + root_ + "/owners", 0).value(), 0), ElementsAre(2, 3));
  EXPECT_EQ(Split("file:" + root_ + "/nothing", 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(Split("file:" + root_, 0).ok());
  EXPECT_THAT(ErrorOf(Split("dirichlet:1", 2, 0)), HasSubstr("its labels are no classes"));
  EXPECT_TRUE(Split("quantity:1", 2, 0).ok());
}

// By hand: client 0 has labels 0 0 1, client 1 has 1 1 2 of six records with shares 2, 3, 1 of 6.
TEST(PartitionStatisticsTest, AsByHand) {
  const std::vector<float> labels = {0, 0, 1, 1, 1, 2, 9};
  Partition partition(std::vector<uint32_t>{0, 0, 0, 1, 1, 1, 2}, 3);
  PartitionStatistics all = StatisticsOf(partition, labels, 10);
  EXPECT_EQ(all.sizes.least, 1u);
  EXPECT_EQ(all.sizes.median, 3);
  EXPECT_EQ(all.sizes.most, 3u);
  EXPECT_EQ(all.labels.least, 1u);
  EXPECT_EQ(all.labels.median, 2);
  EXPECT_EQ(all.labels.most, 2u);
  EXPECT_DOUBLE_EQ(all.shares[1], 3.0 / 7);
  // Shares of all 2/7 3/7 1/7 .. 1/7: distances 2/3 - 2/7, 2/3 - 3/7 + 1/3 - 1/7, 1 - 1/7.
  EXPECT_NEAR(all.label_skew, (8.0 / 21 + (5.0 / 21 + 4.0 / 21) + 6.0 / 7) / 3, 1e-12);
  const PartitionStatistics numbers = StatisticsOf(partition, labels, 0);
  EXPECT_TRUE(numbers.shares.empty());
  EXPECT_EQ(numbers.sizes.most, 3u);
}

TEST(PartitionStatisticsTest, HistogramsCoverAllSizes) {
  std::vector<uint32_t> owners;
  for (uint32_t client = 0; client < 10; ++client) owners.insert(owners.end(), client + 3, client);
  const Partition partition(owners, 10);
  const auto bars = SizeHistogram(partition, 4);
  ASSERT_EQ(bars.size(), 4u);
  EXPECT_EQ(bars[0].from, 3u);
  EXPECT_EQ(bars[0].to, 5u);
  EXPECT_EQ(bars[0].clients, 3u);
  EXPECT_EQ(bars[3].from, 12u);
  EXPECT_EQ(bars[3].to, 12u);
  EXPECT_EQ(bars[3].clients, 1u);
  EXPECT_EQ(SizeHistogram(Partition(std::vector<uint32_t>{0, 1}, 2), 8).size(), 1u);
}

}  // namespace
}  // namespace dure
