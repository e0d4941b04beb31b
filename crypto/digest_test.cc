// SHA-256, transcripts, Merkle trees and secret bytes.
#include "crypto/digest.h"

#include <gtest/gtest.h>

#include "crypto/merkle.h"
#include "crypto/secret_bytes.h"

namespace dure {
namespace {

TEST(DigestTest, Fips180Examples) {
  EXPECT_EQ(ToHex(Sha256(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ToHex(Sha256(AsBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(ToHex(Sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(DigestTest, PiecesHashAsTheWhole) {
  Sha256Stream pieces;
  for (const char* piece : {"a", "", "bc"}) pieces.Add(AsBytes(piece));
  EXPECT_EQ(pieces.Finish(), Sha256(AsBytes("abc")));
}

TEST(DigestTest, ATranscriptIsLabelThenLengthsAndElements) {
  Transcript transcript("x");
  transcript.Add("ab").AddU32(7).AddU64(1).AddF64(1.0);
  EXPECT_EQ(ToHex(transcript.bytes()),
            "464c53412d76312f7800"
            "000000026162"
            "0000000400000007"
            "000000080000000000000001"
            "000000083ff0000000000000");
  EXPECT_EQ(transcript.Hash(), Sha256(transcript.bytes()));
}

TEST(DigestTest, ASecretIsHashedAsOneMoreElement) {
  Transcript open("y");
  open.AddU32(3);
  SecretBytes secret(std::vector<uint8_t>{1, 2, 3});
  EXPECT_EQ(open.HashWithSecret(secret.view()), Transcript(open).Add(secret.view()).Hash());
}

TEST(DigestTest, ADigestHas32Bytes) {
  EXPECT_FALSE(DigestFromBytes("short").has_value());
  EXPECT_EQ(DigestFromBytes(std::string(32, 'a'))->at(31), 'a');
}

TEST(SecretBytesTest, MoveEmptiesAndCompareIsByValue) {
  SecretBytes a(std::vector<uint8_t>{1, 2, 3});
  SecretBytes copy = a.Clone();
  SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT: what a move leaves behind is the point
  EXPECT_TRUE(b.Equals(copy.view()));
  EXPECT_FALSE(b.Equals(std::vector<uint8_t>{1, 2, 4}));
  EXPECT_FALSE(b.Equals(std::vector<uint8_t>{1, 2}));
  b.Wipe();
  EXPECT_TRUE(b.empty());
  std::vector<uint8_t> bytes = {9, 9};
  WipeBytes(bytes);
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0, 0}));
}

std::vector<Digest> Leaves(size_t count) {
  std::vector<Digest> leaves(count);
  for (size_t i = 0; i < count; ++i) leaves[i].fill(static_cast<uint8_t>(i + 1));
  return leaves;
}

// The definition of RFC 6962 section 2.1, word for word.
Digest TreeHash(std::span<const Digest> entries) {
  if (entries.size() == 1) {
    std::vector<uint8_t> bytes = {0};
    bytes.insert(bytes.end(), entries[0].begin(), entries[0].end());
    return Sha256(bytes);
  }
  size_t split = 1;
  while (2 * split < entries.size()) split *= 2;
  std::vector<uint8_t> bytes = {1};
  for (const Digest& child : {TreeHash(entries.first(split)), TreeHash(entries.subspan(split))}) {
    bytes.insert(bytes.end(), child.begin(), child.end());
  }
  return Sha256(bytes);
}

TEST(MerkleTest, TheRootIsThatOfTheRfc) {
  for (size_t size = 1; size <= 40; ++size) {
    std::vector<Digest> leaves = Leaves(size);
    EXPECT_EQ(MerkleTree(leaves).root(), TreeHash(leaves)) << size;
  }
}

TEST(MerkleTest, EveryPathLeadsToTheRoot) {
  for (size_t size = 1; size <= 40; ++size) {
    std::vector<Digest> leaves = Leaves(size);
    MerkleTree tree(leaves);
    for (size_t i = 0; i < size; ++i) {
      std::vector<Digest> path = tree.Path(i);
      EXPECT_EQ(MerkleRootFromPath(leaves[i], {.index = i, .size = size}, path), tree.root());
    }
  }
}

TEST(MerkleTest, AWrongPathDoesNot) {
  std::vector<Digest> leaves = Leaves(9);
  MerkleTree tree(leaves);
  std::vector<Digest> path = tree.Path(4);
  EXPECT_NE(MerkleRootFromPath(leaves[4], {.index = 5, .size = 9}, path), tree.root());
  EXPECT_NE(MerkleRootFromPath(leaves[3], {.index = 4, .size = 9}, path), tree.root());
  EXPECT_EQ(MerkleRootFromPath(leaves[4], {.index = 9, .size = 9}, path), std::nullopt);
  std::vector<Digest> longer = path;
  longer.push_back(leaves[0]);
  EXPECT_EQ(MerkleRootFromPath(leaves[4], {.index = 4, .size = 9}, longer), std::nullopt);
  path[1][0] ^= 1;
  EXPECT_NE(MerkleRootFromPath(leaves[4], {.index = 4, .size = 9}, path), tree.root());
  path.pop_back();
  EXPECT_EQ(MerkleRootFromPath(leaves[4], {.index = 4, .size = 9}, path), std::nullopt);
}

}  // namespace
}  // namespace dure
