#include "federation/attachments.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

// SHA-256 of "abc" (FIPS 180-4, appendix).
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

constexpr char kWords[] = R"(
[federation]
name = "words"
purpose = "A test."
address = "127.0.0.1:7443"
[model]
architecture = "gru"
tokens = "words"
vocabulary = "words.txt"
input.shape = [8]
[rounds]
cohort = 5
[local]
mode = "epochs"
[privacy]
unit = "none"
)";

class AttachmentsTest : public ::testing::Test {
 protected:
  AttachmentsTest() { std::filesystem::remove_all(folder_), Make(folder_); }
  ~AttachmentsTest() override { std::filesystem::remove_all(folder_); }

  void Make(const std::string& folder) { ASSERT_TRUE(MakeFolder(folder).ok()); }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(absl::StrCat(folder_, "/", name), text).ok());
  }
  absl::StatusOr<FederationSpec> Read(const std::string& toml) {
    Write("federation.toml", toml);
    return ReadFederationWithFiles(folder_ + "/federation.toml");
  }
  void ExpectFault(const std::string& toml, const std::string& words) {
    const absl::Status status = Read(toml).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
  static std::string With(const std::string& line) {
    std::string toml = kWords;
    return toml.replace(toml.find("input.shape"), 0, line + "\n");
  }

  const std::string folder_ = ::testing::TempDir() + "/attachments_test";
};

TEST_F(AttachmentsTest, DigestsAndClassesAreFilledIn) {
  Write("words.txt", "abc");
  Write("clinic.schema", "abc");
  const auto spec = Read(std::string(kWords) + "[data]\nschema = \"clinic.schema\"\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->model().vocabulary_sha256(), kAbc);
  EXPECT_EQ(spec->data().schema_sha256(), kAbc);
  EXPECT_EQ(spec->model().input().classes(), 2u);
  const std::vector<Attachment> files = AttachmentsOf(*spec);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].key, "model.vocabulary");
  EXPECT_EQ(files[0].file, "words.txt");
  EXPECT_EQ(files[1].sha256, kAbc);
  EXPECT_TRUE(CheckAttachmentsBound(*spec).ok());
  EXPECT_EQ(AttachmentOf(*spec, "model.torchscript").file, "");
}

TEST_F(AttachmentsTest, AStatedDigestIsCompared) {
  Write("words.txt", "abc");
  EXPECT_TRUE(Read(With(absl::StrCat("vocabulary_sha256 = \"", kAbc, "\""))).ok());
  Write("words.txt", "abd");
  ExpectFault(With(absl::StrCat("vocabulary_sha256 = \"", kAbc, "\"")), "remove that key");
}

TEST_F(AttachmentsTest, WhatIsMissingOrTooLargeIsNamed) {
  ExpectFault(kWords, "there is no file");
  Make(folder_ + "/words.txt");
  ExpectFault(kWords, "is no plain file");
  std::filesystem::remove(folder_ + "/words.txt");
  Write("words.txt", std::string(kMaxVocabularyBytes + 1, 'a'));
  ExpectFault(kWords, "larger than its limit of 4194304 bytes");
  Write("words.txt", "");
  ExpectFault(kWords, "has 0 lines");
}

TEST_F(AttachmentsTest, ANameThatLeavesTheFolderIsRefused) {
  std::string toml = kWords;
  toml.replace(toml.find("words.txt"), 9, "../words.txt");
  ExpectFault(toml, "must be the name of a file beside this one");
}

TEST_F(AttachmentsTest, FilesAreCopiedWithTheirContents) {
  Write("words.txt", "abc");
  const auto spec = Read(kWords);
  ASSERT_TRUE(spec.ok()) << spec.status();
  Make(folder_ + "/copy");
  ASSERT_TRUE(CopyAttachments(*spec, folder_, folder_ + "/copy").ok());
  EXPECT_EQ(ReadFile(folder_ + "/copy/words.txt", 100).value(), "abc");
  Write("words.txt", "abd");
  EXPECT_EQ(CopyAttachments(*spec, folder_, folder_ + "/copy").code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(AttachmentsTest, TermsFromOthersMustBindTheirFiles) {
  FederationSpec spec;
  spec.mutable_model()->set_torchscript("model.pt");
  EXPECT_EQ(CheckAttachmentsBound(spec).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(CountLinesTest, TheLastLineNeedsNoLineFeed) {
  EXPECT_EQ(CountLines(""), 0u);
  EXPECT_EQ(CountLines("a"), 1u);
  EXPECT_EQ(CountLines("a\n"), 1u);
  EXPECT_EQ(CountLines("a\nb"), 2u);
}

}  // namespace
}  // namespace dure
