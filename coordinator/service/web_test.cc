// The web page: what it says, to whom, and what a client that means ill can do to it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "coordinator/service/web_address.h"
#include "coordinator/service/web_json.h"
#include "coordinator/service/web_metrics.h"
#include "coordinator/service/web_server.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Stands still: however many ask, one look is enough.
class StoppedClock final : public Clock {
 public:
  absl::Time Now() override { return absl::FromUnixSeconds(1'700'000'000); }
};
// Each question comes an hour after the one before.
class RunningClock final : public Clock {
 public:
  absl::Time Now() override { return absl::FromUnixSeconds(3600 * ++hours_); }

 private:
  std::atomic<int64_t> hours_ = 0;
};

RunStatus StatusWithRounds(uint32_t from, uint32_t to) {
  RunStatus status;
  status.set_federation("clinics");
  status.set_state("running");
  status.set_phase("uploading");
  status.add_awaited("clinic-1");
  status.set_round(to);
  status.set_rounds(20);
  status.set_attempt(to + 2);
  status.set_max_attempts(40);
  status.set_failed_attempts(1);
  status.set_connected(2);
  status.set_cohort(3);
  status.set_minimum(2);
  status.set_evaluators(1);
  status.set_unit("record");
  status.set_epsilon(1.25);
  status.set_max_epsilon(8);
  status.set_delta(1e-5);
  status.set_bytes_received(1000);
  status.set_bytes_sent(2000);
  status.set_seconds(2.0 * to);
  status.set_eta_seconds(30);
  status.set_phase_seconds(4);
  for (uint32_t round = from; round <= to; ++round) {
    RoundReport* report = status.add_history();
    report->set_round(round);
    report->set_attempt(round + 1);
    report->set_survivors(3);
    report->set_cohort(3);
    report->set_epsilon(0.1 * round);
    report->set_seconds(2.0 * round);
    Evaluation* evaluation = status.add_evaluations();
    evaluation->set_round(round);
    evaluation->set_evaluator("hospital");
    evaluation->mutable_metrics()->set_records(100);
    evaluation->mutable_metrics()->set_loss(1.0 / round);
    evaluation->mutable_metrics()->set_accuracy(0.5);
  }
  return status;
}

MembersReply SomeMembers() {
  MembersReply members;
  MembersReply::Member* member = members.add_members();
  member->set_name("clinic-1");
  member->set_role(MEMBER);
  member->set_organisation("</script><script>alert(1)</script>");
  member->set_connected(true);
  member->set_doing("is awaited");
  member->set_last_seen_unix(1'700'000'000);
  member = members.add_members();
  member->set_name("clinic-2");
  member->set_role(MEMBER);
  member->set_revoked(true);
  member = members.add_members();
  member->set_name("hospital");
  member->set_role(EVALUATOR);
  return members;
}

struct Reply {
  int code = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class WebTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(WebServer::Options options) {
    web_.reset();
    if (options.address.host.empty()) options.address = *ParseWebAddress("0");
    options.views.federation = {.purpose = "Read X-rays", .license = "CC-BY-4.0"};
    if (!options.views.status) {
      options.views.status = [](RoundNumber) { return StatusWithRounds(1, 5); };
    }
    options.views.members = SomeMembers;
    if (options.views.clock == nullptr) options.views.clock = &stopped_;
    auto web = WebServer::Start(std::move(options));
    ASSERT_TRUE(web.ok()) << web.status();
    web_ = *std::move(web);
  }

  int Connect() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(static_cast<uint16_t>(web_->address().port))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }
  static void Send(int fd, const std::string& text) {
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;  // it has seen enough
      sent += static_cast<size_t>(count);
    }
  }
  // Until the other end closes.
  static std::string Receive(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
    }
    close(fd);
    return text;
  }
  std::string Raw(const std::string& request) {
    const int fd = Connect();
    Send(fd, request);
    return Receive(fd);
  }
  static Reply Parse(const std::string& text) {
    Reply reply;
    const size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return reply;
    std::vector<std::string> lines = absl::StrSplit(text.substr(0, end), "\r\n");
    EXPECT_TRUE(absl::SimpleAtoi(lines[0].substr(9, 3), &reply.code)) << lines[0];
    for (size_t i = 1; i < lines.size(); ++i) {
      const size_t colon = lines[i].find(": ");
      reply.headers[absl::AsciiStrToLower(lines[i].substr(0, colon))] = lines[i].substr(colon + 2);
    }
    reply.body = text.substr(end + 4);
    return reply;
  }
  Reply Get(const std::string& path, const std::string& method = "GET",
            const std::string& host = "localhost", const std::string& more = "") {
    return Parse(
        Raw(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", host, "\r\n", more, "\r\n")));
  }

  StoppedClock stopped_;
  std::unique_ptr<WebServer> web_;
};

TEST(WebAddressTest, APortAloneIsOfThisMachine) {
  for (const char* text : {"8080", ":8080", "127.0.0.1:8080"}) {
    auto address = ParseWebAddress(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), "127.0.0.1:8080");
    EXPECT_TRUE(address->loopback);
  }
  EXPECT_EQ(ParseWebAddress("[::1]:0")->ToString(), "[::1]:0");
  EXPECT_TRUE(ParseWebAddress("[::1]:0")->loopback);
  EXPECT_TRUE(ParseWebAddress("localhost:1")->loopback);
  for (const char* text : {"0.0.0.0:80", "[::]:80", "192.168.1.4:80", "host.example.org:80"}) {
    ASSERT_TRUE(ParseWebAddress(text).ok()) << text;
    EXPECT_FALSE(ParseWebAddress(text)->loopback) << text;
  }
  for (const char* text : {"", ":", "x", "-1", "65536", "127.0.0.1", "127.0.0.1:", "::1:80",
                           "[::1:80", "[]:80", "[x]:80", "a b:80", "a:8o", "1e3", " 80", "+80"}) {
    const absl::Status status = ParseWebAddress(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(WebAddressTest, OnlyOwnNamesAreAnswered) {
  const WebAddress loopback = *ParseWebAddress("8080");
  for (const char* host : {"localhost", "localhost:9000", "LOCALHOST", "127.0.0.1:8080",
                           "127.1.2.3", "[::1]:8080", "[::1]"}) {
    EXPECT_TRUE(HostIsAllowed(loopback, host)) << host;
  }
  for (const char* host :
       {"", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
        "192.168.1.4", "[::2]", "[::1", "[evil]", ":8080", "[", "[]", "::1"}) {
    EXPECT_FALSE(HostIsAllowed(loopback, host)) << host;
  }
  const WebAddress stated = *ParseWebAddress("monitor.example.org:8080");
  EXPECT_TRUE(HostIsAllowed(stated, "Monitor.example.org:8080"));
  EXPECT_FALSE(HostIsAllowed(stated, "evil.example"));
  EXPECT_FALSE(HostIsAllowed(stated, "192.168.1.4"));
  const WebAddress everywhere = *ParseWebAddress("0.0.0.0:8080");
  EXPECT_TRUE(HostIsAllowed(everywhere, "192.168.1.4:8080"));
  EXPECT_TRUE(HostIsAllowed(everywhere, "[2001:db8::1]:8080"));
  EXPECT_FALSE(HostIsAllowed(everywhere, "evil.example"));
}

TEST_F(WebTest, EveryAnswerHasThePolicy) {
  for (const char* path : {"/", "/page.css", "/page.js", "/icon.svg", "/status.json", "/metrics",
                           "/nothing", "/../../etc/passwd", "/%2e%2e/x"}) {
    const Reply reply = Get(path);
    EXPECT_EQ(reply.code,
              absl::StrContains(path, "not") || path[1] == '.' || path[1] == '%' ? 404 : 200)
        << path;
    const std::string policy = reply.headers.at("content-security-policy");
    for (const char* part : {"default-src 'none'", "script-src 'self'", "style-src 'self'",
                             "connect-src 'self'", "img-src 'self' data:", "base-uri 'none'",
                             "form-action 'none'", "frame-ancestors 'none'"}) {
      EXPECT_THAT(policy, HasSubstr(part));
    }
    EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
    EXPECT_EQ(reply.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(reply.headers.at("referrer-policy"), "no-referrer");
    EXPECT_EQ(reply.headers.at("cache-control"), "no-store");
    EXPECT_EQ(reply.headers.count("access-control-allow-origin"), 0u);
    EXPECT_EQ(reply.headers.count("set-cookie"), 0u);
  }
}

TEST_F(WebTest, ThePageHasNothingInline) {
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("<script src=\"page.js\" defer>"));
  EXPECT_FALSE(std::regex_search(page, std::regex("<script(?![^>]* src=)")));
  EXPECT_FALSE(std::regex_search(page, std::regex("<style|\\sstyle=|\\son[a-z]+=")));
  EXPECT_THAT(page, Not(HasSubstr("http")));  // nothing from elsewhere
  const std::string script = Get("/page.js").body;
  for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                           "eval(", "http://", "https://"}) {
    EXPECT_THAT(script, Not(HasSubstr(word)));
  }
}

TEST_F(WebTest, ReadingOnly) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    const Reply reply = Get("/status.json", method);
    EXPECT_EQ(reply.code, 405) << method;
    EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD");
  }
  EXPECT_EQ(Get("/", "POST", "localhost", "Content-Length: 99999999999\r\n").code, 405);
  EXPECT_EQ(Get("/", "POST", "localhost", "Transfer-Encoding: chunked\r\n").code, 405);
  const Reply head = Get("/status.json", "HEAD");
  EXPECT_EQ(head.code, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.headers.at("content-length"), absl::StrCat(Get("/status.json").body.size()));
}

