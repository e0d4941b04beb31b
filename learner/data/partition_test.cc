#include "learner/data/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "learner/data/idx.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> Labels(size_t count, size_t classes) {
  std::vector<float> labels(count);
  for (size_t i = 0; i < count; ++i) labels[i] = static_cast<float>(i % classes);
  return labels;
}

// For each client its records.
absl::StatusOr<std::vector<std::vector<uint32_t>>> Split(std::span<const float> labels,
                                                         uint32_t clients,
                                                         const PartitionSpec& spec, uint64_t seed) {
  const auto partition =
      SplitRecords({.labels = labels, .clients = clients, .spec = spec, .seed = seed});
  if (!partition.ok()) return partition.status();
  std::vector<std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < partition->clients(); ++i) {
    groups.emplace_back(partition->Of(i).begin(), partition->Of(i).end());
  }
  return groups;
}

void ExpectPartition(const std::vector<std::vector<uint32_t>>& groups, size_t records) {
  std::set<uint32_t> seen;
  for (const auto& group : groups) {
    EXPECT_FALSE(group.empty());
    EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
    for (uint32_t record : group) {
      EXPECT_LT(record, records);
      EXPECT_TRUE(seen.insert(record).second) << record << " twice";
    }
  }
  EXPECT_EQ(seen.size(), records);
}

// Mean over the clients of the share of their most frequent class.
double Skew(const std::vector<std::vector<uint32_t>>& groups, std::span<const float> labels) {
  double sum = 0;
  for (const auto& group : groups) {
    std::vector<double> counts(256);
    for (uint32_t record : group) counts[static_cast<size_t>(labels[record])] += 1;
    sum += *std::max_element(counts.begin(), counts.end()) / static_cast<double>(group.size());
  }
  return sum / static_cast<double>(groups.size());
}

TEST(PartitionTest, EveryRecordGoesToExactlyOneClient) {
  const auto labels = Labels(1003, 10);
  for (const char* spec :
       {"iid", "dirichlet:0.001", "dirichlet:0.5", "dirichlet:1e6", "shards:2"}) {
    for (uint32_t clients : {1u, 2u, 10u, 97u}) {
      auto groups = Split(labels, clients, ParsePartition(spec).value(), 1);
      ASSERT_TRUE(groups.ok()) << spec << ": " << groups.status();
      ASSERT_EQ(groups->size(), clients);
      ExpectPartition(*groups, labels.size());
    }
  }
  // As many clients as records: one each.
  auto groups = Split(Labels(50, 10), 50, DirichletPartition{0.01}, 3);
  ASSERT_TRUE(groups.ok());
  ExpectPartition(*groups, 50);
}

TEST(PartitionTest, IidSizesDifferByAtMostOne) {
  auto groups = Split(Labels(1003, 10), 10, IidPartition{}, 1);
  ASSERT_TRUE(groups.ok());
  for (const auto& group : *groups) EXPECT_TRUE(group.size() == 100 || group.size() == 101);
}

