#include "base/command_tree.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CommandTreeTest, ComesBackAsItWas) {
  const CommandTree tree{
      .name = "dure",
      .description = "says \"hello\"\nand more",
      .footer = "Example:\n  dure",
      .options = {{.names = {"-h", "--help"}, .description = "prints this"},
                  {.names = {"DIR"}, .type = "TEXT", .positional = true, .required = true}},
      .commands = {{.name = "invite",
                    .options = {{.names = {"--role"},
                                 .type = "TEXT",
                                 .values = {"member", "evaluator"},
                                 .default_value = "member",
                                 .repeated = true}}}}};
  const absl::StatusOr<CommandTree> read = DecodeCommandTree(EncodeCommandTree(tree));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(EncodeCommandTree(*read), EncodeCommandTree(tree));
  EXPECT_EQ(read->description, tree.description);
  ASSERT_EQ(read->commands.size(), 1u);
  EXPECT_THAT(read->commands[0].options[0].values, ElementsAre("member", "evaluator"));
  EXPECT_TRUE(read->commands[0].options[0].repeated);
  EXPECT_TRUE(read->options[1].positional);
}

TEST(CommandTreeTest, AnythingElseIsRefused) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"options":[],"commands":[3]})",
        R"({"options":[{}],"commands":[]})", R"({"options":[1],"commands":[]})"}) {
    EXPECT_EQ(DecodeCommandTree(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(DecodeCommandTree(std::string(kMaxCommandTreeBytes + 1, ' ')).ok());
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += R"({"options":[],"commands":[)";
  for (int i = 0; i < 20; ++i) deep += "]}";
  EXPECT_FALSE(DecodeCommandTree(deep).ok());
}

TEST(CommandTreeTest, TypesAsHelpShowsThem) {
  EXPECT_EQ(TypeWord("TEXT:{member,evaluator}"), "TEXT");
  EXPECT_EQ(TypeWord("INT:INT in [1 - 62]"), "INT");
  EXPECT_EQ(TypeWord("FILE"), "FILE");
  EXPECT_THAT(TypeValues("TEXT:{member,evaluator}"), ElementsAre("member", "evaluator"));
  EXPECT_THAT(TypeValues("INT:INT in [1 - 62]"), IsEmpty());
}

}  // namespace
}  // namespace dure
