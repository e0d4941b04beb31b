// X25519, HKDF and Ed25519 against their RFCs.
#include <gtest/gtest.h>

#include "crypto/ed25519.h"
#include "crypto/hkdf.h"
#include "crypto/x25519.h"
#include "tests/support/golden.h"

namespace dure {
namespace {

using testing::FromHex;

X25519PublicKey Point(const std::string& hex) {
  X25519PublicKey key;
  std::vector<uint8_t> bytes = FromHex(hex);
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

X25519PrivateKey Scalar(ByteView raw) { return X25519PrivateKey::FromRaw(SecretBytes(raw)); }

std::string AgreeHex(const std::string& scalar, const std::string& point) {
  auto secret = Scalar(FromHex(scalar)).Agree(Point(point));
  return secret.ok() ? ToHex(secret->view()) : std::string(secret.status().message());
}

TEST(X25519Test, Rfc7748Section5) {
  EXPECT_EQ(AgreeHex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(AgreeHex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST(X25519Test, Rfc7748IteratedThousandTimes) {
  std::string start = "0900000000000000000000000000000000000000000000000000000000000000";
  SecretBytes scalar(FromHex(start));
  X25519PublicKey point = Point(start);
  for (int i = 0; i < 1000; ++i) {
    auto next = Scalar(scalar.view()).Agree(point);
    ASSERT_TRUE(next.ok());
    std::copy(scalar.view().begin(), scalar.view().end(), point.begin());
    scalar = *std::move(next);
    if (i == 0) {
      EXPECT_EQ(ToHex(scalar.view()),
                "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(ToHex(scalar.view()),
            "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519Test, Rfc7748Section6) {
  X25519PrivateKey alice =
      Scalar(FromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  X25519PrivateKey bob =
      Scalar(FromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(ToHex(alice.public_key()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(ToHex(bob.public_key()),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  for (const auto& secret : {alice.Agree(bob.public_key()), bob.Agree(alice.public_key())}) {
    ASSERT_TRUE(secret.ok());
    EXPECT_EQ(ToHex(secret->view()),
              "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  }
}

TEST(X25519Test, RefusesPointsOfLowOrder) {
  SystemRandom random;
  X25519PrivateKey key = X25519PrivateKey::Generate(random);
  EXPECT_TRUE(IsUsableX25519Key(key.public_key()));
  // The points of order 1, 2, 4 and 8 and their other encodings (Wycheproof, x25519_test.json).
  for (const char* hex : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "0000000000000000000000000000000000000000000000000000000000000080",
       }) {
    EXPECT_FALSE(IsUsableX25519Key(Point(hex))) << hex;
    EXPECT_EQ(key.Agree(Point(hex)).status().code(), absl::StatusCode::kInvalidArgument) << hex;
    X25519PublicKey other = Point(hex);
    other.back() ^= 0x80;
    EXPECT_FALSE(IsUsableX25519Key(other)) << hex;
    EXPECT_EQ(key.Agree(other).status().code(), absl::StatusCode::kInvalidArgument) << hex;
  }
}

// The list of those points is as long as it must be, and no longer: small numbers, those around p,
// and at random.
TEST(X25519Test, AKeyIsUsableIfAgreementWithItWorks) {
  AesCtrRandom random(AesCtrRandom::Seed{3});
  X25519PrivateKey key = X25519PrivateKey::Generate(random);
  for (int i = 0; i < 256; ++i) {
    X25519PublicKey small = {}, large, any;
    small.front() = static_cast<uint8_t>(i);
    large.fill(0xff);
    large.front() = static_cast<uint8_t>(i);
    large.back() = i % 2 == 0 ? 0x7f : 0xff;
    random.Fill(any);
    for (const X25519PublicKey& point : {small, large, any}) {
      EXPECT_EQ(IsUsableX25519Key(point), key.Agree(point).ok()) << ToHex(point);
    }
  }
}

TEST(HkdfTest, Rfc5869AppendixA) {
  EXPECT_EQ(ToHex(HkdfSha256({.key = FromHex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                              .salt = FromHex("000102030405060708090a0b0c"),
                              .info = FromHex("f0f1f2f3f4f5f6f7f8f9")},
                             42)
                      .view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  std::vector<uint8_t> key, salt, info;
  for (int i = 0; i < 0x50; ++i) {
    key.push_back(static_cast<uint8_t>(i));
    salt.push_back(static_cast<uint8_t>(0x60 + i));
    info.push_back(static_cast<uint8_t>(0xb0 + i));
  }
  EXPECT_EQ(ToHex(HkdfSha256({.key = key, .salt = salt, .info = info}, 82).view()),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41"
            "c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(
      ToHex(
          HkdfSha256({.key = FromHex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b")}, 42).view()),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

struct SignatureCase {
  const char* seed;
  const char* key;
  const char* message;
  const char* signature;
};

TEST(Ed25519Test, Rfc8032Section71) {
  for (const SignatureCase& c : {
           SignatureCase{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb88215"
                         "90a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
           SignatureCase{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e4"
                         "3e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
       }) {
    SigningKey key = SigningKey::FromSeed(FromHex(c.seed));
    std::vector<uint8_t> message = FromHex(c.message);
    EXPECT_EQ(ToHex(key.public_key()), c.key);
    Signature signature = key.Sign(message);
    EXPECT_EQ(ToHex(signature), c.signature);
    EXPECT_TRUE(VerifySignature(key.public_key(), message, signature));
    message.push_back(0);
    EXPECT_FALSE(VerifySignature(key.public_key(), message, signature));
  }
}

TEST(Ed25519Test, RefusesMalleableAndShortSignatures) {
  SigningKey key = SigningKey::FromSeed(std::vector<uint8_t>(32, 7));
  std::vector<uint8_t> message = {1, 2, 3};
  Signature signature = key.Sign(message);
  // S + L is another encoding of the same scalar (RFC 8032 section 8.4).
  std::vector<uint8_t> order =
      FromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Signature other = signature;
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += other[32 + i] + order[i];
    other[32 + i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(VerifySignature(key.public_key(), message, other));
  EXPECT_FALSE(VerifySignature(key.public_key(), message, ByteView(signature).first(63)));
}

TEST(Ed25519Test, KeysSurvivePem) {
  SigningKey key = SigningKey::FromSeed(std::vector<uint8_t>(32, 9));
  SecretBytes pem = key.ToPem();
  auto back = SigningKey::FromPem(ToString(pem.view()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->public_key(), key.public_key());
  EXPECT_EQ(SigningKey::FromPem("not a key").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace dure
