#include "client/service/local_state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "client/service/node.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class LocalStateFileTest : public ::testing::Test {
 protected:
  LocalStateFileTest() {
    std::filesystem::remove_all(node_);
    EXPECT_TRUE(MakeFolder(PrivateFolder(node_), 0700).ok());
    ModelSection& model = *spec_.mutable_model();
    model.set_architecture(ModelSection::LOGISTIC_REGRESSION);
    model.mutable_input()->add_shape(4);
    model.mutable_input()->set_classes(2);
    model.add_personal("fc.bias");
    spec_.mutable_local()->set_control_variates(true);
  }
  ~LocalStateFileTest() override { std::filesystem::remove_all(node_); }

  absl::StatusOr<LocalState> Read(const FederationSpec& spec) const {
    return ReadLocalState(node_, spec, *PartsOf(spec.model()));
  }

  const std::string node_ = ::testing::TempDir() + "dure_local_state_file_test";
  FederationSpec spec_;
  const LocalState state_ = {
      .round = RoundNumber(3), .control = std::vector<float>(8, 0.5f), .personal = {1, 2}};
};

TEST_F(LocalStateFileTest, IsReadAsItWasWrittenAndNobodyElseCan) {
  EXPECT_EQ(*Read(spec_), LocalState());
  ASSERT_TRUE(WriteLocalState(node_, spec_, state_).ok());
  EXPECT_EQ(*Read(spec_), state_);
  struct stat status;
  ASSERT_EQ(stat(LocalStatePath(node_).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(LocalStateFileTest, IsForgottenWithItsModel) {
  ASSERT_TRUE(WriteLocalState(node_, spec_, state_).ok());
  FederationSpec longer = spec_;
  longer.mutable_rounds()->set_count(100);
  EXPECT_EQ(*Read(longer), state_);
  FederationSpec other = spec_;
  other.mutable_model()->set_seed(9);
  EXPECT_EQ(*Read(other), LocalState());
  EXPECT_FALSE(FileExists(LocalStatePath(node_)));
}

TEST_F(LocalStateFileTest, OfWhatTheTermsHaveNoMoreNothingIsLeft) {
  ASSERT_TRUE(WriteLocalState(node_, spec_, state_).ok());
  spec_.mutable_local()->set_control_variates(false);
  EXPECT_TRUE(Read(spec_)->control.empty());
  EXPECT_EQ(Read(spec_)->personal, state_.personal);
}

TEST_F(LocalStateFileTest, DamageIsToldWithTheRemedy) {
  ASSERT_TRUE(WriteLocalState(node_, spec_, state_).ok());
  std::string bytes = *ReadFile(LocalStatePath(node_), 1 << 20);
  bytes[70] ^= 1;
  ASSERT_TRUE(WriteFileAtomic(LocalStatePath(node_), bytes).ok());
  const absl::Status status = Read(spec_).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("or remove it, and this member begins anew"));
}

}  // namespace
}  // namespace dure