TEST(PartitionTest, SmallerAlphaSkewsMore) {
  const auto labels = Labels(10'000, 10);
  auto skew = [&](double alpha) {
    return Skew(Split(labels, 10, DirichletPartition{alpha}, 5).value(), labels);
  };
  EXPECT_LT(skew(1000), 0.15);
  EXPECT_GT(skew(0.5), 0.25);
  EXPECT_GT(skew(0.05), 0.5);
}

TEST(PartitionTest, ShardsGiveEachClientFewClasses) {
  const auto labels = Labels(1000, 10);
  auto groups = Split(labels, 10, ShardPartition{2}, 5).value();
  for (const auto& group : groups) {
    std::set<uint8_t> classes;
    for (uint32_t record : group) classes.insert(labels[record]);
    EXPECT_LE(classes.size(), 2u);
  }
}

TEST(PartitionTest, SeedDecides) {
  const auto labels = Labels(1000, 10);
  const DirichletPartition spec{0.5};
  EXPECT_EQ(*Split(labels, 10, spec, 7), *Split(labels, 10, spec, 7));
  EXPECT_NE(*Split(labels, 10, spec, 7), *Split(labels, 10, spec, 8));
}

TEST(PartitionTest, TooFewRecordsAndBadClientNumbersAreRefused) {
  auto message = [](const auto& result) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  EXPECT_THAT(message(Split(Labels(5, 2), 6, IidPartition{}, 1)),
              HasSubstr("5 records are too few for 6 clients"));
  EXPECT_THAT(message(Split(Labels(5, 2), 0, IidPartition{}, 1)), HasSubstr("0 clients"));
  EXPECT_THAT(message(Split(Labels(5, 2), kMaxPartitionClients + 1, IidPartition{}, 1)),
              HasSubstr("1 to 10000"));
  EXPECT_THAT(message(Split(Labels(5, 2), 3, ShardPartition{2}, 1)), HasSubstr("at least 6"));
}

TEST(PartitionTest, SpecsAreReadAndPrinted) {
  for (const char* text : {"iid", "dirichlet:0.5", "shards:2"}) {
    auto spec = ParsePartition(text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(PartitionToString(*spec), text);
  }
  for (const char* text : {"", "idd", "dirichlet", "dirichlet:", "dirichlet:0", "dirichlet:-1",
                           "dirichlet:nan", "dirichlet:inf", "shards:0", "shards:x", "iid:2"}) {
    EXPECT_EQ(ParsePartition(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

class PartitionFoldersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "dure_partition_test";
    std::filesystem::remove_all(root_);
    ASSERT_TRUE(MakeFolder(root_ + "/source").ok());
    Write("train-", 20);
    Write("t10k-", 4);
    request_ = {.source = root_ + "/source",
                .clients = 3,
                .spec = DirichletPartition{0.5},
                .seed = 1,
                .out = root_ + "/out"};
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& prefix, uint32_t records) {
    const std::string stem = root_ + "/source/" + prefix;
    std::vector<uint8_t> features;
    for (uint32_t i = 0; i < records; ++i) features.insert(features.end(), 2, uint8_t(i));
    const std::vector<uint32_t> dims = {records, 1, 2};
    ASSERT_TRUE(WriteFileAtomic(stem + "images-idx3-ubyte", EncodeIdx(dims, features)).ok());
    const std::vector<float> classes = Labels(records, 4);
    const std::vector<uint8_t> labels(classes.begin(), classes.end());
    ASSERT_TRUE(
        WriteFileAtomic(stem + "labels-idx1-ubyte", EncodeIdx(std::span(dims).first(1), labels))
            .ok());
  }

  std::string root_;
  PartitionRequest request_;
};

TEST_F(PartitionFoldersTest, FoldersHoldTheSourceBetweenThem) {
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->members.size(), 3u);
  EXPECT_EQ(report->members[2].path, root_ + "/out/member-03");
  std::set<int> seen;
  for (const auto& member : report->members) {
    auto data = ReadDataFolder(member.path);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->records(), member.records);
    EXPECT_EQ(data->LabelCounts(4), member.label_counts);
    for (uint64_t i = 0; i < data->records(); ++i) {
      seen.insert(data->features[i * data->record_size()]);
      EXPECT_EQ(data->features[i * data->record_size()] % 4, data->labels[i]);
    }
  }
  EXPECT_EQ(seen.size(), 20u);
  ASSERT_EQ(report->held_out.size(), 1u);
  EXPECT_EQ(ReadDataFolder(root_ + "/out/heldout")->records(), 4u);
  auto json = ReadFile(root_ + "/out/partition.json", 1 << 20);
  ASSERT_TRUE(json.ok());
  EXPECT_THAT(*json, HasSubstr("\"partition\": \"dirichlet:0.5\""));
  EXPECT_THAT(*json, HasSubstr("\"folder\": \"member-03\""));
}

TEST_F(PartitionFoldersTest, AnEarlierPartitionIsNotOverwritten) {
  ASSERT_TRUE(PartitionIntoFolders(request_).ok());
  EXPECT_EQ(PartitionIntoFolders(request_).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(PartitionFoldersTest, HeldOutFolderOnlyIfTheSourceHasThatPart) {
  std::filesystem::remove(root_ + "/source/t10k-images-idx3-ubyte");
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->held_out.empty());
  EXPECT_FALSE(FileExists(root_ + "/out/heldout"));
}

class PartitionTableTest : public PartitionFoldersTest {
 protected:
  void SetUp() override {
    PartitionFoldersTest::SetUp();
    std::filesystem::remove_all(root_ + "/source");
    ASSERT_TRUE(MakeFolder(root_ + "/source").ok());
    Write("records.csv",
          "id,ward,outcome\n1,\"north, \"\"old\"\"\",no\n2,east,yes\n3,east,no\n4,south,yes\n"
          "5,\"north, \"\"old\"\"\",yes\n6,east,no\n");
    Write("records.schema",
          "dure schema 1\ncolumn \"id\" numeric\ncolumn \"ward\" categorical \"east\" "
          "\"north, \\\"old\\\"\" \"south\"\nlabel \"outcome\" classes \"no\" \"yes\"\n");
    request_.spec = ByPartition{"ward"};
    request_.clients = 0;
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(root_ + "/source/" + name, text).ok());
  }
  std::string Out(const std::string& name) {
    return ReadFile(root_ + "/out/" + name, 1 << 20).value_or("absent");
  }
};

TEST_F(PartitionTableTest, ByAColumnEachClientHasWholeValues) {
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->members.size(), 3u);
  EXPECT_EQ(Out("member-01/records.csv"), "id,ward,outcome\n2,east,yes\n3,east,no\n6,east,no\n");
  EXPECT_EQ(Out("member-02/records.csv"),
            "id,ward,outcome\n1,\"north, \"\"old\"\"\",no\n5,\"north, \"\"old\"\"\",yes\n");
  EXPECT_THAT(report->members[0].label_counts, ElementsAre(2, 1));
  EXPECT_TRUE(ReadDataFolder(root_ + "/out/member-02").ok());
  EXPECT_THAT(Out("partition.json"), HasSubstr("\"partition\": \"by:ward\""));
}

TEST_F(PartitionTableTest, ValuesAreDealtToFewerClients) {
  request_.clients = 2;
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->members[0].records, 4u);  // east and south
  EXPECT_EQ(report->members[1].records, 2u);
}

