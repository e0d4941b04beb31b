// One line a log entry, on standard error, with time and level. Thread-safe.
// Never logged: shares, seeds, unmasked inputs, per-client norms, tokens.
#ifndef DURE_BASE_LOG_H_
#define DURE_BASE_LOG_H_

#include <string_view>

namespace dure {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Entries below `level` are dropped. The default is kInfo.
void SetLogLevel(LogLevel level);
void LogDebug(std::string_view text);
void LogInfo(std::string_view text);
void LogWarning(std::string_view text);
void LogError(std::string_view text);

}  // namespace dure

#endif  // DURE_BASE_LOG_H_
