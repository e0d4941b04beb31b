#include "learner/data/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "learner/data/table_fields.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<Schema> Infer(std::string_view text, const TableOptions& options) {
  CsvReader reader(text, 1 << 20, "t.csv", options.format.delimiter);
  return InferSchema(reader, options);
}

absl::StatusOr<Table> Read(std::string_view text, const Schema& schema) {
  CsvReader reader(text, 1 << 20, "t.csv", schema.format.delimiter);
  return ReadTable(reader, schema, 1);
}

absl::StatusOr<Dataset> Load(std::string_view text, const TableOptions& options) {
  auto schema = Infer(text, options);
  if (!schema.ok()) return schema.status();
  auto table = Read(text, *schema);
  if (!table.ok()) return table.status();
  return ToDataset(*std::move(table), "t.csv");
}

std::string MessageOf(std::string_view text, const TableOptions& options) {
  absl::Status status = Infer(text, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

constexpr char kClinic[] =
    "age,sex,bmi,outcome\n"
    "50, f ,27.5,yes\n"
    "+1e1,m,-3,no\n"
    "\"33\",f,0.25,yes\n";

TEST(TableTest, KindsCategoriesAndClassesAreFound) {
  auto schema = Infer(kClinic, {.label = "outcome"});
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(SchemaToText(*schema),
            "dure schema 1\ncolumn \"age\" numeric\ncolumn \"sex\" categorical \"f\" \"m\"\n"
            "column \"bmi\" numeric\nlabel \"outcome\" classes \"no\" \"yes\"\n");
  auto data = Load(kClinic, {.label = "outcome"});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(4));
  EXPECT_THAT(data->numbers, ElementsAre(50, 1, 0, 27.5f, 10, 0, 1, -3, 33, 1, 0, 0.25f));
  EXPECT_THAT(data->labels, ElementsAre(1, 0, 1));
  EXPECT_EQ(data->Record(1)[3], -3);
  EXPECT_EQ(data->Select(std::vector<uint32_t>{2}).numbers, (std::vector<float>{33, 1, 0, 0.25f}));
}

TEST(TableTest, LabelsThatAreNumbersAreClassNumbers) {
  auto schema = Infer("x,y\n1,3\n2,1.0\n", {.label = "y"});
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_THAT(schema->label.classes, ElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(Read("x,y\n1,3\n2,1.0\n", *schema)->labels, ElementsAre(3, 1));
  schema = Infer("x,y\n1,4\n2,2\n", {.label = "y", .classes = {"2", "4"}});
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_THAT(Read("x,y\n1,4\n2,2\n", *schema)->labels, ElementsAre(1, 0));
  EXPECT_THAT(MessageOf("x,y\n1,4\n2,3\n", {.label = "y", .classes = {"2", "4"}}),
              StartsWith("t.csv:3: column 2 (\"y\"): \"3\" is none of the classes"));
}

TEST(TableTest, MissingValuesFollowTheRule) {
  const std::string text = "a,b,y\n1,p,0\n?,NA,1\n-9,q,0\n";
  TableOptions options{.label = "y"};
  EXPECT_THAT(MessageOf(text, options),
              StartsWith("t.csv:3: column 1 (\"a\"): a value is missing here: "));
  options.missing = MissingRule::kConstant;
  options.constant = 7;
  EXPECT_THAT(Load(text, options)->numbers, ElementsAre(1, 1, 0, 7, 0, 0, -9, 0, 1));
  options.format.missing_values = {"-9"};
  EXPECT_THAT(Load(text, options)->numbers, ElementsAre(1, 1, 0, 7, 0, 0, 7, 0, 1));
  options.missing = MissingRule::kMean;
  auto table = Read(text, *Infer(text, options));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(std::isnan(table->values[2]) && std::isnan(table->values[3]));
  const auto summaries = Summarise(*table);
  EXPECT_EQ(summaries[0].missing, 2u);
  EXPECT_EQ(summaries[0].mean, 1);
  EXPECT_EQ(summaries[1].missing, 1u);
  EXPECT_THAT(summaries[1].category_counts, ElementsAre(1, 1));
  EXPECT_THAT(std::string(ToDataset(*table, "t.csv").status().message()),
              StartsWith("t.csv: record 2, column \"a\": a missing value should become the mean"));
  table->schema.columns[0].mean = 3;
  table->schema.columns[0].deviation = 2;
  EXPECT_THAT(ToDataset(*table, "t.csv")->numbers, ElementsAre(-1, 1, 0, 0, 0, 0, 0, 0, 1));
}

TEST(TableTest, FaultsNameFileLineColumnAndRemedy) {
  const TableOptions y{.label = "y"};
  EXPECT_THAT(MessageOf("", y), StartsWith("t.csv is empty"));
  EXPECT_THAT(MessageOf("x,y\n", y), StartsWith("t.csv holds no record"));
  EXPECT_THAT(MessageOf("x,y\n1,0\n2\n", y),
              StartsWith("t.csv:3: column 2 (\"y\"): missing: this line has 1 field, the table has "
                         "2 columns"));
  EXPECT_THAT(MessageOf("x,y\n1,0,5\n", y),
              StartsWith("t.csv:2: column 3: too much: this line has 3 fields"));
  EXPECT_THAT(MessageOf("x,x,y\n1,2,0\n", y), StartsWith("t.csv:1: column 2 is called \"x\" like"));
  EXPECT_THAT(MessageOf("x,,y\n1,2,0\n", y), StartsWith("t.csv:1: column 2 has no name"));
  EXPECT_THAT(MessageOf("x,outcome\n1,0\n", {.label = "outcom"}),
              StartsWith("t.csv has no column \"outcom\": did you mean \"outcome\"?"));
  EXPECT_THAT(MessageOf("1.5,0\n", y), HasSubstr("say --no-header"));
  EXPECT_THAT(MessageOf("x;y\n1;0\n", y), HasSubstr("say which with --delimiter"));
  EXPECT_THAT(MessageOf("x,y\n1,0\n1x,0\n", y),
              StartsWith("t.csv:3: column 1 (\"x\"): \"1x\" is no number, and other values"));
  EXPECT_THAT(MessageOf("x,y\n1x,0\n1,0\n", y),
              StartsWith("t.csv:2: column 1 (\"x\"): \"1x\" is no number, and other values"));
  EXPECT_THAT(MessageOf("x,y\n\"1,5\",0\n", {.label = "y", .numeric = {"x"}}),
              HasSubstr("write decimals with a point"));
  EXPECT_THAT(MessageOf("x,y\ninf,0\n", {.label = "y", .numeric = {"x"}}), HasSubstr("no number"));
  EXPECT_THAT(MessageOf("x,y\n1,\n", y), HasSubstr("the label is missing"));
  EXPECT_THAT(MessageOf("x,z,y\n1,?,0\n", {.label = "y", .missing = MissingRule::kMean}),
              HasSubstr("column 2 (\"z\") has no value at all"));
  EXPECT_THAT(MessageOf("x,y\n1,0\n", {.label = "y", .numeric = {"x"}, .ignored = {"x"}}),
              HasSubstr("named for two things"));
  EXPECT_THAT(MessageOf("x,y\n1,0\n", {.label = "y", .ignored = {"x"}}),
              HasSubstr("nothing to learn from"));
  std::string text = "x,y\n";
  for (size_t i = 0; i <= kMaxCategories; ++i) text += "w" + std::to_string(i) + ",0\n";
  EXPECT_THAT(MessageOf(text, y), StartsWith("t.csv:1002: column 1 (\"x\"): more than 1000"));
  EXPECT_THAT(MessageOf(text, {.label = "x"}), HasSubstr("more than 256 different labels"));
}

TEST(TableTest, AStatedSchemaIsHeldTo) {
  const auto schema = Infer(kClinic, {.label = "outcome"});
  // Another order and a column more.
  auto table = Read("zip,outcome,bmi,sex,age\n1,no,2,m,3\n", *schema);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->values, ElementsAre(3, 1, 2));
  auto message = [&](std::string_view text) {
    absl::Status status = Read(text, *schema).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message("age,sex,bmi,outcome\n1,x,2,no\n"),
              StartsWith("t.csv:2: column 2 (\"sex\"): \"x\" is none of the 2 categories"));
  EXPECT_THAT(message("age,sex,bmi,outcome\n1,m,2,perhaps\n"),
              StartsWith("t.csv:2: column 4 (\"outcome\"): \"perhaps\" is none of the 2 classes"));
  EXPECT_THAT(message("age,sex,bmi,outcome\n1,m,1e39,no\n"), HasSubstr("1e39 is beyond 3.4e38"));
  EXPECT_THAT(message("age,sex,outcome\n1,m,no\n"), HasSubstr("no column \"bmi\""));
  EXPECT_THAT(message("age,sex,bmi,outcome\nold,m,1,no\n"), HasSubstr("\"old\" is no number"));
  EXPECT_EQ(Read("age,sex,bmi,outcome\n", *schema)->records(), 0u);
}

TEST(TableTest, AFileIsComparedWithASchema) {
  const auto there = SchemaFromText(
      "dure schema 1\ncolumn \"age\" numeric\ncolumn \"ward\" categorical \"1\" \"2\"\n"
      "column \"bmi\" numeric\nlabel \"y\" classes \"2\" \"4\"\n",
      "there");
  ASSERT_TRUE(there.ok()) << there.status();
  auto differences = [&](std::string_view text) {
    auto here = Infer(text, {.like = &*there});
    EXPECT_TRUE(here.ok()) << here.status();
    return SchemaDifferences(*there, *here);
  };
  EXPECT_THAT(differences("zip,y,bmi,ward,age\nx,4,2,1,3\n,4.0,?,1,\n"), ElementsAre());
  EXPECT_THAT(differences("age,ward,y\nold,3,3\n"),
              ElementsAre("column \"age\": numeric there, categorical here",
                          "column \"ward\": category \"3\" here, not there (\"1\", \"2\")",
                          "column \"bmi\" is missing",
                          "label \"y\": class \"3\" here, not there (\"2\", \"4\")"));
  EXPECT_THAT(differences("age,ward,bmi\n1,1,1\n"),
              ElementsAre("the label, column \"y\", is missing"));
}

TEST(TableTest, NumericLabelsAreKept) {
  Schema schema;
  schema.columns = {{.name = "x", .kind = ColumnKind::kNumeric}};
  schema.label = {.name = "y", .numeric = true};
  auto table = Read("x,y\n1,2.5\n", schema);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->labels, ElementsAre(2.5f));
  auto data = ToDataset(*table, "t.csv");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->labels, ElementsAre(2.5f));
}