TEST_F(WebTest, AnswersToItsOwnNamesOnly) {
  for (const char* host : {"evil.example", "evil.example:80", "10.0.0.1", "[::2]"}) {
    const Reply reply = Get("/status.json", "GET", host);
    EXPECT_EQ(reply.code, 403) << host;
    EXPECT_THAT(reply.body, Not(HasSubstr("clinics")));
  }
  EXPECT_EQ(Get("/", "GET", "127.0.0.1:1").code, 200);
  EXPECT_EQ(Get("/", "GET", "localhost\r\nHost: evil.example").code, 403);
  EXPECT_EQ(Parse(Raw("GET / HTTP/1.1\r\n\r\n")).code, 400);
}

TEST_F(WebTest, TheStateAsJson) {
  const Reply reply = Get("/status.json");
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  const json status = json::parse(reply.body);
  EXPECT_EQ(status["federation"]["name"], "clinics");
  EXPECT_EQ(status["federation"]["purpose"], "Read X-rays");
  EXPECT_EQ(status["federation"]["license"], "CC-BY-4.0");
  EXPECT_EQ(status["sentence"], "Round 6 of 20, attempt 7: uploading; waiting for clinic-1");
  EXPECT_EQ(status["awaited"], json::array({"clinic-1"}));
  EXPECT_EQ(status["privacy"]["epsilon"], 1.25);
  EXPECT_EQ(status["eta_seconds"], 30);
  EXPECT_EQ(status["seconds_a_round"], 2);
  EXPECT_EQ(status["failed_attempts"], 1);
  ASSERT_EQ(status["history"].size(), 5u);
  EXPECT_EQ(status["history"][4]["duration_seconds"], 2);
  EXPECT_EQ(status["curves"]["loss"][1], json::array({2, 0.5}));
  EXPECT_EQ(status["curves"]["accuracy"].size(), 5u);
  ASSERT_EQ(status["members"].size(), 3u);
  EXPECT_EQ(status["members"][0]["doing"], "is awaited");
  EXPECT_EQ(status["members"][1]["state"], "revoked");
  EXPECT_EQ(status["members"][2]["role"], "evaluator");
  EXPECT_FALSE(status["members"][0].contains("client_id"));
}

