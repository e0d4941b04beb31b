// The small parts of the protocol: config, thresholds, limits, sets, graph, keys, unmasking.
#include <gtest/gtest.h>

#include "crypto/shamir.h"
#include "crypto/x509.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/session_keys.h"
#include "privacy/secagg/unmasking.h"
#include "tests/support/golden.h"

namespace dure::secagg {
namespace {

TEST(ThresholdsTest, AreThoseOfTheCompleteGraph) {
  EXPECT_EQ(*ComputeThresholds(5, 1, 3),
            (Thresholds{.neighbours = 4, .threshold = 3, .quorum = 4, .sum_minimum = 4}));
  EXPECT_EQ(*ComputeThresholds(10, 2, 8),
            (Thresholds{.neighbours = 9, .threshold = 6, .quorum = 7, .sum_minimum = 8}));
  // Members that may vanish, by cohort, with a fifth of them corrupt.
  for (const auto& [n, vanish] :
       {std::pair{3u, 0u}, {4, 1}, {5, 1}, {10, 3}, {20, 7}, {50, 19}, {100, 39}}) {
    auto thresholds = ComputeThresholds(n, std::max(1u, n / 5), 3);
    ASSERT_TRUE(thresholds.ok()) << thresholds.status();
    EXPECT_EQ(n - thresholds->sum_minimum, vanish) << n;
  }
}

TEST(ThresholdsTest, AreTheKnownOnesOfCompleteGraphs) {
  int checked = 0;
  for (const testing::Row& row : testing::ReadGolden("graph_params.csv")) {
    const auto n = static_cast<uint32_t>(std::stoul(row.at("n")));
    const auto c_max = static_cast<uint32_t>(std::stoul(row.at("c_max")));
    if (row.at("kind") != "complete" || row.at("mode") != "adaptive" || n > kMaxDenseMembers ||
        c_max == 0) {
      continue;
    }
    auto thresholds = ComputeThresholds(n, c_max, 0);
    ASSERT_TRUE(thresholds.ok()) << thresholds.status();
    EXPECT_EQ(thresholds->neighbours, std::stoul(row.at("degree_k")));
    EXPECT_EQ(thresholds->threshold, std::stoul(row.at("threshold_t")));
    EXPECT_EQ(thresholds->quorum, std::stoul(row.at("quorum_q")));
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

TEST(ThresholdsTest, ImpossibleSettingsAreRefused) {
  for (const auto& [n, c_max, u_min] : {std::tuple{2u, 1u, 2u},
                                        {256, 1, 2},
                                        {5, 0, 2},
                                        {5, 5, 2},
                                        {5, 4, 2},
                                        {5, 1, 6},
                                        {3, 2, 3},
                                        {10, UINT32_MAX, 3}}) {
    EXPECT_EQ(ComputeThresholds(n, c_max, u_min).status().code(),
              absl::StatusCode::kFailedPrecondition)
        << n << " " << c_max << " " << u_min;
  }
}

TEST(ConfigTest, TheHashIsTheTranscriptOfEveryField) {
  RoundConfig config = ConfigForTest(5, 10, 20);
  config.set_max_dropout(0.25);
  Transcript expected("config");
  expected.AddU64(1).Add(config.task()).AddU64(1).AddU64(1).Add(config.model_hash());
  expected.AddU64(10).AddU64(5).AddU64(20).AddU64(1024).AddF64(1).Add("record-gradient");
  expected.AddU64(16).AddU64(1 << 20).Add("").Add("uniform").Add("complete").AddU64(128);
  expected.AddF64(0.25).AddU64(3).AddU64(3).AddU64(1).AddU64(1000);
  EXPECT_EQ(ConfigHash(config), expected.Hash());
  EXPECT_EQ(RoundConfig::descriptor()->field_count(), 22);  // none is left out
}

TEST(ConfigTest, ValidationNamesTheField) {
  ASSERT_TRUE(ValidateConfig(ConfigForTest(5, 10, 20)).ok());
  const std::vector<std::function<void(RoundConfig&)>> faults = {
      [](RoundConfig& c) { c.set_suite(2); },
      [](RoundConfig& c) { c.set_task("short"); },
      [](RoundConfig& c) { c.set_model_hash(""); },
      [](RoundConfig& c) { c.set_rotation_seed("short"); },
      [](RoundConfig& c) { c.set_dim(0); },
      [](RoundConfig& c) { c.set_dim(kMaxDim + 1); },
      [](RoundConfig& c) { c.set_bits(0); },
      [](RoundConfig& c) { c.set_bits(65); },
      [](RoundConfig& c) { c.set_clip_norm(-1); },
      [](RoundConfig& c) { c.set_clip_norm(-1); },
      [](RoundConfig& c) { c.set_clip_norm(std::numeric_limits<double>::quiet_NaN()); },
      [](RoundConfig& c) { c.set_clip_norm(std::numeric_limits<double>::infinity()); },
      [](RoundConfig& c) { c.set_max_dropout(1); },
      [](RoundConfig& c) { c.set_max_dropout(std::numeric_limits<double>::quiet_NaN()); },
      [](RoundConfig& c) { c.set_mechanism(std::string(65, 'x')); },
      [](RoundConfig& c) { c.set_weighting(std::string(65, 'x')); },
      [](RoundConfig& c) { c.set_graph_rule("star"); },
      [](RoundConfig& c) { c.set_graph_rule("groups-of-2"); },
      [](RoundConfig& c) { c.set_graph_rule("groups-of-128"); },
      [](RoundConfig& c) { c.set_graph_rule("groups-of-05"); },
      [](RoundConfig& c) { c.set_security_bits(1001); },
      [](RoundConfig& c) { c.set_minimum_roster(6); },
      [](RoundConfig& c) { c.set_minimum_sum(6); }};
  for (size_t i = 0; i < faults.size(); ++i) {
    RoundConfig config = ConfigForTest(5, 10, 20);
    faults[i](config);
    EXPECT_EQ(ValidateConfig(config).code(), absl::StatusCode::kInvalidArgument) << i;
  }
  RoundConfig config = ConfigForTest(5, 10, 20);
  config.set_max_corrupt(4);
  EXPECT_EQ(ValidateConfig(config).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(LimitsTest, HonestMessagesFitTheTransportsLimits) {
  CohortForTest cohort(20, 100, 20);
  SessionRunForTest run(cohort);
  for (auto& member : cohort.members) {
    member->organisation.assign(kMaxCertificateBytes - sizeof(PublicKey), 'o');
    member->client.emplace(cohort.ClientParams(*member));
  }
  const auto check_up = [&](const std::vector<UpMessage>& messages) {
    EXPECT_LE(messages[0].ByteSizeLong(), MaxUpMessageBytes(cohort.config));
    EXPECT_TRUE(CheckSizes(messages[0], cohort.config).ok());
  };
  std::vector<UpMessage> up = run.Start();
  while (true) {
    check_up(up);
    run.DeliverAll(up);
    if (run.server.phase() == Phase::kUnmask) break;
    std::vector<DownMessage> down = run.Advance();
    EXPECT_LE(down[0].ByteSizeLong(), MaxDownMessageBytes(cohort.config));
    EXPECT_TRUE(CheckSizes(down[0], cohort.config).ok());
    up = run.AnswersTo(down);
  }
}

TEST(LimitsTest, MessagesBeyondThemAreRefused) {
  const RoundConfig config = ConfigForTest(5, 10, 20);
  CohortForTest cohort(5, 10, 20);
  SessionRunForTest run(cohort);
  UpMessage advertise = run.Start()[0];
  advertise.mutable_advertise()->set_certificate(std::string(kMaxCertificateBytes + 1, 'c'));
  EXPECT_EQ(CheckSizes(advertise, config).code(), absl::StatusCode::kInvalidArgument);
  UpMessage unmask;
  for (int i = 0; i < 5; ++i) {
    unmask.mutable_unmask()->add_self_seeds()->set_share(std::string(32, 's'));
  }
  EXPECT_EQ(CheckSizes(unmask, config).code(), absl::StatusCode::kInvalidArgument);
  UpMessage input;
  input.mutable_masked_input()->set_packed(std::string(26, 'p'));
  EXPECT_EQ(CheckSizes(input, config).code(), absl::StatusCode::kInvalidArgument);
  DownMessage roster;
  roster.mutable_roster()->set_signature(std::string(64, 's'));
  EXPECT_TRUE(CheckSizes(roster, config).ok());
  for (int i = 0; i < 6; ++i) roster.mutable_roster()->add_entries();
  EXPECT_EQ(CheckSizes(roster, config).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckSizes(UpMessage(), config).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckSizes(DownMessage(), config).code(), absl::StatusCode::kInvalidArgument);
}

TEST(MemberSetTest, IsWrittenLeastSignificantBitFirst) {
  MemberSet set(10);
  set.Insert(0);
  set.Insert(9);
  EXPECT_EQ(set.ToString(), std::string("\x01\x02", 2));
  EXPECT_EQ(set.count(), 2u);
  EXPECT_TRUE(set.Contains(9));
  EXPECT_FALSE(set.Contains(1));
  auto parsed = MemberSet::Parse(std::string("\x03\x02", 2), 10);
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(set.IsSubsetOf(*parsed));
  EXPECT_FALSE(parsed->IsSubsetOf(set));
}

TEST(MemberSetTest, RefusesAnotherLengthAndBitsBeyondTheEnd) {
  for (const std::string& bytes :
       {std::string("\x01"), std::string("\x01\x04"), std::string(3, 0)}) {
    EXPECT_EQ(MemberSet::Parse(bytes, 10).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(SessionKeysTest, OneKeyEncryptsOneMessage) {
  OneMessageKey sealing(SecretBytes(std::vector<uint8_t>(32, 1)));
  OneMessageKey opening(SecretBytes(std::vector<uint8_t>(32, 1)));
  const std::string sealed = sealing.Seal(AsBytes("a"), AsBytes("text"));
  auto opened = opening.Open(AsBytes("a"), AsBytes(sealed));
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(opened->Equals(AsBytes("text")));
  EXPECT_DEATH((void)sealing.Seal({}, AsBytes("more")), "");
  EXPECT_DEATH((void)opening.Open({}, AsBytes(sealed)), "");
}

TEST(MaskTest, ASecretRingIsEmptyAfterAMove) {
  SecretRing a(RingFromSigned(std::vector<int64_t>{1, 2, 3}, 20));
  SecretRing b = std::move(a);
  EXPECT_EQ(RingSize(*b.get()), 3u);
  b = SecretRing(RingZeros(2, 40));
  EXPECT_EQ(RingSize(*b.get()), 2u);
}

TEST(UnmaskingTest, FurtherSubsetsAreTriedBeforeADealerIsNamed) {
  AesCtrRandom random = SeededRandom(4);
  const std::vector<uint8_t> secret(32, 0x5a);
  std::vector<SecretBytes> shares = ShamirSplit(secret, {.threshold = 3, .shares = 5}, random);
  shares[0].mutable_view()[0] ^= 1;  // the dealer committed to a share off the polynomial
  UnmaskingShares collected(1);
  for (size_t i = 0; i < shares.size(); ++i) {
    collected.Add(ClientIndex(0), static_cast<uint8_t>(i + 1), shares[i].view());
  }
  const auto matches = [&](ByteView candidate) {
    return std::equal(candidate.begin(), candidate.end(), secret.begin(), secret.end());
  };
  auto rebuilt = collected.Rebuild(ClientIndex(0), 3, matches);
  ASSERT_TRUE(rebuilt.has_value());
  EXPECT_TRUE(rebuilt->Equals(secret));
  EXPECT_FALSE(collected.Rebuild(ClientIndex(0), 3, [](ByteView) { return false; }).has_value());
}

}  // namespace
}  // namespace dure::secagg