TEST(TableTest, ALabelNamedAsNumericIsANumberToPredict) {
  const std::string_view bytes = "x,y\n1,2.5\n2,-3\n";
  CsvReader reader(bytes, bytes.size(), "t.csv", ',');
  const auto schema = InferSchema(reader, {.label = "y", .numeric = {"y"}});
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_TRUE(schema->label.numeric);
  EXPECT_TRUE(schema->label.classes.empty());
  EXPECT_THAT(MessageOf("x,y\n1,2\n2,high\n", {.label = "y", .numeric = {"y"}}),
              HasSubstr("t.csv:3: column 2 (\"y\"): \"high\" is no number to predict"));
}

TEST(TableTest, NumbersAreReadAsPeopleWriteThem) {
  double value = 0;
  for (const char* text : {"1", " 1.5 ", "+2", "-3e-2", ".5", "5.", "1e-400"}) {
    EXPECT_TRUE(ParseNumber(text, &value)) << text;
  }
  for (const char* text : {"", " ", "+", "-", "+-1", "1 2", "0x10", "1e999", "nan", "inf", "1,5"}) {
    EXPECT_FALSE(ParseNumber(text, &value)) << text;
  }
}

class TableFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "dure_table_test";
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(WriteFileAtomic(folder_ + "/" + name, text).ok());
  }
  std::string folder_;
};

TEST_F(TableFolderTest, AFolderWithATableAndItsSchemaIsADataSet) {
  EXPECT_THAT(std::string(ReadDataFolder(folder_).status().message()),
              HasSubstr("and no records.csv"));
  Write("records.csv", kClinic);
  EXPECT_EQ(ReadDataFolder(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ReadDataFolder(folder_).status().message()),
              HasSubstr("records.schema is missing"));
  Write("records.schema", SchemaToText(*Infer(kClinic, {.label = "outcome"})));
  Write("heldout.csv", "age,sex,bmi,outcome\n1,m,2,no\n");
  auto data = ReadDataFolder(folder_);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->records(), 3u);
  EXPECT_EQ(ReadDataFolder(folder_, DataPart::kHeldOut)->records(), 1u);
  ModelSection model;
  model.mutable_input()->add_shape(4);
  model.mutable_input()->set_classes(2);
  EXPECT_TRUE(CheckDataset(*data, model, folder_).ok());
  EXPECT_THAT(std::string(ReadDataFolder(folder_ + "/records.csv").status().message()),
              HasSubstr("is a file, not a folder of records"));
}

}  // namespace
}  // namespace dure