TEST_F(PartitionTableTest, EveryLineGoesToOneClient) {
  for (const PartitionSpec& spec : {PartitionSpec(IidPartition{}), PartitionSpec(ShardPartition{1}),
                                    PartitionSpec(DirichletPartition{1})}) {
    request_.spec = spec;
    request_.clients = 2;
    auto report = PartitionIntoFolders(request_);
    ASSERT_TRUE(report.ok()) << report.status();
    std::multiset<float> ids;
    for (const auto& member : report->members) {
      auto data = ReadDataFolder(member.path);
      ASSERT_TRUE(data.ok()) << data.status();
      for (uint64_t i = 0; i < data->records(); ++i) ids.insert(data->Record(i)[0]);
    }
    EXPECT_THAT(ids, ElementsAre(1, 2, 3, 4, 5, 6));
    std::filesystem::remove_all(root_ + "/out");
  }
}

TEST_F(PartitionTableTest, TheHeldOutPartIsCarried) {
  Write("heldout.csv", "id,ward,outcome\n9,south,yes\n");
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->held_out.size(), 1u);
  EXPECT_EQ(Out("heldout/records.csv"), "id,ward,outcome\n9,south,yes\n");
  EXPECT_TRUE(ReadDataFolder(root_ + "/out/heldout").ok());
}

TEST_F(PartitionTableTest, WhatCannotBeSplitIsNamed) {
  const auto fault = [&] {
    const absl::Status status = PartitionIntoFolders(request_).status();
    EXPECT_FALSE(FileExists(root_ + "/out"));
    return std::string(status.message());
  };
  request_.spec = ByPartition{"wards"};
  EXPECT_THAT(fault(), HasSubstr("has no column \"wards\": did you mean \"ward\"?"));
  request_.spec = ByPartition{"ward"};
  request_.clients = 4;
  EXPECT_THAT(fault(), HasSubstr("the column has 3 values, for 4 clients"));
  request_.spec = DirichletPartition{1};
  Write("records.schema",
        "dure schema 1\ncolumn \"ward\" ignored\ncolumn \"outcome\" ignored\n"
        "column \"n\" ignored\nlabel \"id\" numeric\n");
  EXPECT_THAT(fault(), HasSubstr("records.schema"));  // nothing is left to learn from
}

TEST_F(PartitionTableTest, TextIsCutAtLineBreaksOrCharacters) {
  std::filesystem::remove_all(root_ + "/source");
  ASSERT_TRUE(MakeFolder(root_ + "/source").ok());
  Write("records.txt", "one\ntwo\nthree\nfour\nfive\n");
  Write("heldout.txt", "six\n");
  request_.spec = ContiguousPartition{};
  request_.clients = 3;
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Out("member-01/records.txt") + "|" + Out("member-02/records.txt") + "|" +
                Out("member-03/records.txt"),
            "one\ntwo\nthree\n|four\n|five\n");
  EXPECT_EQ(Out("heldout/records.txt"), "six\n");
  std::filesystem::remove_all(root_ + "/out");
  Write("records.txt", "ééé");
  ASSERT_TRUE(PartitionIntoFolders(request_).ok());
  EXPECT_EQ(Out("member-02/records.txt"), "é");
  std::filesystem::remove_all(root_ + "/out");
  Write("records.txt", "é");
  EXPECT_THAT(std::string(PartitionIntoFolders(request_).status().message()),
              HasSubstr("too few for 3 clients"));
  request_.spec = IidPartition{};
  EXPECT_THAT(std::string(PartitionIntoFolders(request_).status().message()),
              HasSubstr("--partition contiguous"));
}

TEST_F(PartitionFoldersTest, ContiguousPartsFollowEachOther) {
  request_.spec = ContiguousPartition{};
  auto report = PartitionIntoFolders(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  auto second = ReadDataFolder(report->members[1].path);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->records(), 7u);
  EXPECT_EQ(second->features[0], report->members[0].records);
  request_.out = root_ + "/other";
  request_.spec = ByPartition{"ward"};
  EXPECT_THAT(std::string(PartitionIntoFolders(request_).status().message()),
              HasSubstr("by:COLUMN splits tables only"));
}

TEST_F(PartitionFoldersTest, MissingSourceIsNotFound) {
  request_.source = root_ + "/nowhere";
  EXPECT_EQ(PartitionIntoFolders(request_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dure
