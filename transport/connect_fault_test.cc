#include "transport/connect_fault.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

void ExpectExplained(const absl::Status& status, absl::StatusCode code, const std::string& words) {
  absl::Status explained = ExplainCallFault(status, "host:7443", kNow);
  EXPECT_EQ(explained.code(), code) << explained;
  EXPECT_THAT(std::string(explained.message()), HasSubstr(words));
}

TEST(ConnectFaultTest, SuccessStaysSuccess) {
  EXPECT_TRUE(ExplainCallFault(absl::OkStatus(), "host:7443", kNow).ok());
}

TEST(ConnectFaultTest, NobodyThereIsUnavailable) {
  ExpectExplained(absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                         "ipv4:127.0.0.1:1: Connection refused"),
                  absl::StatusCode::kUnavailable, "cannot reach the coordinator at host:7443");
  ExpectExplained(absl::UnavailableError("DNS resolution failed for host:7443"),
                  absl::StatusCode::kUnavailable, "cannot reach");
  // A server that goes away in the middle of a handshake has proved nothing, nor the contrary.
  ExpectExplained(absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                         "ipv4:127.0.0.1:1: Socket closed"),
                  absl::StatusCode::kUnavailable, "cannot reach");
}

TEST(ConnectFaultTest, SomebodyElseThereIsUnauthenticated) {
  ExpectExplained(absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                         "Ssl handshake failed: SSL_ERROR_SSL: certificate verify "
                                         "failed"),
                  absl::StatusCode::kUnauthenticated, "is not the coordinator of this federation");
}

TEST(ConnectFaultTest, TheCauseIsSaidInPlainWords) {
  const struct {
    const char* grpc;
    const char* plain;
  } causes[] = {
      {"failed to connect to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:1: Failed to connect "
       "to remote host: Connection refused",
       "at host:7443: nothing listens there. Check the address"},
      {"failed to connect to all addresses; last error: UNKNOWN: No route to host",
       "at host:7443: there is no way to it (is this machine offline?). Check"},
      {"DNS resolution failed for host:7443: C-ares status is not ARES_SUCCESS: Domain name not "
       "found",
       "its name is not known"},
      {"failed to connect to all addresses; last error: UNKNOWN: connection attempt timed out "
       "before "
       "receiving SETTINGS frame",
       "it does not answer"}};
  for (const auto& [grpc, plain] : causes) {
    ExpectExplained(absl::UnavailableError(grpc), absl::StatusCode::kUnavailable, plain);
  }
}

TEST(ConnectFaultTest, SomebodyElseThereIsMarked) {
  const auto explain = [](const absl::Status& status) {
    return ExplainCallFault(status, "host:7443", kNow);
  };
  EXPECT_TRUE(IsNotCoordinator(explain(absl::UnavailableError(
      "failed to connect to all addresses; last error: UNKNOWN: SSL_ERROR_SSL"))));
  EXPECT_FALSE(IsNotCoordinator(explain(absl::UnauthenticatedError("you are no member"))));
  EXPECT_FALSE(IsNotCoordinator(
      explain(absl::UnavailableError("failed to connect to all addresses; Connection refused"))));
}

TEST(ConnectFaultTest, AWrongClockIsNamedAmongTheCauses) {
  ExpectExplained(absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                         "ipv4:127.0.0.1:1: Ssl handshake failed: SSL_ERROR_SSL: "
                                         "certificate verify failed"),
                  absl::StatusCode::kUnauthenticated,
                  "that is valid at this machine's time of 2027-01-15 08:00:00 UTC. Check the "
                  "address and the clock; a proxy");
}

TEST(ConnectFaultTest, SilenceAndBrokenStreamsAreUnavailable) {
  ExpectExplained(absl::DeadlineExceededError("Deadline Exceeded"), absl::StatusCode::kUnavailable,
                  "did not answer in time");
  ExpectExplained(absl::CancelledError("CANCELLED"), absl::StatusCode::kUnavailable, "cut off");
  ExpectExplained(absl::UnknownError("Stream removed"), absl::StatusCode::kUnavailable, "broke");
  // What a server without memory does.
  ExpectExplained(absl::ResourceExhaustedError("Received RST_STREAM with error code 11"),
                  absl::StatusCode::kUnavailable, "broke");
  ExpectExplained(absl::InternalError("Received RST_STREAM with error code 2"),
                  absl::StatusCode::kUnavailable, "broke");
}

TEST(ConnectFaultTest, AnotherProtocolIsAnotherVersion) {
  ExpectExplained(absl::UnimplementedError(""), absl::StatusCode::kUnimplemented,
                  "host:7443 and this program do not understand each other: dure there and here is "
                  "of different versions");
}

TEST(ConnectFaultTest, TheCoordinatorsOwnWordsAreKept) {
  ExpectExplained(absl::NotFoundError("the invitation was used already"),
                  absl::StatusCode::kNotFound, "the invitation was used already");
  ExpectExplained(absl::UnavailableError("the coordinator is stopping"),
                  absl::StatusCode::kUnavailable, "the coordinator is stopping");
  ExpectExplained(absl::InternalError("disk"), absl::StatusCode::kInternal, "disk");
}

TEST(ConnectFaultTest, TheWordsAreFitForATerminal) {
  absl::Status explained = ExplainCallFault(
      absl::NotFoundError("a\x1b[31mb\n" + std::string(5000, 'x')), "host:7443", kNow);
  EXPECT_THAT(std::string(explained.message()), HasSubstr("a [31mb x"));
  EXPECT_LT(explained.message().size(), 1100u);
}

}  // namespace
}  // namespace dure