TEST(WebJsonTest, WhatIsNoNumberIsNull) {
  WebView view;
  view.status = StatusWithRounds(1, 1);
  view.status.set_epsilon(std::numeric_limits<double>::infinity());
  view.status.set_eta_seconds(-1);
  view.status.mutable_evaluations(0)->mutable_metrics()->set_loss(std::nan(""));
  view.status.set_federation("\xff");
  const json status = json::parse(WebViewToJson({}, view));
  EXPECT_TRUE(status["privacy"]["epsilon"].is_null());
  EXPECT_TRUE(status["eta_seconds"].is_null());
  EXPECT_TRUE(status["curves"]["loss"][0][1].is_null());
  EXPECT_EQ(status["federation"]["name"], "\xEF\xBF\xBD");
}

TEST(WebJsonTest, AFigureIsAMeanWeightedByRecords) {
  RunStatus status = StatusWithRounds(2, 2);
  Evaluation* other = status.add_evaluations();
  other->set_round(2);
  other->mutable_metrics()->set_records(300);
  other->mutable_metrics()->set_loss(1.5);
  EXPECT_EQ(CurvesOf(status).at("loss"), (WebCurve{{2, 1.25}}));
}

TEST(WebJsonTest, LongHistoriesAreThinned) {
  WebView view;
  view.status = StatusWithRounds(1, 5000);
  for (int i = 0; i < 3000; ++i) view.members.add_members()->set_name(absl::StrCat("m", i));
  const json status = json::parse(WebViewToJson({}, view));
  ASSERT_EQ(status["history"].size(), kMaxCurvePoints);
  EXPECT_EQ(status["history"][0]["round"], 1);
  EXPECT_EQ(status["history"][kMaxCurvePoints - 1]["round"], 5000);
  EXPECT_EQ(status["history"][7]["duration_seconds"], 2);
  EXPECT_EQ(status["curves"]["loss"].size(), kMaxCurvePoints);
  EXPECT_EQ(status["members"].size(), kMaxListedPeople);
  EXPECT_EQ(status["members_total"], 3000);
}

