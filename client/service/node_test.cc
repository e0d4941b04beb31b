#include "client/service/node.h"

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "client/service/ledger_file.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class NodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_node_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Node Joining() {
    SigningKey ca_key = SigningKey::Generate(random_);
    const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
    const Validity year{now, now + absl::Hours(24 * 365)};
    Node node{.folder = folder_,
              .membership = {.address = "127.0.0.1:7443", .name = "clinic-1"},
              .spec = ParseFederation(testing::DemoToml(), "demo.toml").value(),
              .key = SigningKey::Generate(random_)};
    node.ca_certificate = MakeEnrolmentCa(ca_key, "fashion", year, random_).value();
    CertificateIssuer issuer = CertificateIssuer::Create(node.ca_certificate, &ca_key).value();
    node.coordinator_certificate =
        issuer.IssueCoordinator(ca_key.public_key(), year, random_).value();
    node.certificate = issuer
                           .IssueMember({CertificateRole::kMember, "clinic-1", ""},
                                        node.key.public_key(), year, random_)
                           .value();
    node.spec_digest = SpecDigest(node.spec);
    node.policy = PolicyOf(node.spec);
    return node;
  }
  void Damage(const std::string& name) { std::ofstream(folder_ + "/" + name) << "nonsense"; }

  SystemRandom random_;
  std::string folder_;
};

TEST_F(NodeTest, WhatWasWrittenIsRead) {
  Node node = Joining();
  ASSERT_TRUE(PrepareNode(node).ok());
  EXPECT_FALSE(IsNode(folder_));
  EXPECT_EQ(ReadNode(folder_).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(FinishNode(node).ok());
  auto read = ReadNode(folder_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->membership.name, "clinic-1");
  EXPECT_EQ(read->certificate, node.certificate);
  EXPECT_EQ(read->spec_digest, node.spec_digest);
  EXPECT_FALSE(FileExists(folder_ + "/reserved"));
  EXPECT_EQ(PrepareNode(node).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(NodeTest, APreparedNodeIsTakenBackWhole) {
  Node node = Joining();
  ASSERT_TRUE(PrepareNode(node).ok());
  EXPECT_TRUE(FileExists(folder_ + "/reserved"));
  ForgetPreparedNode(folder_);
  EXPECT_TRUE(FileIsMissing(folder_));
}

TEST_F(NodeTest, FilesOfOthersAreLeftWhereTheyAre) {
  std::filesystem::create_directories(folder_);
  Damage("mine");
  ASSERT_TRUE(PrepareNode(Joining()).ok());
  ForgetPreparedNode(folder_);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(NodeTest, ALedgerIsNeverLostToANewMembership) {
  Node node = Joining();
  ASSERT_TRUE(PrepareNode(node).ok());
  ASSERT_TRUE(FinishNode(node).ok());
  ASSERT_TRUE(LedgerFile::Open(LedgerPath(folder_))
                  ->Append(ChargeEntry{.round = RoundNumber(1), .attempt = AttemptNumber(1)})
                  .ok());
  std::filesystem::remove(folder_ + "/membership.json");
  absl::Status status = PrepareNode(node);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("whose membership.json is gone"));
  ForgetPreparedNode(folder_);
  EXPECT_TRUE(FileExists(MemberKeyPath(folder_)));
  EXPECT_EQ(LedgerFile::Open(LedgerPath(folder_))->ledger().charges(), 1u);
}

TEST_F(NodeTest, ADamagedFileIsNamed) {
  Node node = Joining();
  ASSERT_TRUE(PrepareNode(node).ok());
  ASSERT_TRUE(FinishNode(node).ok());
  std::filesystem::copy(folder_, folder_ + "-whole", std::filesystem::copy_options::recursive);
  for (const char* name : {"membership.json", "policy.json", "federation.toml", "ca.pem",
                           "coordinator.pem", "member.pem", "private/member.key"}) {
    Damage(name);
    absl::Status status = ReadNode(folder_).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ + "/" + name));
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(folder_ + "-whole", folder_, std::filesystem::copy_options::recursive);
  }
  EXPECT_TRUE(ReadNode(folder_).ok());
  std::filesystem::remove_all(folder_ + "-whole");
}

}  // namespace
}  // namespace dure
