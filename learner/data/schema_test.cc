#include "learner/data/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Schema Clinic() {
  Schema schema;
  schema.columns = {{.name = "age", .kind = ColumnKind::kNumeric},
                    {.name = "bmi",
                     .kind = ColumnKind::kNumeric,
                     .missing = MissingRule::kMean,
                     .mean = 27.1,
                     .deviation = 5.25},
                    {.name = "sex", .kind = ColumnKind::kCategorical, .categories = {"f", "m"}},
                    {.name = "id"}};
  schema.label = {.name = "outcome", .classes = {"no", "yes"}};
  return schema;
}

constexpr char kClinicText[] =
    "dure schema 1\n"
    "column \"age\" numeric\n"
    "column \"bmi\" numeric missing mean standardise 27.1 5.25\n"
    "column \"sex\" categorical \"f\" \"m\"\n"
    "column \"id\" ignored\n"
    "label \"outcome\" classes \"no\" \"yes\"\n";

TEST(SchemaTest, TextIsCanonical) {
  EXPECT_EQ(SchemaToText(Clinic()), kClinicText);
  auto read = SchemaFromText(kClinicText, "s");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Clinic());
  EXPECT_EQ(read->width(), 4u);
  // Comments, empty lines, CRLF and more spaces than needed change nothing.
  read = SchemaFromText(
      "dure schema 1\r\n# of a clinic\n\ncolumn  \"age\"  numeric\nlabel \"y\" classes \"0\"\n",
      "s");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(SchemaToText(*read),
            "dure schema 1\ncolumn \"age\" numeric\nlabel \"y\" classes \"0\"\n");
}

TEST(SchemaTest, EveryNameSurvivesTheTextForm) {
  Schema schema = Clinic();
  schema.format = {.delimiter = '\t', .header = false, .missing_values = {"-999", "n \"a\""}};
  schema.columns[0].name = "a \"quoted\" \\ name\nof two lines \xC3\xA9 \x01\x7F";
  schema.columns[2].missing = MissingRule::kConstant;
  schema.columns[1].missing = MissingRule::kConstant;
  schema.columns[1].constant = -0.1;
  schema.label = {.name = "price", .numeric = true};
  ASSERT_TRUE(CheckSchema(schema).ok()) << CheckSchema(schema);
  auto read = SchemaFromText(SchemaToText(schema), "s");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, schema);
}

TEST(SchemaTest, RangesAreOfNumbersAndNoDifference) {
  Schema schema = Clinic();
  schema.columns[0].range = ValueRange{.low = 0, .high = 120};
  schema.columns[1].range = ValueRange{.low = -0.5, .high = 1e3};
  schema.label = {.name = "price", .numeric = true, .range = ValueRange{.low = 1, .high = 2}};
  const std::string text = SchemaToText(schema);
  EXPECT_THAT(text, HasSubstr("column \"age\" numeric range 0 120\n"));
  EXPECT_THAT(text, HasSubstr("numeric range -0.5 1000 missing mean standardise 27.1 5.25\n"));
  EXPECT_THAT(text, HasSubstr("label \"price\" numeric range 1 2\n"));
  auto read = SchemaFromText(text, "s");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, schema);
  Schema without = schema;
  without.columns[0].range.reset();
  EXPECT_THAT(SchemaDifferences(schema, without), IsEmpty());
  auto message = [](const std::string& line) {
    auto faulty = SchemaFromText("dure schema 1\n" + line + "\nlabel \"y\" classes \"0\"\n", "s");
    EXPECT_EQ(faulty.status().code(), absl::StatusCode::kInvalidArgument) << line;
    return std::string(faulty.status().message());
  };
  EXPECT_THAT(message("column \"a\" numeric range 1 1"), HasSubstr("the first below the second"));
  EXPECT_THAT(message("column \"a\" numeric range 2 1"), HasSubstr("the first below the second"));
  EXPECT_THAT(message("column \"a\" numeric range 0 1e39"), HasSubstr("from -1e38 to 1e38"));
  EXPECT_THAT(message("column \"a\" numeric range 1"), HasSubstr("a number is missing here"));
  EXPECT_THAT(message("column \"a\" categorical \"x\" range 0 1"), HasSubstr("only numbers have"));
}

