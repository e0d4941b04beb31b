#include "client/local_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace dure {
namespace {

using ::testing::HasSubstr;

const Digest kModel = Sha256(AsBytes("a model"));

LocalState Some() {
  return {.round = RoundNumber(7), .control = {1, -2.5f, 0}, .personal = {0.125f}};
}

std::string Fault(std::string_view bytes) {
  return std::string(DecodeLocalState(bytes).status().message());
}

// With a hash that fits.
std::string Rehashed(std::string bytes) {
  bytes.resize(bytes.size() - 32);
  return bytes + ToString(Sha256(AsBytes(bytes)));
}

TEST(LocalStateTest, ComesBackAsItWas) {
  for (const LocalState& state : {Some(), LocalState(), LocalState{.personal = {3, 4}}}) {
    const auto saved = DecodeLocalState(EncodeLocalState(state, kModel));
    ASSERT_TRUE(saved.ok()) << saved.status();
    EXPECT_EQ(saved->state, state);
    EXPECT_EQ(saved->model, kModel);
  }
}

TEST(LocalStateTest, TheFormatIsTheOneThatIsWrittenDown) {
  const std::string bytes = EncodeLocalState(Some(), kModel);
  EXPECT_EQ(bytes.size(), 60 + 4 * 4 + 32u);
  EXPECT_EQ(bytes.substr(0, 8), std::string("DSLS\x01\0\0\0", 8));
  EXPECT_EQ(bytes.substr(8, 32), ToString(kModel));
  EXPECT_EQ(bytes.substr(40, 4), std::string("\x07\0\0\0", 4));
  EXPECT_EQ(bytes.substr(44, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(52, 8), std::string("\x01\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(60, 8), std::string("\0\0\x80\x3F\0\0\x20\xC0", 8));
}

TEST(LocalStateTest, EveryOtherByteIsNoticed) {
  const std::string bytes = EncodeLocalState(Some(), kModel);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1;
    EXPECT_FALSE(DecodeLocalState(changed).ok()) << i;
    EXPECT_FALSE(DecodeLocalState(bytes.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(DecodeLocalState(bytes + "x").ok());
}

TEST(LocalStateTest, LengthsVersionsAndNumbersAreChecked) {
  std::string bytes = EncodeLocalState(Some(), kModel);
  bytes[4] = 2;
  EXPECT_THAT(Fault(Rehashed(bytes)), HasSubstr("version 2, this program reads 1"));
  bytes = EncodeLocalState(Some(), kModel);
  bytes[51] = 0x40;  // 2^62 numbers and more
  EXPECT_THAT(Fault(Rehashed(bytes)), HasSubstr("each at most 2147483648"));
  LocalState state = Some();
  state.control[1] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Fault(EncodeLocalState(state, kModel)), HasSubstr("not finite"));
}

TEST(LocalStateTest, BelongsToTheModelAndToNothingElseOfTheTerms) {
  FederationSpec spec;
  spec.mutable_model()->set_architecture(ModelSection::CNN);
  FederationSpec longer = spec;
  longer.mutable_rounds()->set_count(5);
  EXPECT_EQ(LocalStateModel(spec), LocalStateModel(longer));
  FederationSpec other = spec;
  other.mutable_model()->add_personal("fc2.*");
  EXPECT_NE(LocalStateModel(spec), LocalStateModel(other));
}

TEST(LocalStateTest, HasAsManyNumbersAsTheModel) {
  ModelSection model;
  model.add_personal("b");
  const auto parts = ModelParts::Create({.params = {{"a", {3}}, {"b", {1}}}}, model);
  ASSERT_TRUE(parts.ok());
  EXPECT_TRUE(CheckLocalState(Some(), *parts).ok());
  EXPECT_TRUE(CheckLocalState({}, *parts).ok());
  EXPECT_THAT(std::string(CheckLocalState({.control = {1}}, *parts).message()),
              HasSubstr("1 numbers of a control variate, the model has 3"));
  EXPECT_FALSE(CheckLocalState({.personal = {1, 2}}, *parts).ok());
}

}  // namespace
}  // namespace dure