TEST(WebJsonTest, EveryStateIsASentence) {
  RunStatus status = StatusWithRounds(1, 5);
  status.clear_awaited();
  status.set_text("no budget is left");
  const std::pair<const char*, const char*> states[] = {
      {"waiting", "Waiting: uploading"},
      {"paused", "Paused by the organiser: uploading"},
      {"evaluating", "All rounds are done: uploading"},
      {"finished", "Finished after 5 of 20"},
      {"failed", "Stopped after round 5 of 20"}};
  for (const auto& [state, words] : states) {
    status.set_state(state);
    EXPECT_THAT(RunInWords(status), StartsWith(words));
    EXPECT_THAT(RunInWords(status), HasSubstr("; no budget is left"));
  }
  for (int i = 0; i < 7; ++i) status.add_awaited(absl::StrCat("m", i));
  EXPECT_THAT(RunInWords(status), HasSubstr("waiting for m0, m1, m2, m3 and 3 more"));
}

// The exposition format, line by line: metrics by name, as "NAME{LABELS}" to value.
std::map<std::string, double> ParseMetrics(const std::string& text) {
  std::map<std::string, double> values;
  std::map<std::string, std::string> types;
  std::set<std::string> helps;
  EXPECT_TRUE(absl::EndsWith(text, "\n"));
  std::istringstream lines(text);
  static const std::regex comment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex sample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"(,[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*")*\})? (\S+))");
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      const bool fresh = match[1] == "HELP" ? helps.insert(match[2]).second
                                            : types.emplace(match[2], match[3]).second;
      EXPECT_TRUE(fresh) << "twice: " << line;
      continue;
    }
    EXPECT_TRUE(std::regex_match(line, match, sample)) << line;
    const std::string family =
        std::regex_replace(match[1].str(), std::regex("_(bucket|sum|count)$"), "");
    const std::string type = types.count(family) ? types[family] : types[match[1]];
    EXPECT_TRUE(type == "gauge" || type == "counter" || type == "histogram") << line;
    EXPECT_EQ(type == "counter", absl::EndsWith(match[1].str(), "_total")) << line;
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(match[4].str(), &value)) << line;
    EXPECT_TRUE(values.emplace(match[1].str() + match[2].str(), value).second) << line;
  }
  return values;
}

