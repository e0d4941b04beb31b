#include "base/log.h"

#include <mutex>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace dure {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%d %H:%M:%S %^%l%$ %v";

// What entries are about.
struct Context {
  std::mutex mutex;
  LogFormat format = LogFormat::kText;
  std::string federation;
  std::string member;
  uint32_t round = 0;
  uint32_t attempt = 0;
};

Context& TheContext() {
  static auto* const context = new Context;
  return *context;
}

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made =
        new spdlog::logger("dure", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern(kTextPattern);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    default:
      return "error";
  }
}

// The text is an argument, never a format string.
void Log(LogLevel level, std::string_view text, std::string_view member = {}) {
  const spdlog::level::level_enum as_spdlog = SpdlogLevel(level);
  if (!Logger().should_log(as_spdlog)) return;
  std::string line(text);
  Context& context = TheContext();
  {
    std::lock_guard lock(context.mutex);
    if (context.format == LogFormat::kJson) {
      line = LogEntryToJson({.unix_ms = absl::ToUnixMillis(absl::Now()),
                             .level = level,
                             .text = text,
                             .federation = context.federation,
                             .member = member.empty() ? context.member : member,
                             .round = context.round,
                             .attempt = context.attempt});
    }
  }
  Logger().log(as_spdlog, "{}", line);
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(SpdlogLevel(level)); }

void LogDebug(std::string_view text) { Log(LogLevel::kDebug, text); }
void LogInfo(std::string_view text) { Log(LogLevel::kInfo, text); }
void LogWarning(std::string_view text) { Log(LogLevel::kWarning, text); }
void LogError(std::string_view text) { Log(LogLevel::kError, text); }
void LogInfo(std::string_view text, std::string_view member) { Log(LogLevel::kInfo, text, member); }
void LogWarning(std::string_view text, std::string_view member) {
  Log(LogLevel::kWarning, text, member);
}

void SetLogFormat(LogFormat format) {
  Context& context = TheContext();
  std::lock_guard lock(context.mutex);
  context.format = format;
  Logger().set_pattern(format == LogFormat::kJson ? "%v" : kTextPattern);
}

LogFormat CurrentLogFormat() {
  Context& context = TheContext();
  std::lock_guard lock(context.mutex);
  return context.format;
}

void SetLogFederation(std::string_view federation) {
  Context& context = TheContext();
  std::lock_guard lock(context.mutex);
  context.federation = federation;
}

void SetLogMember(std::string_view member) {
  Context& context = TheContext();
  std::lock_guard lock(context.mutex);
  context.member = member;
}

void SetLogRound(uint32_t round, uint32_t attempt) {
  Context& context = TheContext();
  std::lock_guard lock(context.mutex);
  context.round = round;
  context.attempt = attempt;
}

std::string LogEntryToJson(const LogEntry& entry) {
  nlohmann::ordered_json object = {
      {"ts", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(entry.unix_ms),
                              absl::UTCTimeZone())},
      {"level", LevelName(entry.level)}};
  if (!entry.federation.empty()) object["federation"] = entry.federation;
  if (entry.round > 0) object["round"] = entry.round;
  if (entry.attempt > 0) object["attempt"] = entry.attempt;
  if (!entry.member.empty()) object["member"] = entry.member;
  object["msg"] = entry.text;
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace dure
