#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace dure {
namespace {

TEST(LogTest, AnEntryInJsonHasWhatIsKnown) {
  EXPECT_EQ(LogEntryToJson({.unix_ms = 1'700'000'000'123, .text = "started"}),
            R"({"ts":"2023-11-14T22:13:20.123Z","level":"info","msg":"started"})");
  EXPECT_EQ(LogEntryToJson({.unix_ms = 1,
                            .level = LogLevel::kWarning,
                            .text = "late",
                            .federation = "clinics",
                            .member = "clinic-3",
                            .round = 7,
                            .attempt = 9}),
            R"({"ts":"1970-01-01T00:00:00.001Z","level":"warning","federation":"clinics",)"
            R"("round":7,"attempt":9,"member":"clinic-3","msg":"late"})");
}

// A line stays a line, and UTF-8.
TEST(LogTest, WhatAMessageHasInItIsEscaped) {
  EXPECT_EQ(LogEntryToJson({.text = "a\n\"b\"\x1b\\ \xff {}"}),
            "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
            "\"msg\":\"a\\n\\\"b\\\"\\u001b\\\\ \xEF\xBF\xBD {}\"}");
}

TEST(LogTest, OneEntryIsOneLineOnStandardError) {
  SetLogFormat(LogFormat::kJson);
  SetLogFederation("clinics");
  SetLogRound(3, 4);
  ::testing::internal::CaptureStderr();
  LogInfo("clinic-1 is here", "clinic-1");
  LogError("no {} format");
  const std::string text = ::testing::internal::GetCapturedStderr();
  SetLogFormat(LogFormat::kText);
  SetLogFederation("");
  SetLogRound(0, 0);
  EXPECT_THAT(text, ::testing::MatchesRegex(
                        "\\{\"ts\":\"[^\"]*Z\",\"level\":\"info\",\"federation\":\"clinics\","
                        "\"round\":3,\"attempt\":4,\"member\":\"clinic-1\","
                        "\"msg\":\"clinic-1 is here\"\\}\n"
                        "\\{\"ts\":\"[^\"]*Z\",\"level\":\"error\",\"federation\":\"clinics\","
                        "\"round\":3,\"attempt\":4,\"msg\":\"no \\{\\} format\"\\}\n"));
  ::testing::internal::CaptureStderr();
  LogInfo("as before");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::MatchesRegex("[0-9]+-[0-9]+-[0-9]+ [0-9:]+ info as before\n"));
}

}  // namespace
}  // namespace dure