TEST_F(WebTest, TheStateAsMetrics) {
  const Reply reply = Get("/metrics");
  EXPECT_THAT(reply.headers.at("content-type"), StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(reply.body, Not(HasSubstr("clinic-1")));
  const std::map<std::string, double> values = ParseMetrics(reply.body);
  EXPECT_EQ(values.at("dure_round"), 5);
  EXPECT_EQ(values.at("dure_rounds_total"), 5);
  EXPECT_EQ(values.at("dure_attempts_total"), 7);
  EXPECT_EQ(values.at("dure_attempts_failed_total"), 1);
  EXPECT_EQ(values.at("dure_run_state{state=\"running\"}"), 1);
  EXPECT_EQ(values.at("dure_run_state{state=\"failed\"}"), 0);
  EXPECT_EQ(values.at("dure_members_connected{role=\"member\"}"), 1);
  EXPECT_EQ(values.at("dure_members_enrolled{role=\"member\"}"), 1);
  EXPECT_EQ(values.at("dure_members_revoked{role=\"member\"}"), 1);
  EXPECT_EQ(values.at("dure_members_awaited"), 1);
  EXPECT_EQ(values.at("dure_epsilon{unit=\"record\"}"), 1.25);
  EXPECT_EQ(values.at("dure_received_bytes_total"), 1000);
  EXPECT_EQ(values.at("dure_sent_bytes_total"), 2000);
  EXPECT_EQ(values.at("dure_phase_duration_seconds"), 4);
  EXPECT_EQ(values.at("dure_round_duration_seconds_count"), 5);
  EXPECT_EQ(values.at("dure_round_duration_seconds_sum"), 10);
  EXPECT_EQ(values.at("dure_round_duration_seconds_bucket{le=\"1\"}"), 0);
  EXPECT_EQ(values.at("dure_round_duration_seconds_bucket{le=\"+Inf\"}"), 5);
  EXPECT_EQ(values.at("dure_evaluation_loss"), 0.2);
  EXPECT_EQ(values.at("dure_evaluation_round"), 5);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 0);
}

TEST(WebMetricsTest, AFigureOfOnesOwnCannotBreakTheFormat) {
  WebView view;
  view.status = StatusWithRounds(1, 1);
  view.status.set_unit("none");
  ModelMetrics* metrics = view.status.mutable_evaluations(0)->mutable_metrics();
  metrics->set_own_name("dice score, mean");
  metrics->set_own(0.75);
  const auto values = ParseMetrics(WebViewToMetrics(view));
  EXPECT_EQ(values.at("dure_evaluation_own{figure=\"dice score, mean\"}"), 0.75);
  EXPECT_EQ(values.count("dure_epsilon{unit=\"record\"}"), 0u);
}

TEST_F(WebTest, ManyPagesCostOneLook) {
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10; ++k) answered += Get("/status.json").code == 200 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 200);
  EXPECT_EQ(web_->views().looks(), 1);
}

TEST_F(WebTest, TheEndOfTheHistoryIsAskedForAgain) {
  RunningClock clock;
  std::atomic<uint32_t> round = 100;
  std::vector<uint32_t> asked;
  Start({.views = {.status =
                       [&](RoundNumber after) {
                         asked.push_back(after.value());
                         return StatusWithRounds(after.value() + 1, round);
                       },
                   .clock = &clock}});
  for (const uint32_t now : {100u, 101u, 230u, 231u}) {
    round = now;
    const json status = json::parse(Get("/status.json").body);
    ASSERT_EQ(status["history"].size(), now);
    for (uint32_t i = 0; i < now; ++i) {
      ASSERT_EQ(status["history"][i]["round"], i + 1);
      ASSERT_EQ(status["curves"]["loss"][i][0], i + 1);
    }
  }
  EXPECT_EQ(asked, (std::vector<uint32_t>{0, 36, 37, 166}));
}

