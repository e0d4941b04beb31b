#include "learner/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dure {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Records = std::vector<std::vector<std::string>>;

absl::StatusOr<Records> Read(std::string_view text, size_t chunk = 1 << 20, char delimiter = ',') {
  CsvReader reader(text, chunk, "t.csv", delimiter);
  Records records;
  for (;;) {
    absl::StatusOr<bool> more = reader.Next();
    if (!more.ok()) return more.status();
    if (!*more) return records;
    records.emplace_back(reader.fields().begin(), reader.fields().end());
  }
}

std::string MessageOf(std::string_view text, size_t chunk = 1 << 20) {
  auto records = Read(text, chunk);
  EXPECT_EQ(records.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(records.status().message());
}

TEST(CsvTest, FieldsAreTheSameHoweverTheBytesArrive) {
  const std::string text =
      "\xEF\xBB\xBF"
      "a,b,c\r\n"
      "1,\"two, with a comma\",\"three\nlines\r\nhere\"\n"
      "\r\n"
      "\n"
      ",\"\",\"a \"\"word\"\"\"\n"
      "x,y,\"z\"";
  const Records want = {{"a", "b", "c"},
                        {"1", "two, with a comma", "three\nlines\r\nhere"},
                        {"", "", "a \"word\""},
                        {"x", "y", "z"}};
  for (size_t chunk : {1u, 2u, 3u, 7u, 1000u}) {
    auto records = Read(text, chunk);
    ASSERT_TRUE(records.ok()) << records.status();
    EXPECT_EQ(*records, want) << chunk;
  }
}

TEST(CsvTest, OtherDelimitersAndAnEmptyFile) {
  EXPECT_EQ(*Read("a;b,c\n1;2\n", 100, ';'), (Records{{"a", "b,c"}, {"1", "2"}}));
  EXPECT_EQ(*Read("a\tb\n", 1, '\t'), (Records{{"a", "b"}}));
  EXPECT_EQ(*Read("a,b,"), (Records{{"a", "b", ""}}));
  EXPECT_EQ(*Read(""), Records{});
  EXPECT_EQ(*Read("\xEF\xBB\xBF"), Records{});
  EXPECT_EQ(*Read("\n\r\n"), Records{});
}

TEST(CsvTest, LinesAreCountedThroughQuotedFields) {
  CsvReader reader("h,i\n\"a\nb\",\"c\"\"\nd\"\ne,f\n", 3, "t.csv", ',');
  ASSERT_TRUE(*reader.Next());
  EXPECT_EQ(reader.LineOf(0), 1u);
  ASSERT_TRUE(*reader.Next());
  EXPECT_EQ(reader.LineOf(0), 2u);
  EXPECT_EQ(reader.LineOf(1), 3u);
  ASSERT_TRUE(*reader.Next());
  EXPECT_EQ(reader.LineOf(1), 5u);
  EXPECT_EQ(reader.Fault(1, "i", "why").message(), "t.csv:5: column 2 (\"i\"): why");
  EXPECT_FALSE(*reader.Next());
  EXPECT_FALSE(*reader.Next());
}

TEST(CsvTest, FaultsNameLineAndColumn) {
  for (size_t chunk : {1u, 1000u}) {
    EXPECT_THAT(MessageOf("a,b\n1,\"2\n3\n", chunk),
                StartsWith("t.csv:2: column 2: a quote opens here and is never closed"));
    EXPECT_THAT(MessageOf("a,b\n1,\"2\"3\n", chunk),
                StartsWith("t.csv:2: column 2: text after a closing quote"));
    EXPECT_THAT(MessageOf("a,b\n\n1,5\" pipe\n", chunk),
                StartsWith("t.csv:3: column 2: a quote inside a field without quotes"));
    EXPECT_THAT(MessageOf("a\rb\r", chunk), HasSubstr("a carriage return without a line feed"));
    EXPECT_THAT(MessageOf(std::string_view("a,b\n1\0,2\n", 9), chunk),
                StartsWith("t.csv:2: column 1: a zero byte"));
    EXPECT_THAT(MessageOf("\xFF\xFE"
                          "a",
                          chunk),
                StartsWith("t.csv:1: this is UTF-16"));
  }
}

TEST(CsvTest, LimitsAreKept) {
  std::string text = "a,\"" + std::string(kMaxCsvRecordBytes + 1, 'x') + "\"\n";
  EXPECT_EQ(Read(text).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Read(text).status().message()), HasSubstr("1048576 bytes, the limit"));
  text = std::string(kMaxCsvFields, ',') + "\n";
  EXPECT_EQ(Read(text).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Read(text).status().message()), HasSubstr("more than 20000 fields"));
  text = std::string(kMaxCsvFields - 1, ',') + "\n";
  EXPECT_TRUE(Read(text).ok());
}

}  // namespace
}  // namespace dure
