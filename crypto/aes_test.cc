// AES-256 in its two modes against NIST's vectors, and the generator built on it.
#include <gtest/gtest.h>

#include "crypto/aes_ctr.h"
#include "crypto/aes_gcm.h"
#include "crypto/random.h"
#include "tests/support/golden.h"

namespace dure {
namespace {

using testing::FromHex;

// NIST SP 800-38A F.5.5.
const char kCtrKeyAndIv[] =
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const char kCtrPlain[] =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
const char kCtrCipher[] =
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";

TEST(AesCtrTest, NistVector) {
  std::vector<uint8_t> data = FromHex(kCtrPlain);
  AesCtr(FromHex(kCtrKeyAndIv)).Apply(data);
  EXPECT_EQ(ToHex(data), kCtrCipher);
}

TEST(AesCtrTest, AStreamCanBeBegunAtAnyBlock) {
  // The initial counter ends in ff, so that the carry shows.
  std::vector<uint8_t> whole(16 * 600);
  AesCtr(FromHex(kCtrKeyAndIv)).Generate(whole);
  for (uint64_t block : {1, 2, 255, 256, 257, 599}) {
    std::vector<uint8_t> part(16);
    AesCtr(FromHex(kCtrKeyAndIv), block).Generate(part);
    EXPECT_EQ(ToHex(part), ToHex(ByteView(whole).subspan(16 * block, 16))) << block;
  }
}

TEST(AesCtrTest, PartsMakeTheSameStream) {
  std::vector<uint8_t> whole(1000), parts(1000);
  AesCtr(FromHex(kCtrKeyAndIv)).Generate(whole);
  AesCtr stream(FromHex(kCtrKeyAndIv));
  std::span<uint8_t> rest(parts);
  for (size_t size : {1, 15, 16, 17, 300, 651}) {
    stream.Generate(rest.first(size));
    rest = rest.subspan(size);
  }
  EXPECT_EQ(whole, parts);
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16.
TEST(AesGcmTest, KnownAnswers) {
  std::vector<uint8_t> zero(32);
  EXPECT_EQ(ToHex(AsBytes(AesGcmSeal(zero, {}, {}, {}))), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(ToHex(AsBytes(AesGcmSeal(zero, {}, {}, std::vector<uint8_t>(16)))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  AesGcmNonce nonce;
  std::vector<uint8_t> nonce_bytes = FromHex("cafebabefacedbaddecaf888");
  std::copy(nonce_bytes.begin(), nonce_bytes.end(), nonce.begin());
  std::vector<uint8_t> key =
      FromHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  std::vector<uint8_t> associated = FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  std::vector<uint8_t> plain = FromHex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
      "a6b525b16aedf5aa0de657ba637b39");
  std::string sealed = AesGcmSeal(key, nonce, associated, plain);
  EXPECT_EQ(ToHex(AsBytes(sealed)),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b"
            "1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
  auto opened = AesGcmOpen(key, nonce, associated, AsBytes(sealed));
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened->Equals(plain));
}

TEST(AesGcmTest, RefusesWhatWasChanged) {
  std::vector<uint8_t> key(32, 1), associated = {1, 2}, plain(64, 3);
  std::string sealed = AesGcmSeal(key, {}, associated, plain);
  EXPECT_EQ(sealed.size(), plain.size() + kAesGcmTagBytes);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(AesGcmOpen(key, {}, associated, AsBytes(changed)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(AesGcmOpen(key, {}, {}, AsBytes(sealed)).ok());
  EXPECT_FALSE(AesGcmOpen(std::vector<uint8_t>(32, 2), {}, associated, AsBytes(sealed)).ok());
  EXPECT_FALSE(AesGcmOpen(key, {}, associated, AsBytes(sealed.substr(0, 15))).ok());
}

TEST(RandomTest, ASeedGivesTheKeystreamWhateverThePieces) {
  AesCtrRandom::Seed seed;
  seed.fill(5);
  std::vector<uint8_t> whole(20000), parts(20000);
  AesCtrRandom(seed).Fill(whole);
  AesCtrRandom pieces(seed);
  std::span<uint8_t> rest(parts);
  for (size_t size : {1, 7, 4088, 4096, 5000, 6808}) {
    pieces.Fill(rest.first(size));
    rest = rest.subspan(size);
  }
  EXPECT_EQ(whole, parts);
  std::vector<uint8_t> key_and_iv(48);
  std::fill_n(key_and_iv.begin(), 32, uint8_t{5});
  std::vector<uint8_t> stream(20000);
  AesCtr(key_and_iv).Generate(stream);
  EXPECT_EQ(whole, stream);
}

TEST(RandomTest, WordsAreLittleEndian) {
  AesCtrRandom::Seed seed = {};
  std::vector<uint8_t> bytes(8);
  AesCtrRandom(seed).Fill(bytes);
  uint64_t word = AesCtrRandom(seed).NextU64();
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(static_cast<uint8_t>(word >> (8 * i)), bytes[i]);
}

TEST(RandomTest, SystemBytesDiffer) {
  SystemRandom random;
  std::vector<uint8_t> a(32), b(32);
  random.Fill(a);
  random.Fill(b);
  EXPECT_NE(a, b);
  EXPECT_NE(AesCtrRandom(random).NextU64(), AesCtrRandom(random).NextU64());
}

}  // namespace
}  // namespace dure