TEST_F(WebTest, GarbageAndTooMuchOfItEndsTheConnection) {
  Raw("\x16\x03\x01\x02garbage");
  Raw(std::string(3000, '\0') + "\r\n\r\n");
  Raw(std::string(1 << 20, 'a'));
  Raw("GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n");
  std::string many = "GET / HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 100000; ++i) many += "X: y\r\n";
  Raw(many + "\r\n");
  Raw("GET / HTTP/9.9\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  close(Connect());
  EXPECT_EQ(Get("/").code, 200);
}

TEST_F(WebTest, OneRequestAConnection) {
  const std::string one = "GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string reply = Raw(one + one);
  EXPECT_EQ(reply.find("HTTP/1.1 200"), reply.rfind("HTTP/1.1 "));
  EXPECT_EQ(Parse(reply).headers.at("connection"), "close");
}

// A thousand ranges of one file would be a thousand copies in one answer.
TEST_F(WebTest, RangesAndCompressionAreIgnored) {
  const Reply reply = Get("/page.js", "GET", "localhost",
                          "Range: bytes=0-,0-,0-,0-\r\nAccept-Encoding: br, gzip\r\n");
  EXPECT_EQ(reply.code, 200);
  EXPECT_EQ(reply.headers.count("content-encoding"), 0u);
  EXPECT_EQ(reply.body, Get("/page.js").body);
  EXPECT_EQ(Get("/page.js", "GET", "localhost", "Range: bytes=x\r\n").code / 100, 4);
}

TEST_F(WebTest, SlowClientsAreLetGo) {
  const int silent = Connect();
  const int slow = Connect();
  Send(slow, "GET / HT");
  EXPECT_EQ(Get("/").code, 200);
  EXPECT_EQ(Receive(silent), "");
  EXPECT_EQ(Parse(Receive(slow)).code, 0);
}

TEST_F(WebTest, TwoHundredConnectionsThatSayNothing) {
  std::vector<int> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(Connect());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Get("/status.json").code, 200);
  for (const int fd : idle) EXPECT_EQ(Receive(fd), "");
}

// More than threads and queue take: the rest are turned away, and it goes on.
TEST_F(WebTest, TooManyConnectionsAreTurnedAway) {
  std::vector<int> idle;
  for (int i = 0; i < 400; ++i) idle.push_back(Connect());
  for (const int fd : idle) Receive(fd);
  EXPECT_EQ(Get("/status.json").code, 200);
}

TEST_F(WebTest, ABusyCoordinatorHoldsUpNobodyWhoHasSeenItBefore) {
  RunningClock clock;
  std::atomic<bool> busy = false;
  std::atomic<bool> asked = false;
  Start({.views = {.status =
                       [&](RoundNumber) {
                         asked = true;
                         while (busy) std::this_thread::yield();
                         return StatusWithRounds(1, 5);
                       },
                   .clock = &clock}});
  EXPECT_EQ(Get("/status.json").code, 200);
  busy = true;
  asked = false;
  std::thread held([&] { EXPECT_EQ(Get("/status.json").code, 200); });
  while (!asked) std::this_thread::yield();
  EXPECT_EQ(Get("/status.json").code, 200);
  EXPECT_EQ(Get("/metrics").code, 200);
  busy = false;
  held.join();
}

TEST_F(WebTest, WithoutDebiansScriptThereAreNoCurves) {
  Start({.chart_script = "/nowhere/chart.min.js"});
  EXPECT_FALSE(web_->has_charts());
  EXPECT_EQ(Get("/chart.js").code, 404);
  EXPECT_EQ(Get("/").code, 200);
  const std::string script = ::testing::TempDir() + "/chart.js";
  ASSERT_TRUE(WriteFileAtomic(script, "Chart = 1;").ok());
  Start({.chart_script = script});
  EXPECT_EQ(Get("/chart.js").body, "Chart = 1;");
}

TEST_F(WebTest, APortThatIsTakenIsNamed) {
  auto second = WebServer::Start({.address = web_->address()});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(web_->address().ToString()));
  auto elsewhere = WebServer::Start({.address = *ParseWebAddress("192.0.2.1:8080")});
  EXPECT_FALSE(elsewhere.ok());
}

}  // namespace
}  // namespace dure
