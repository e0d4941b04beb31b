#include "transport/connect_fault.h"

#include <initializer_list>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace dure {
namespace {

constexpr size_t kMaxShown = 1024;
constexpr char kNotCoordinator[] = "dure/not-coordinator";

// The words of gRPC and of the system for a cause, and plain ones.
struct Cause {
  absl::string_view words;
  absl::string_view plain;
};
constexpr Cause kCauses[] = {
    {"Connection refused", ": nothing listens there"},
    {"No route to host", ": there is no way to it (is this machine offline?)"},
    {"Network is unreachable", ": there is no way to it (is this machine offline?)"},
    {"Domain name not found", ": its name is not known"},
    {"Could not contact DNS servers",
     ": its name cannot be looked up (is this machine "
     "offline?)"},
    {"DNS resolution failed", ": its name cannot be looked up"},
    {"onnection reset", ": it broke the connection off"},
    {"ocket closed", ": it closed the connection"},
    {"imed out", ": it does not answer"},
    {"imeout", ": it does not answer"}};

// The words of gRPC 1.51 for a connection that was never made.
constexpr std::initializer_list<absl::string_view> kNeverConnected = {
    "failed to connect to all addresses", "DNS resolution failed", "empty address list"};
// Among them, those for a TLS server that could not prove to be the coordinator.
constexpr std::initializer_list<absl::string_view> kNotProved = {
    "SSL_ERROR_SSL", "Hostname Verification Check failed", "not in peer certificate"};
// The words of gRPC for a stream that broke without a status.
constexpr std::initializer_list<absl::string_view> kBroken = {"Stream removed", "RST_STREAM"};

bool HasAnyOf(absl::string_view text, std::initializer_list<absl::string_view> words) {
  for (absl::string_view word : words) {
    if (absl::StrContains(text, word)) return true;
  }
  return false;
}

absl::string_view PlainCause(absl::string_view words) {
  for (const Cause& cause : kCauses) {
    if (absl::StrContains(words, cause.words)) return cause.plain;
  }
  return "";
}

// Fit for a terminal, whoever wrote it.
std::string Printable(absl::string_view text) {
  std::string shown(text.substr(0, kMaxShown));
  for (char& c : shown) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return shown;
}

}  // namespace

absl::Status MarkNotCoordinator(absl::Status status) {
  status.SetPayload(kNotCoordinator, absl::Cord());
  return status;
}

bool IsNotCoordinator(const absl::Status& status) {
  return status.GetPayload(kNotCoordinator).has_value();
}

absl::Status ExplainCallFault(const absl::Status& status, const std::string& address,
                              absl::Time now) {
  if (status.ok()) return status;
  std::string words = Printable(status.message());
  bool local = status.code() == absl::StatusCode::kUnavailable;
  if (local && HasAnyOf(words, kNeverConnected)) {
    if (HasAnyOf(words, kNotProved)) {
      return MarkNotCoordinator(absl::UnauthenticatedError(absl::StrCat(
          address,
          " is not the coordinator of this federation: it has no certificate of the enrolment CA "
          "that is valid at this machine's time of ",
          absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", now, absl::UTCTimeZone()),
          ". Check the address and the clock; a proxy on the way that opens TLS has this effect "
          "too (",
          words, ")")));
    }
    return absl::UnavailableError(absl::StrCat("cannot reach the coordinator at ", address,
                                               PlainCause(words),
                                               ". Check the address, that the coordinator "
                                               "runs, and firewalls on the way (",
                                               words, ")"));
  }
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return absl::UnavailableError(
          absl::StrCat("the coordinator at ", address, " did not answer in time. Try again later"));
    case absl::StatusCode::kCancelled:
      return absl::UnavailableError(
          absl::StrCat("the session with the coordinator at ", address, " was cut off"));
    case absl::StatusCode::kUnimplemented:
      // What gRPC makes of an answer that is no message, and of a method that is not there.
      return absl::UnimplementedError(absl::StrCat(
          "the coordinator at ", address,
          " and this program do not understand each other: dure there and here is of different "
          "versions",
          words.empty() ? "" : absl::StrCat(" (", words, ")")));
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      if (!HasAnyOf(words, kBroken)) break;
      return absl::UnavailableError(
          absl::StrCat("the connection to the coordinator at ", address, " broke (", words, ")"));
    default:
      break;
  }
  return absl::Status(status.code(), absl::StrCat("coordinator at ", address, ": ", words));
}

}  // namespace dure
