// Files of the terms, fetched over loopback into a member's folder.
#include "client/service/node_files.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/session_fixture.h"

namespace dure {
namespace {

class NodeFilesTest : public SessionTest {
 protected:
  NodeFilesTest() {
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    events_.fetch = [this](const FetchRequest& request) -> absl::StatusOr<FetchReply> {
      if (request.sha256() != ToString(Sha256(AsBytes(named_)))) {
        return absl::NotFoundError("no file has this SHA-256");
      }
      FetchReply reply;
      reply.set_size(given_.size());
      if (!request.size_only()) reply.set_data(given_.substr(request.offset(), 4));
      return reply;
    };
    StartServer();
  }
  ~NodeFilesTest() override { std::filesystem::remove_all(folder_); }

  FederationSpec Spec() const {
    FederationSpec spec;
    spec.mutable_data()->set_schema("clinic.schema");
    spec.mutable_data()->set_schema_sha256(ToHex(Sha256(AsBytes(named_))));
    return spec;
  }
  std::string Path() const { return NodeFilePath(folder_, AttachmentOf(Spec(), "data.schema")); }
  absl::Status FetchAll() { return FetchFiles(Spec(), folder_, SourceOf(InvitationWith("right"))); }
  size_t FilesThere() const {
    size_t count = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/files", error)) {
      count += entry.exists();
    }
    return count;
  }

  const std::string folder_ = ::testing::TempDir() + "/node_files_test";
  const std::string named_ = "the schema";
  std::string given_ = named_;
};

TEST_F(NodeFilesTest, AFileIsFetchedOnceAndAgainWhenItIsDamaged) {
  ASSERT_TRUE(FetchAll().ok()) << FetchAll();
  EXPECT_EQ(ReadFile(Path(), 100).value(), named_);
  const size_t asked = events_.fetched_by.size();
  ASSERT_TRUE(FetchAll().ok());
  EXPECT_EQ(events_.fetched_by.size(), asked);
  ASSERT_TRUE(WriteFileAtomic(Path(), "something else").ok());
  ASSERT_TRUE(FetchAll().ok());
  EXPECT_EQ(ReadFile(Path(), 100).value(), named_);
  EXPECT_GT(events_.fetched_by.size(), asked);
}

TEST_F(NodeFilesTest, NothingHalfFetchedStays) {
  given_ = "the rubbish";
  ExpectFault(FetchAll(), absl::StatusCode::kInternal, "cannot fetch clinic.schema (data.schema)");
  EXPECT_EQ(FilesThere(), 0u);
  given_ = std::string(kMaxSchemaFileBytes + 1, 'x');
  ExpectFault(FetchAll(), absl::StatusCode::kResourceExhausted, "limit 4194304");
  EXPECT_EQ(FilesThere(), 0u);
}

TEST_F(NodeFilesTest, TermsSayWhatComesWithThem) {
  const auto words = FilesInWords(Spec(), SourceOf(InvitationWith("right")));
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_THAT(*words, ::testing::HasSubstr("data.schema  clinic.schema, 10 bytes"));
  EXPECT_THAT(*words, ::testing::HasSubstr(ToHex(Sha256(AsBytes(named_)))));
  EXPECT_EQ(FilesInWords({}, {}).value(), "");
}

TEST_F(NodeFilesTest, TermsThatDoNotBindTheirFilesAreRefused) {
  FederationSpec spec = Spec();
  spec.mutable_data()->clear_schema_sha256();
  ExpectFault(FetchFiles(spec, folder_, SourceOf(InvitationWith("right"))),
              absl::StatusCode::kFailedPrecondition, "without its SHA-256");
}

TEST_F(NodeFilesTest, FilesOfOtherTermsAreForgotten) {
  ASSERT_TRUE(FetchAll().ok());
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/files/other", "old").ok());
  ForgetOtherFiles(Spec(), folder_);
  EXPECT_EQ(FilesThere(), 1u);
  ForgetOtherFiles({}, folder_);
  EXPECT_TRUE(FileIsMissing(folder_ + "/files"));
}

}  // namespace
}  // namespace dure
