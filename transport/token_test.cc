#include "transport/token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "crypto/x509.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/limits.h"

namespace dure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Invitation Example() {
  std::array<uint8_t, 32> seed;
  seed.fill(1);
  AesCtrRandom random(seed);
  Invitation invitation;
  invitation.set_address("coordinator.example.org:7443");
  invitation.set_secret(std::string(kInvitationSecretBytes, 's'));
  invitation.set_ca_certificate(
      MakeEnrolmentCa(SigningKey::FromSeed(seed), "fashion",
                      {absl::FromUnixSeconds(1700000000), absl::FromUnixSeconds(2000000000)},
                      random)
          .value());
  return invitation;
}

std::string Wrap(const std::string& bytes) {
  return absl::StrCat("dure1:", absl::WebSafeBase64Escape(bytes));
}

void ExpectRefused(const std::string& text, const std::string& words) {
  absl::Status status = DecodeToken(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(TokenTest, AnInvitationGoesThereAndBack) {
  auto token = EncodeToken(Example());
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_THAT(*token, StartsWith("dure1:"));
  EXPECT_LT(token->size(), 800u);
  EXPECT_EQ(token->find_first_of("+/= \n"), std::string::npos);
  auto invitation = DecodeToken(*token);
  ASSERT_TRUE(invitation.ok()) << invitation.status();
  EXPECT_EQ(invitation->SerializeAsString(), Example().SerializeAsString());
}

TEST(TokenTest, WhiteSpaceIsIgnored) {
  std::string token = EncodeToken(Example()).value();
  std::string broken = "\n  ";
  for (size_t i = 0; i < token.size(); i += 60) broken += token.substr(i, 60) + "\r\n\t";
  auto invitation = DecodeToken(broken);
  ASSERT_TRUE(invitation.ok()) << invitation.status();
  EXPECT_EQ(invitation->address(), Example().address());
}

TEST(TokenTest, EveryTextThatIsCutOffIsRefused) {
  std::string token = EncodeToken(Example()).value();
  for (size_t length = 0; length < token.size(); ++length) {
    absl::Status status = DecodeToken(token.substr(0, length)).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << length;
    EXPECT_THAT(std::string(status.message()), HasSubstr("Copy it again")) << length;
  }
  ExpectRefused(token.substr(0, token.size() - 1), "cut off");
  ExpectRefused(token.substr(0, token.size() / 2), "cut off");
}

TEST(TokenTest, OtherTextsAreRefused) {
  ExpectRefused("", "is empty");
  ExpectRefused(" \n", "is empty");
  ExpectRefused("hello", "does not begin with \"dure1:\"");
  ExpectRefused("dure2:abcd", "another version");
  ExpectRefused("dure1:ab$d", "characters that do not belong");
  ExpectRefused(std::string(kMaxTokenBytes + 1, 'a'), "limit 4096");
  ExpectRefused(std::string(100000, ' '), "limit 4096");
}

TEST(TokenTest, DamagedFieldsAreRefused) {
  Invitation invitation = Example();
  invitation.mutable_secret()->pop_back();
  ExpectRefused(Wrap(invitation.SerializeAsString()), "secret has 31 bytes");
  invitation = Example();
  invitation.set_address("nowhere");
  ExpectRefused(Wrap(invitation.SerializeAsString()), "address");
  invitation = Example();
  invitation.mutable_ca_certificate()->back() ^= 1;
  ExpectRefused(Wrap(invitation.SerializeAsString()), "certificate does not verify");
  EXPECT_EQ(EncodeToken(invitation).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TokenTest, FaultsDoNotRepeatTheText) {
  std::string token = EncodeToken(Example()).value();
  for (const std::string& text : {token.substr(0, 200), token.substr(6), token + "$"}) {
    std::string message(DecodeToken(text).status().message());
    EXPECT_THAT(message, Not(HasSubstr(token.substr(20, 20))));
  }
}

}  // namespace
}  // namespace dure
