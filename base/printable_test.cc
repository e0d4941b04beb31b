#include "base/printable.h"

#include "gtest/gtest.h"

namespace dure {
namespace {

TEST(PrintableTest, WordsOfAnyLanguageStay) {
  EXPECT_EQ(Printable("두레 \"clinic-1\" é 😀"), "두레 \"clinic-1\" é 😀");
}

TEST(PrintableTest, WhatMovesTheCursorOrTheDirectionDoesNot) {
  EXPECT_EQ(Printable("a\x1b[2K\r\nb\x7f"), "a?[2K??b?");
  EXPECT_EQ(Printable("a\xc2\x9b"
                      "31mb"),
            "a?31mb");
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b\xe2\x81\xa6"
                      "c"),
            "a?b?c");
}

TEST(PrintableTest, WhatIsNotUtf8IsMarked) {
  EXPECT_EQ(Printable("a\xff\xc0\x80"
                      "b\xe2\x82"),
            "a???b??");
}

TEST(PrintableTest, ItIsCutBetweenCharacters) {
  EXPECT_EQ(Printable("abc", 2), "ab");
  EXPECT_EQ(Printable("aé", 2), "a");
}

}  // namespace
}  // namespace dure
