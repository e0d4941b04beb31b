// One line a log entry, on standard error: with time and level for a person, or one JSON object for
// a program. Thread-safe.
// Never logged: shares, seeds, unmasked inputs, per-client norms, tokens.
#ifndef DURE_BASE_LOG_H_
#define DURE_BASE_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace dure {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Entries below `level` are dropped. The default is kInfo.
void SetLogLevel(LogLevel level);
void LogDebug(std::string_view text);
void LogInfo(std::string_view text);
void LogWarning(std::string_view text);
void LogError(std::string_view text);
// The same about one member, whose name the text has too.
void LogInfo(std::string_view text, std::string_view member);
void LogWarning(std::string_view text, std::string_view member);

// docs/web.md has the keys of an entry in JSON.
enum class LogFormat { kText, kJson };
void SetLogFormat(LogFormat format);
LogFormat CurrentLogFormat();

// What entries in JSON are about from now on; empty and 0 are left out. Entries in text do not
// change.
void SetLogFederation(std::string_view federation);
void SetLogMember(std::string_view member);
void SetLogRound(uint32_t round, uint32_t attempt);

// An entry as JSON, without a newline. Bytes that are no UTF-8 become U+FFFD.
struct LogEntry {
  int64_t unix_ms = 0;
  LogLevel level = LogLevel::kInfo;
  std::string_view text;
  std::string_view federation;
  std::string_view member;
  uint32_t round = 0;
  uint32_t attempt = 0;
};
std::string LogEntryToJson(const LogEntry& entry);

}  // namespace dure

#endif  // DURE_BASE_LOG_H_
