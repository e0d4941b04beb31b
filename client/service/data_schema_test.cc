#include "client/service/data_schema.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/service/node_files.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kFederation[] =
    "dure schema 1\n"
    "column \"age\" numeric standardise 50 10\n"
    "column \"ward\" categorical \"north\" \"south\"\n"
    "label \"outcome\" classes \"no\" \"yes\"\n";

class DataSchemaTest : public ::testing::Test {
 protected:
  DataSchemaTest() {
    std::filesystem::remove_all(folder_);
    node_.data_folder = folder_ + "/data-1";
    EXPECT_TRUE(MakeFolder(folder_ + "/files").ok());
    EXPECT_TRUE(MakeFolder(*node_.data_folder).ok());
    node_.spec.mutable_data()->set_schema("clinic.schema");
    Write("data-1/records.csv", "age;ward;outcome\n61;south;yes\n40;north;no\n");
    Federation(kFederation);
  }
  ~DataSchemaTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(absl::StrCat(folder_, "/", name), text).ok());
  }
  std::string Read(const std::string& name) {
    return ReadFile(absl::StrCat(folder_, "/", name), 1 << 20).value();
  }
  void Federation(const std::string& schema) {
    const std::string sha256 = ToHex(Sha256(AsBytes(schema)));
    node_.spec.mutable_data()->set_schema_sha256(sha256);
    Write("files/" + sha256, schema);
  }
  static std::string With(const std::string& format) {
    std::string schema = kFederation;
    return schema.insert(schema.find("column"), format);
  }

  const std::string folder_ = ::testing::TempDir() + "data_schema_test";
  SystemRandom random_;
  Node node_{.folder = folder_, .key = SigningKey::Generate(random_)};
};

TEST_F(DataSchemaTest, ATableReadByItIsLeftAlone) {
  Write("data-1/records.schema", With("file delimiter \";\" header yes\n"));
  EXPECT_TRUE(FitTableToSchema(node_).ok()) << FitTableToSchema(node_);
  EXPECT_EQ(Read("data-1/records.schema"), With("file delimiter \";\" header yes\n"));
}

TEST_F(DataSchemaTest, ATableThatFitsIsReadByItFromHereOn) {
  Write("data-1/records.schema",
        "dure schema 1\nfile delimiter \";\" header yes\ncolumn \"age\" numeric\n"
        "column \"ward\" categorical \"south\" \"north\"\n"
        "label \"outcome\" classes \"yes\" \"no\"\n");
  ASSERT_TRUE(FitTableToSchema(node_).ok()) << FitTableToSchema(node_);
  EXPECT_EQ(Read("data-1/records.schema"), With("file delimiter \";\" header yes\n"));
}

TEST_F(DataSchemaTest, DifferencesAreListed) {
  Write("data-1/records.schema", With("file delimiter \";\" header yes\n"));
  Federation(
      "dure schema 1\ncolumn \"bmi\" numeric\ncolumn \"ward\" categorical \"north\"\n"
      "label \"outcome\" classes \"no\" \"yes\"\n");
  const absl::Status status = FitTableToSchema(node_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("column \"bmi\" is missing"), HasSubstr("category \"south\" here")));
}

TEST_F(DataSchemaTest, AFolderOfSomebodyElseIsNotWrittenTo) {
  const std::string other = folder_ + "/elsewhere";
  std::filesystem::rename(*node_.data_folder, other);
  node_.data_folder = other;
  Write("elsewhere/records.schema",
        "dure schema 1\nfile delimiter \";\" header yes\ncolumn \"age\" numeric\n"
        "column \"ward\" categorical \"south\" \"north\"\n"
        "label \"outcome\" classes \"yes\" \"no\"\n");
  EXPECT_THAT(std::string(FitTableToSchema(node_).message()), HasSubstr("dure data add FILE.csv"));
  Write("elsewhere/records.schema", With("file delimiter \";\" header yes\n"));
  EXPECT_TRUE(FitTableToSchema(node_).ok());
}

TEST_F(DataSchemaTest, OtherDataAreRefused) {
  std::filesystem::remove(folder_ + "/data-1/records.csv");
  Write("data-1/records.txt", "text");
  EXPECT_THAT(std::string(FitTableToSchema(node_).message()), HasSubstr("holds no table"));
  node_.spec.clear_data();
  EXPECT_TRUE(FitTableToSchema(node_).ok());
}

}  // namespace
}  // namespace dure
