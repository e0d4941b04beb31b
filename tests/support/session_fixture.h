// Both ends of the wire on loopback, for tests of transport: certificates, recorders of what
// happens at each end, and a fixture that starts a server and opens sessions.
#ifndef DURE_TESTS_SUPPORT_SESSION_FIXTURE_H_
#define DURE_TESTS_SUPPORT_SESSION_FIXTURE_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/client.h"
#include "transport/server.h"

namespace dure {

inline constexpr absl::Duration kPatience = absl::Seconds(30);

// Waits for what other threads bring about.
class Monitor {
 public:
  template <typename Change>
  void Update(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), condition);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

struct Identity {
  SigningKey key;
  std::string certificate_pem;
  std::string key_pem() const { return ToString(key.ToPem().view()); }
};

// An enrolment CA and the certificates it issues, valid for a day unless a test wants otherwise.
class Ca {
 public:
  explicit Ca(std::string name = "fashion", Validity validity = Day())
      : key_(SigningKey::Generate(random_)),
        der_(MakeEnrolmentCa(key_, name, validity, random_).value()),
        issuer_(CertificateIssuer::Create(der_, &key_).value()) {}

  static Validity Day() { return {absl::Now() - absl::Minutes(5), absl::Now() + absl::Hours(24)}; }
  Identity Coordinator(Validity validity = Day()) {
    SigningKey key = SigningKey::Generate(random_);
    std::string der = issuer_.IssueCoordinator(key.public_key(), validity, random_).value();
    return {std::move(key), CertificateToPem(der)};
  }
  Identity Member(std::string name, Validity validity = Day(),
                  CertificateRole role = CertificateRole::kMember) {
    SigningKey key = SigningKey::Generate(random_);
    std::string der =
        issuer_.IssueMember({role, std::move(name), "Clinic"}, key.public_key(), validity, random_)
            .value();
    return {std::move(key), CertificateToPem(der)};
  }
  const std::string& der() const { return der_; }
  std::string pem() const { return CertificateToPem(der_); }

 private:
  SystemRandom random_;
  SigningKey key_;
  std::string der_;
  CertificateIssuer issuer_;
};

// Keeps what happens at a server.
class ServerRecorder final : public ServerEvents, public Monitor {
 public:
  void OnDescribe(DescribeRequest request, DescribeCallback reply) override {
    DescribeReply answer;
    answer.set_name(absl::StrCat("invited with ", request.secret()));
    if (drop_requests) return;
    Update([&] { replies.push_back(reply); });
    if (hold_requests) return;
    reply(answer);
    reply(absl::InternalError("a second answer does not count"));
  }
  void OnEnrol(EnrolRequest request, EnrolCallback reply) override {
    if (request.secret() != "right") {
      return reply(absl::NotFoundError("the invitation was used already"));
    }
    EnrolReply answer;
    answer.set_certificate(absl::StrCat("for ", request.certificate_request()));
    reply(answer);
  }
  void OnFetch(FetchRequest request, std::optional<Certificate> member,
               FetchCallback reply) override {
    Update([&] { fetched_by.push_back(member ? member->name : request.secret()); });
    if (!fetch) return reply(absl::NotFoundError("no file has this digest"));
    reply(fetch(request));
  }
  void OnOpen(Peer peer) override {
    Update([&] {
      log.push_back(absl::StrCat("open ", peer.id.value()));
      peers.push_back(std::move(peer));
    });
  }
  void OnMessage(PeerId peer, ClientMessage message, ReadCredit credit) override {
    Update([&] {
      log.push_back(absl::StrCat("message ", peer.value()));
      if (hold_credits) credits.push_back(std::move(credit));
      messages.emplace_back(peer, std::move(message));
    });
  }
  void OnClose(PeerId peer, absl::Status status) override {
    Update([&] {
      log.push_back(absl::StrCat("close ", peer.value()));
      closed[peer] = std::move(status);
    });
  }

  std::function<absl::StatusOr<FetchReply>(const FetchRequest&)> fetch;
  std::vector<std::string> fetched_by;
  bool drop_requests = false;
  bool hold_requests = false;
  bool hold_credits = false;
  std::vector<DescribeCallback> replies;
  std::vector<Peer> peers;
  std::vector<std::pair<PeerId, ClientMessage>> messages;
  std::vector<ReadCredit> credits;
  std::map<PeerId, absl::Status> closed;
  std::vector<std::string> log;
};

class SessionRecorder final : public SessionEvents, public Monitor {
 public:
  void OnOpen(Certificate coordinator, std::string) override {
    Update([&] { opened = coordinator; });
  }
  void OnMessage(ServerMessage message, std::shared_ptr<void> credit) override {
    Update([&] {
      messages.push_back(std::move(message));
      if (hold_credits) credits.push_back(std::move(credit));
    });
  }
  void OnClose(absl::Status status) override {
    Update([&] { closed = std::move(status); });
  }
  absl::Status AwaitClose() {
    EXPECT_TRUE(Await([&] { return closed.has_value(); }));
    return closed.value_or(absl::OkStatus());
  }
  bool AwaitOpen() {
    return Await([&] { return opened.has_value() || closed.has_value(); }) && opened.has_value();
  }

  bool hold_credits = false;
  std::vector<std::shared_ptr<void>> credits;
  std::optional<Certificate> opened;
  std::vector<ServerMessage> messages;
  std::optional<absl::Status> closed;
};

inline ClientMessage Say(std::string text) {
  ClientMessage message;
  message.mutable_hello()->set_software(std::move(text));
  return message;
}
inline ServerMessage Tell(std::string text) {
  ServerMessage message;
  message.mutable_finished()->set_text(std::move(text));
  return message;
}

class SessionTest : public ::testing::Test {
 protected:
  // Options of a server with a certificate of `ca_`.
  ServerOptions Options() {
    Identity identity = ca_.Coordinator();
    return {.ca_pem = ca_.pem(),
            .certificate_pem = identity.certificate_pem,
            .key_pem = identity.key_pem()};
  }
  void StartServer(const ServerOptions& options) {
    auto server = Server::Start(options, &events_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void StartServer() { StartServer(Options()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", server_->port()); }
  Invitation InvitationWith(std::string secret) {
    Invitation invitation;
    invitation.set_address(address());
    invitation.set_secret(std::move(secret));
    invitation.set_ca_certificate(ca_.der());
    return invitation;
  }
  SessionOptions SessionOf(const Identity& identity) {
    return {.address = address(),
            .ca_pem = ca_.pem(),
            .certificate_pem = identity.certificate_pem,
            .key_pem = identity.key_pem()};
  }
  std::unique_ptr<Session> Open(const SessionOptions& options, SessionRecorder* recorder) {
    auto session = Session::Open(options, recorder);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  std::unique_ptr<Session> Open(const Identity& identity, SessionRecorder* recorder) {
    return Open(SessionOf(identity), recorder);
  }
  bool AwaitPeers(size_t count) {
    return events_.Await([&] { return events_.peers.size() >= count; });
  }
  absl::Status AwaitServerClose(PeerId peer) {
    EXPECT_TRUE(events_.Await([&] { return events_.closed.contains(peer); }));
    return events_.closed[peer];
  }

  Ca ca_;
  ServerRecorder events_;
  std::unique_ptr<Server> server_;
};

inline void ExpectFault(const absl::Status& status, absl::StatusCode code,
                        const std::string& words) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(words));
}

}  // namespace dure

#endif  // DURE_TESTS_SUPPORT_SESSION_FIXTURE_H_
