#include "base/paragraph.h"

#include "gtest/gtest.h"

namespace dure {
namespace {

TEST(ParagraphTest, LongTextIsBrokenBetweenWordsAndIndented) {
  std::string out;
  AppendParagraph("Label", std::string(70, 'a') + " bb cc", 8, &out);
  EXPECT_EQ(out, "Label   " + std::string(70, 'a') + "\n        bb cc\n");
}

TEST(ParagraphTest, AWordThatFitsNowhereStandsAlone) {
  std::string out;
  AppendParagraph("", std::string(100, 'a') + " b", 2, &out);
  EXPECT_EQ(out, "  " + std::string(100, 'a') + "\n  b\n");
}

TEST(ParagraphTest, OneIsSingular) {
  EXPECT_EQ(Counted(0, "member"), "0 members");
  EXPECT_EQ(Counted(1, "member"), "1 member");
  EXPECT_EQ(Counted(2, "member"), "2 members");
}

}  // namespace
}  // namespace dure
