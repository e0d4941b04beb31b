#include "client/ledger.h"

#include "gtest/gtest.h"

namespace dure {
namespace {

Digest Filled(uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

ChargeEntry Charge(uint32_t attempt) {
  return {.round = RoundNumber(1),
          .attempt = AttemptNumber(attempt),
          .session_id = Filled(static_cast<uint8_t>(attempt)),
          .t1 = Filled(7)};
}

std::string_view WithoutNewline(const std::string& line) {
  return std::string_view(line).substr(0, line.size() - 1);
}

TEST(LedgerTest, EntriesAreReadBackAsWritten) {
  std::string line = EncodeLedgerEntry(Charge(12));
  auto entry = DecodeLedgerEntry(WithoutNewline(line));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(EncodeLedgerEntry(*entry), line);
  line = EncodeLedgerEntry(ConsentEntry{Filled(1), Filled(2), Filled(3)});
  entry = DecodeLedgerEntry(WithoutNewline(line));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(EncodeLedgerEntry(*entry), line);
}

TEST(LedgerTest, TheFormatIsTheDocumentedOne) {
  std::string hash(64, '0');
  std::string body = "charge 1 2 " + hash + " " + hash + " ";
  std::string line =
      EncodeLedgerEntry(ChargeEntry{.round = RoundNumber(1), .attempt = AttemptNumber(2)});
  EXPECT_EQ(line, body + ToHex(Sha256(AsBytes(body))).substr(0, 16) + "\n");
}

TEST(LedgerTest, EveryChangedCharacterIsFound) {
  std::string line(WithoutNewline(EncodeLedgerEntry(Charge(12))));
  for (size_t i = 0; i < line.size(); ++i) {
    std::string changed = line;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(DecodeLedgerEntry(changed).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  EXPECT_EQ(DecodeLedgerEntry("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeLedgerEntry(std::string(kMaxLedgerLineBytes + 1, 'x')).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(LedgerTest, AnAttemptIsChargedOnce) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add(Charge(3)).ok());
  EXPECT_EQ(ledger.Add(Charge(3)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ledger.Add(Charge(2)).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(ledger.Add(Charge(4)).ok());
  EXPECT_EQ(ledger.charges(), 2u);
  EXPECT_EQ(ledger.last_attempt(), AttemptNumber(4));
}

TEST(LedgerTest, AConsentNeedsItsChargeAndIsGivenOnce) {
  Ledger ledger;
  ConsentEntry consent{.session_id = Filled(3), .t1 = Filled(7), .t3 = Filled(9)};
  EXPECT_EQ(ledger.Add(consent).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(ledger.Add(Charge(3)).ok());
  ConsentEntry other_roster = consent;
  other_roster.t1 = Filled(8);
  EXPECT_EQ(ledger.Add(other_roster).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(ledger.Add(consent).ok());
  EXPECT_EQ(ledger.Add(consent).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dure
