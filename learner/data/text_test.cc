#include "learner/data/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void ExpectFault(const absl::Status& status, const std::string& words) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(SplitWordsTest, RunsOfLettersAndDigitsInLowerCase) {
  EXPECT_THAT(SplitWords("To be, or NOT to be: don't 2b!"),
              ElementsAre("to", "be", "or", "not", "to", "be", "don", "t", "2b"));
  EXPECT_THAT(SplitWords(" \n-- "), IsEmpty());
  EXPECT_THAT(SplitWords(""), IsEmpty());
}

TEST(SplitWordsTest, BeyondAsciiByBlocks) {
  EXPECT_THAT(SplitWords("ÄRGER – Ωmega ПРИВЕТ Ёлка"),
              ElementsAre("ärger", "ωmega", "привет", "ёлка"));
  EXPECT_THAT(SplitWords("3×4 «naïve» 두레。日本"), ElementsAre("3", "4", "naïve", "두레", "日本"));
  EXPECT_THAT(SplitWords("good\xF0\x9F\x98\x80"
                         "bye"),
              ElementsAre("good", "bye"));
}

TEST(VocabularyTest, LinesAreNumbersAndOthersShareTheLast) {
  const auto words = Vocabulary::Parse("the\r\nof\nto", "v.txt");
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_EQ(words->size(), 3u);
  EXPECT_EQ(words->NumberOf("the"), 0u);
  EXPECT_EQ(words->NumberOf("to"), 2u);
  EXPECT_EQ(words->NumberOf("whale"), 3u);
}

TEST(VocabularyTest, WhatIsNoListOfWordsIsRefused) {
  const auto fault = [](const std::string& text) { return Vocabulary::Parse(text, "v").status(); };
  ExpectFault(fault(""), "v holds no word");
  ExpectFault(fault("a\n\nb\n"), "v:2: \"\" is no word");
  ExpectFault(fault("a\nnew york\n"), "v:2: \"new york\" is no word");
  ExpectFault(fault("a\nB\n"), "v:2: \"B\" is no word");
  ExpectFault(fault("a\nb\na\n"), "v:3: the word \"a\" is there a second time");
  ExpectFault(fault("a\nb\xFF\n"), "v:2: this line is not UTF-8");
  ExpectFault(fault(std::string(kMaxWordBytes + 1, 'a')), "a word of 257 bytes, limit 256");
  std::string many;
  for (size_t i = 0; i <= kMaxVocabularyWords; ++i) many += std::to_string(i) + "\n";
  ExpectFault(fault(many), "v:65536: more than 65535 words");
}

TEST(CutTextTest, RecordsShareOneToken) {
  const auto data = CutText("abcdefgh", {.length = 3}, "t");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(4));
  EXPECT_THAT(data->numbers, ElementsAre('a', 'b', 'c', 'd', 'd', 'e', 'f', 'g'));
  EXPECT_THAT(data->labels, ElementsAre(0, 0));
}

TEST(CutTextTest, CharactersAreTheBytesOfUtf8) {
  const auto data = CutText("é!", {.length = 2}, "t");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->numbers, ElementsAre(0xC3, 0xA9, '!'));
}

TEST(CutTextTest, WordsAreNumbersOfTheVocabulary) {
  const auto words = Vocabulary::Parse("call\nme\n", "v");
  ASSERT_TRUE(words.ok());
  const auto data = CutText("Call me Ishmael. Me?", {.length = 3, .vocabulary = &*words}, "t");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->numbers, ElementsAre(0, 1, 2, 1));
}

TEST(CutTextTest, TooLittleOrNoUtf8IsRefused) {
  ExpectFault(CutText("", {.length = 3}, "t").status(), "t holds 0 bytes of text, and a record");
  ExpectFault(CutText("abc", {.length = 3}, "t").status(),
              "t holds 3 bytes of text, and a record "
              "needs 4");
  EXPECT_TRUE(CutText("abcd", {.length = 3}, "t").ok());
  ExpectFault(CutText("one\ntwo\xC3(\n", {.length = 3}, "t").status(),
              "t:2: this line is not UTF-8");
  const auto words = Vocabulary::Parse("a", "v");
  ExpectFault(CutText("a b", {.length = 2, .vocabulary = &*words}, "t").status(),
              "t holds 2 words of text");
}

TEST(ReadDatasetForTest, TextGoesWithModelsOfText) {
  const std::string folder = ::testing::TempDir() + "/text_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(MakeFolder(folder).ok());
  ASSERT_TRUE(WriteFileAtomic(folder + "/records.txt", "abcdefg").ok());
  ASSERT_TRUE(WriteFileAtomic(folder + "/heldout.txt", "xyz").ok());
  ModelSection model;
  model.set_loss(ModelSection::NEXT_TOKEN);
  model.mutable_input()->add_shape(2);
  model.mutable_input()->set_classes(256);
  const auto read = [&](DataPart part) {
    auto files = OpenDataFolder(folder, part);
    EXPECT_TRUE(files.ok() && IsText(*files)) << files.status();
    return ReadDatasetFor(*files, model);
  };
  const auto data = read(DataPart::kTraining);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->records(), 3u);
  EXPECT_TRUE(CheckDataset(*data, model, "t").ok());
  EXPECT_EQ(read(DataPart::kHeldOut)->records(), 1u);
  model.mutable_input()->set_classes(100);
  EXPECT_THAT(std::string(CheckDataset(*data, model, "t").message()),
              HasSubstr("t: record 1 has the token 100, the model has 100"));
  model.set_loss(ModelSection::CROSS_ENTROPY);
  EXPECT_EQ(read(DataPart::kTraining).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadDataFolder(folder).status().code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dure