TEST(SchemaTest, FaultsInTheTextNameTheLine) {
  auto message = [](const std::string& lines) {
    auto read = SchemaFromText("dure schema 1\n" + lines, "s");
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << lines;
    return std::string(read.status().message());
  };
  EXPECT_THAT(std::string(SchemaFromText("age,bmi\n", "s").status().message()),
              HasSubstr("s:1: a schema begins with the line \"dure schema 1\""));
  EXPECT_THAT(message("colum \"a\" numeric\n"), HasSubstr("s:2: a line must begin with"));
  EXPECT_THAT(message("column a numeric\n"), HasSubstr("s:2: a word in double quotes"));
  EXPECT_THAT(message("column \"a numeric\n"), HasSubstr("a quote is not closed"));
  EXPECT_THAT(message("column \"a\"numeric\n"), HasSubstr("a space is missing"));
  EXPECT_THAT(message("column \"\\q\" numeric\n"), HasSubstr("after a backslash"));
  EXPECT_THAT(message("column \"a\" number\n"), HasSubstr("numeric, categorical or ignored"));
  EXPECT_THAT(message("column \"a\" numeric missing zero\n"), HasSubstr("error, mean or constant"));
  EXPECT_THAT(message("column \"a\" numeric missing constant\n"), HasSubstr("a number is missing"));
  EXPECT_THAT(message("column \"a\" numeric standardise 1 nan\n"),
              HasSubstr("a number is missing"));
  EXPECT_THAT(message("column \"a\" numeric \"b\"\n"),
              HasSubstr("only range, missing and standardise"));
  EXPECT_THAT(message("label \"a\"\n"), HasSubstr("numeric or have classes"));
  EXPECT_THAT(message("label \"a\" numeric\nlabel \"b\" numeric\n"), HasSubstr("s:3: a second"));
  EXPECT_THAT(message("file delimiter \"ab\"\n"), HasSubstr("one character"));
  EXPECT_THAT(message("file header maybe\n"), HasSubstr("yes or no"));
  EXPECT_THAT(message("column \"a\" numeric\n"), HasSubstr("the label's column is empty"));
  EXPECT_EQ(SchemaFromText(std::string(kMaxSchemaBytes + 1, '#'), "s").status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(SchemaTest, SchemasThatMeanNothingAreRefused) {
  auto message = [](auto change) {
    Schema schema = Clinic();
    change(schema);
    absl::Status status = CheckSchema(schema);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message([](Schema& s) { s.columns[1].name = "age"; }), HasSubstr("there twice"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].name = ""; }), HasSubstr("is empty"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].name = "\xC3("; }), HasSubstr("not UTF-8"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].name = "\xED\xA0\x80"; }),
              HasSubstr("not UTF-8"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].name.assign(257, 'x'); }),
              HasSubstr("257 bytes, limit 256"));
  EXPECT_THAT(message([](Schema& s) { s.columns[2].categories = {}; }),
              HasSubstr("without a category"));
  EXPECT_THAT(message([](Schema& s) {
                s.columns[2].categories = {"f", "f"};
              }),
              HasSubstr("\"f\" twice"));
  EXPECT_THAT(message([](Schema& s) { s.columns[2].missing = MissingRule::kMean; }),
              HasSubstr("has no mean"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].deviation = 0; }), HasSubstr("the deviation"));
  EXPECT_THAT(message([](Schema& s) { s.columns[1].deviation.reset(); }), HasSubstr("together"));
  EXPECT_THAT(message([](Schema& s) { s.columns[0].constant = 1.0 / 0.0; }),
              HasSubstr("the constant"));
  EXPECT_THAT(message([](Schema& s) { s.label.name = "age"; }), HasSubstr("and a feature too"));
  EXPECT_THAT(message([](Schema& s) { s.label.classes.clear(); }),
              HasSubstr("numeric or have classes"));
  EXPECT_THAT(message([](Schema& s) { s.columns.clear(); }), HasSubstr("nothing to learn from"));
  EXPECT_THAT(message([](Schema& s) { s.format.delimiter = '"'; }), HasSubstr("the delimiter"));
  EXPECT_THAT(message([](Schema& s) { s.columns[2].categories.assign(1001, "x"); }),
              HasSubstr("limit 1000"));
}

TEST(SchemaTest, DifferencesAreListedInWords) {
  const Schema there = Clinic();
  EXPECT_THAT(SchemaDifferences(there, there), IsEmpty());

  // What is no difference: another order, fewer categories and classes, rules, ignored columns.
  Schema here = there;
  std::swap(here.columns[0], here.columns[2]);
  here.columns[0].categories = {"m"};
  here.columns[1].missing = MissingRule::kError;
  here.columns[3].name = "another id";
  here.label.classes = {"yes"};
  here.format.delimiter = ';';
  EXPECT_THAT(SchemaDifferences(there, here), IsEmpty());

  here = there;
  here.columns[0] = {.name = "age", .kind = ColumnKind::kCategorical, .categories = {"old"}};
  here.columns[1].name = "bmi2";
  here.columns[2].categories = {"f", "x", "y"};
  here.columns[3] = {.name = "zip", .kind = ColumnKind::kNumeric};
  here.label.classes = {"maybe", "no", "yes"};
  EXPECT_THAT(SchemaDifferences(there, here),
              ElementsAre("column \"age\": numeric there, categorical here",
                          "column \"bmi\" is missing: is it \"bmi2\" here?",
                          "column \"sex\": categories \"x\", \"y\" here, not there (\"f\", \"m\")",
                          "column \"bmi2\" is here only: --ignore leaves it out",
                          "column \"zip\" is here only: --ignore leaves it out",
                          "label \"outcome\": class \"maybe\" here, not there (\"no\", \"yes\")"));
  absl::Status status = CheckSchemaAgainst(there, here, "clinic.csv");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("clinic.csv does not have the federation's columns; 6 differences: "
                        "column \"age\": numeric there, categorical here; column"));

  here = there;
  here.label = {.name = "outcome", .numeric = true};
  EXPECT_THAT(SchemaDifferences(there, here),
              ElementsAre("label \"outcome\": classes there, a number here"));
  here.label.name = "result";
  EXPECT_THAT(SchemaDifferences(there, here),
              ElementsAre("the label is \"outcome\" there, \"result\" here"));
  EXPECT_TRUE(CheckSchemaAgainst(there, there, "clinic.csv").ok());
}

}  // namespace
}  // namespace dure
