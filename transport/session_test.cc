// Both ends of the wire together, on loopback.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/wire.grpc.pb.h"
#include "tests/support/session_fixture.h"
#include "transport/client.h"
#include "transport/server.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

TEST_F(SessionTest, AnInvitationIsEnoughToAskAndToEnrol) {
  StartServer();
  auto description = Describe(InvitationWith("right"), kPatience);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->name(), "invited with right");
  EnrolRequest request;
  request.set_certificate_request("a key");
  auto reply = Enrol(InvitationWith("right"), request, kPatience);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->certificate(), "for a key");
}

TEST_F(SessionTest, ARefusalComesInTheCoordinatorsWords) {
  StartServer();
  ExpectFault(Enrol(InvitationWith("wrong"), {}, kPatience).status(), absl::StatusCode::kNotFound,
              "the invitation was used already");
}

TEST_F(SessionTest, MessagesGoBothWaysInOrder) {
  StartServer();
  SessionRecorder recorder;
  auto session = Open(ca_.Member("clinic-3"), &recorder);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(session->Send(Say(absl::StrCat(i))).ok());
  ASSERT_TRUE(recorder.AwaitOpen());
  EXPECT_EQ(recorder.opened->role, CertificateRole::kCoordinator);
  ASSERT_TRUE(AwaitPeers(1));
  const Peer& peer = events_.peers[0];
  EXPECT_EQ(peer.certificate.name, "clinic-3");
  EXPECT_EQ(peer.certificate.organisation, "Clinic");
  EXPECT_EQ(peer.certificate.role, CertificateRole::kMember);
  EXPECT_THAT(peer.address, HasSubstr("127.0.0.1"));
  for (int i = 0; i < 20; ++i) server_->Send(peer.id, Tell(absl::StrCat(i)));
  ASSERT_TRUE(events_.Await([&] { return events_.messages.size() == 20; }));
  ASSERT_TRUE(recorder.Await([&] { return recorder.messages.size() == 20; }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(events_.messages[i].second.hello().software(), absl::StrCat(i));
    EXPECT_EQ(recorder.messages[i].finished().text(), absl::StrCat(i));
  }
  session->Close();
  EXPECT_TRUE(recorder.AwaitClose().ok()) << *recorder.closed;
  EXPECT_TRUE(AwaitServerClose(peer.id).ok());
  ExpectFault(session->Send(Say("late")), absl::StatusCode::kUnavailable, "closed");
}

TEST_F(SessionTest, OneMessageForManyIsShared) {
  StartServer();
  SessionRecorder first, second;
  auto one = Open(ca_.Member("one"), &first);
  auto two = Open(ca_.Member("two"), &second);
  ASSERT_TRUE(AwaitPeers(2));
  auto message = std::make_shared<const ServerMessage>(Tell("all"));
  for (const Peer& peer : events_.peers) server_->Send(peer.id, message);
  for (SessionRecorder* recorder : {&first, &second}) {
    ASSERT_TRUE(recorder->Await([&] { return !recorder->messages.empty(); }));
    EXPECT_EQ(recorder->messages[0].finished().text(), "all");
  }
}

TEST_F(SessionTest, AnEvaluatorIsKnownAsOne) {
  StartServer();
  SessionRecorder recorder;
  auto session = Open(ca_.Member("judge", Ca::Day(), CertificateRole::kEvaluator), &recorder);
  ASSERT_TRUE(AwaitPeers(1));
  EXPECT_EQ(events_.peers[0].certificate.role, CertificateRole::kEvaluator);
}

TEST_F(SessionTest, ASessionNeedsACertificate) {
  StartServer();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_.pem();
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(std::string(kCoordinatorDnsName));
  Federation::Stub stub(grpc::CreateCustomChannel(address(), grpc::SslCredentials(tls), arguments));
  grpc::ClientContext context;
  auto stream = stub.Session(&context);
  ServerMessage message;
  EXPECT_FALSE(stream->Read(&message));
  grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("needs a certificate of this federation"));
  EXPECT_TRUE(events_.peers.empty());
}

TEST_F(SessionTest, CertificatesThatAreNotInOrderAreRefusedWithTheReason) {
  StartServer();
  Ca other("weather");
  struct Case {
    Identity identity;
    std::string words;
  };
  std::vector<Case> cases;
  cases.push_back({other.Member("clinic-3"), "issued by another CA"});
  cases.push_back(
      {ca_.Member("clinic-3", {absl::Now() - absl::Hours(2), absl::Now() - absl::Hours(1)}),
       "is not valid at the coordinator's time of"});
  cases.push_back({ca_.Coordinator(), "not that of a member"});
  for (const Case& c : cases) {
    SessionRecorder recorder;
    auto session = Open(c.identity, &recorder);
    ExpectFault(recorder.AwaitClose(), absl::StatusCode::kUnauthenticated, c.words);
    EXPECT_FALSE(recorder.opened.has_value());
  }
  EXPECT_TRUE(events_.peers.empty());
}

TEST_F(SessionTest, TheServersClockJudgesMembers) {
  ManualClock clock(absl::Now() + absl::Hours(12));
  ServerOptions options = Options();
  options.clock = &clock;
  StartServer(options);
  SessionRecorder recorder;
  Identity short_lived =
      ca_.Member("clinic-3", {absl::Now() - absl::Hours(1), absl::Now() + absl::Hours(1)});
  auto session = Open(short_lived, &recorder);
  ExpectFault(recorder.AwaitClose(), absl::StatusCode::kUnauthenticated, "expired on");
}

// A year off, both ways: what the member reads says whose time it was, and to check the clock.
TEST_F(SessionTest, AServerWhoseClockIsAYearOffSaysSo) {
  struct Case {
    absl::Duration off;
    std::string words;
  };
  for (const Case& c : {Case{absl::Hours(24 * 365), "expired on"},
                        Case{-absl::Hours(24 * 365), "is valid only from"}}) {
    ManualClock clock(absl::Now());
    ServerOptions options = Options();
    options.clock = &clock;
    StartServer(options);
    clock.Advance(c.off);
    SessionRecorder recorder;
    auto session = Open(ca_.Member("clinic-3"), &recorder);
    absl::Status status = recorder.AwaitClose();
    ExpectFault(status, absl::StatusCode::kUnauthenticated,
                "is not valid at the coordinator's time of");
    ExpectFault(status, absl::StatusCode::kUnauthenticated, c.words);
    ExpectFault(status, absl::StatusCode::kUnauthenticated, "check the clock");
  }
}

// A server with the certificate of `identity`, whatever it is.
std::unique_ptr<grpc::Server> Impostor(const Identity& identity, int* port) {
  static Federation::Service service;
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({identity.key_pem(), identity.certificate_pem});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), port);
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

// To a member whose clock is a year ahead or behind, the coordinator's certificate is one that has
// ended, or has not begun.
TEST_F(SessionTest, AMemberWhoseClockIsAYearOffIsToldToCheckIt) {
  for (absl::Duration off : {absl::Hours(24 * 365), -absl::Hours(24 * 365)}) {
    const absl::Time then = absl::Now() - off;
    Validity around{then - absl::Hours(1), then + absl::Hours(1)};
    Ca federation("fashion", around);
    int port = 0;
    auto server = Impostor(federation.Coordinator(around), &port);
    ASSERT_NE(server, nullptr);
    Invitation invitation;
    invitation.set_address(absl::StrCat("127.0.0.1:", port));
    invitation.set_ca_certificate(federation.der());
    Identity member = federation.Member("clinic-3", around);
    SessionRecorder recorder;
    auto session = Open({.address = invitation.address(),
                         .ca_pem = federation.pem(),
                         .certificate_pem = member.certificate_pem,
                         .key_pem = member.key_pem()},
                        &recorder);
    for (const absl::Status& status :
         {Describe(invitation, kPatience).status(), recorder.AwaitClose()}) {
      ExpectFault(status, absl::StatusCode::kUnauthenticated, "valid at this machine's time of 20");
      ExpectFault(status, absl::StatusCode::kUnauthenticated, "the clock");
    }
    server->Shutdown();
  }
}

TEST_F(SessionTest, NobodyElseIsTakenForTheCoordinator) {
  Ca other;
  for (const Identity& impostor :
       {ca_.Member("clinic-3"), ca_.Member("coordinator"), other.Coordinator()}) {
    int port = 0;
    auto server = Impostor(impostor, &port);
    ASSERT_NE(server, nullptr);
    SessionRecorder recorder;
    auto session = Open({.address = absl::StrCat("127.0.0.1:", port),
                         .ca_pem = ca_.pem(),
                         .certificate_pem = impostor.certificate_pem,
                         .key_pem = impostor.key_pem()},
                        &recorder);
    ExpectFault(recorder.AwaitClose(), absl::StatusCode::kUnauthenticated,
                "is not the coordinator of this federation");
    Invitation invitation;
    invitation.set_address(absl::StrCat("127.0.0.1:", port));
    invitation.set_ca_certificate(ca_.der());
    ExpectFault(Describe(invitation, kPatience).status(), absl::StatusCode::kUnauthenticated,
                "is not the coordinator of this federation");
    server->Shutdown();
  }
}

TEST_F(SessionTest, NobodyThereIsUnavailable) {
  StartServer();
  Invitation invitation = InvitationWith("right");
  SessionOptions options = SessionOf(ca_.Member("clinic-3"));
  server_.reset();
  ExpectFault(Describe(invitation, kPatience).status(), absl::StatusCode::kUnavailable,
              "cannot reach the coordinator at 127.0.0.1:");
  SessionRecorder recorder;
  auto session = Open(options, &recorder);
  ExpectFault(recorder.AwaitClose(), absl::StatusCode::kUnavailable, "cannot reach");
}

TEST_F(SessionTest, WhatCannotBeUsedIsRefusedAtOnce) {
  StartServer();
  SessionRecorder recorder;
  SessionOptions good = SessionOf(ca_.Member("clinic-3"));
  auto refused = [&](const SessionOptions& options, const std::string& words) {
    ExpectFault(Session::Open(options, &recorder).status(), absl::StatusCode::kInvalidArgument,
                words);
  };
  SessionOptions bad = good;
  bad.address = "nowhere";
  refused(bad, "HOST:PORT");
  bad = good;
  bad.key_pem = ca_.Member("clinic-4").key_pem();
  refused(bad, "not that of this member's certificate");
  bad = good;
  bad.ca_pem = "";
  refused(bad, "no certificate");
  bad = good;
  bad.certificate_pem = "x";
  refused(bad, "no certificate");
  EnrolRequest request;
  request.set_certificate_request(std::string(kMaxEnrolmentBytes, 'x'));
  ExpectFault(Enrol(InvitationWith("right"), request, kPatience).status(),
              absl::StatusCode::kInvalidArgument, "limit 65536");
}

TEST_F(SessionTest, AServerNeedsACertificateOfItsOwn) {
  auto refused = [&](const ServerOptions& options, absl::StatusCode code,
                     const std::string& words) {
    ExpectFault(Server::Start(options, &events_).status(), code, words);
  };
  ServerOptions options = Options();
  options.key_pem = ca_.Member("clinic-3").key_pem();
  refused(options, absl::StatusCode::kInvalidArgument, "private key is not that of");
  options = Options();
  Identity member = ca_.Member("clinic-3");
  options.certificate_pem = member.certificate_pem;
  options.key_pem = member.key_pem();
  refused(options, absl::StatusCode::kPermissionDenied, "not that of the coordinator");
  options = Options();
  ManualClock late(absl::Now() + absl::Hours(25));
  options.clock = &late;
  refused(options, absl::StatusCode::kFailedPrecondition, "expired on");
  options = Options();
  options.listen = "7443";
  refused(options, absl::StatusCode::kInvalidArgument, "HOST:PORT");
}

TEST_F(SessionTest, APortThatIsTakenIsAnError) {
  StartServer();
  ServerOptions options = Options();
  options.listen = address();
  ExpectFault(Server::Start(options, &events_).status(), absl::StatusCode::kAlreadyExists,
              "in use");
}

TEST_F(SessionTest, ARequestAboveItsLimitIsRefused) {
  StartServer();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_.pem();
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(std::string(kCoordinatorDnsName));
  Federation::Stub stub(grpc::CreateCustomChannel(address(), grpc::SslCredentials(tls), arguments));
  DescribeRequest request;
  request.set_secret(std::string(kMaxEnrolmentBytes, 'x'));
  DescribeReply reply;
  grpc::ClientContext context;
  grpc::Status status = stub.Describe(&context, request, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("limit 65536"));
  EXPECT_TRUE(events_.replies.empty());
}

TEST_F(SessionTest, ARequestThatNobodyAnswersIsAnsweredAllTheSame) {
  events_.drop_requests = true;
  StartServer();
  ExpectFault(Describe(InvitationWith("right"), kPatience).status(), absl::StatusCode::kUnavailable,
              "did not answer");
}

TEST_F(SessionTest, ARequestThatWaitsIsAnsweredAtShutdown) {
  events_.hold_requests = true;
  StartServer();
  std::thread stop([&] {
    events_.Await([&] { return !events_.replies.empty(); });
    server_->Shutdown(absl::Seconds(1));
  });
  ExpectFault(Describe(InvitationWith("right"), kPatience).status(), absl::StatusCode::kUnavailable,
              "stopping");
  stop.join();
  server_.reset();
  events_.replies[0](DescribeReply());  // too late, and harmless
}

TEST_F(SessionTest, AMessageAboveTheLimitEndsThatStreamOnly) {
  ServerOptions options = Options();
  options.max_received_bytes = 1000;
  StartServer(options);
  SessionRecorder greedy, modest;
  auto one = Open(ca_.Member("greedy"), &greedy);
  ASSERT_TRUE(AwaitPeers(1));
  auto two = Open(ca_.Member("modest"), &modest);
  ASSERT_TRUE(AwaitPeers(2));
  EXPECT_TRUE(one->Send(Say(std::string(1001, 'x'))).ok());
  ExpectFault(greedy.AwaitClose(), absl::StatusCode::kResourceExhausted, "larger than max");
  EXPECT_EQ(AwaitServerClose(events_.peers[0].id).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(two->Send(Say("still here")).ok());
  ASSERT_TRUE(events_.Await([&] { return !events_.messages.empty(); }));
  EXPECT_EQ(events_.messages[0].first, events_.peers[1].id);
}

TEST_F(SessionTest, OwnMessagesHaveTheSameLimit) {
  ServerOptions options = Options();
  options.max_message_bytes = 1000;
  StartServer(options);
  SessionRecorder recorder;
  SessionOptions session_options = SessionOf(ca_.Member("clinic-3"));
  session_options.max_message_bytes = 1000;
  auto session = Open(session_options, &recorder);
  ASSERT_TRUE(AwaitPeers(1));
  ExpectFault(session->Send(Say(std::string(1001, 'x'))), absl::StatusCode::kResourceExhausted,
              "limit 1000");
  EXPECT_TRUE(session->Send(Say("short")).ok());
  server_->Send(events_.peers[0].id, Tell(std::string(1001, 'x')));
  ExpectFault(AwaitServerClose(events_.peers[0].id), absl::StatusCode::kResourceExhausted,
              "limit 1000");
}

TEST_F(SessionTest, APeerThatDoesNotReadIsCutOff) {
  ServerOptions options = Options();
  options.max_queued_bytes = 1 << 20;
  StartServer(options);
  SessionRecorder stuck;
  stuck.hold_credits = true;
  auto session = Open(ca_.Member("stuck"), &stuck);
  ASSERT_TRUE(AwaitPeers(1));
  PeerId peer = events_.peers[0].id;
  auto message = std::make_shared<const ServerMessage>(Tell(std::string(1 << 19, 'x')));
  // Flow control lets some megabytes go; then the queue fills.
  for (int i = 0; i < 1000; ++i) server_->Send(peer, message);
  ExpectFault(AwaitServerClose(peer), absl::StatusCode::kResourceExhausted,
              "does not take what is sent to it");
  std::vector<std::shared_ptr<void>> credits;
  stuck.Update([&] {
    stuck.hold_credits = false;
    credits.swap(stuck.credits);
  });
  credits.clear();
  // The reason, if it could be sent before the stream was cut.
  EXPECT_THAT(stuck.AwaitClose().code(), ::testing::AnyOf(absl::StatusCode::kUnavailable,
                                                          absl::StatusCode::kResourceExhausted));
}

TEST_F(SessionTest, ACreditHoldsThePeerBack) {
  events_.hold_credits = true;
  StartServer();
  SessionRecorder recorder;
  auto session = Open(ca_.Member("clinic-3"), &recorder);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(session->Send(Say(absl::StrCat(i))).ok());
  for (size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(events_.Await([&] { return events_.messages.size() == i; }));
    // A full exchange with another member: time for a second message, were it let in.
    EXPECT_TRUE(Describe(InvitationWith("right"), kPatience).ok());
    EXPECT_EQ(events_.messages.size(), i);
    ReadCredit credit = std::move(events_.credits[i - 1]);
  }
  server_.reset();
  events_.credits.clear();  // outlives the server
}

TEST_F(SessionTest, CloseSendsWhatIsQueuedAndThenTheReason) {
  StartServer();
  SessionRecorder recorder;
  auto session = Open(ca_.Member("clinic-3"), &recorder);
  ASSERT_TRUE(AwaitPeers(1));
  PeerId peer = events_.peers[0].id;
  for (int i = 0; i < 50; ++i) server_->Send(peer, Tell(absl::StrCat(i)));
  server_->Close(peer, absl::PermissionDeniedError("membership revoked"));
  server_->Send(peer, Tell("dropped"));
  ExpectFault(recorder.AwaitClose(), absl::StatusCode::kPermissionDenied, "membership revoked");
  EXPECT_EQ(recorder.messages.size(), 50u);
  ExpectFault(AwaitServerClose(peer), absl::StatusCode::kPermissionDenied, "revoked");
  server_->Send(peer, Tell("dropped"));
  server_->Close(peer, absl::OkStatus());
}

TEST_F(SessionTest, ClosingAPeerThatDoesNotReadTakesTheGraceAtMost) {
  ServerOptions options = Options();
  options.close_grace = absl::Milliseconds(20);
  StartServer(options);
  SessionRecorder stuck;
  stuck.hold_credits = true;
  auto session = Open(ca_.Member("stuck"), &stuck);
  ASSERT_TRUE(AwaitPeers(1));
  PeerId peer = events_.peers[0].id;
  for (int i = 0; i < 20; ++i) server_->Send(peer, Tell(std::string(1 << 20, 'x')));
  server_->Close(peer, absl::PermissionDeniedError("membership revoked"));
  ExpectFault(AwaitServerClose(peer), absl::StatusCode::kPermissionDenied, "revoked");
}

TEST_F(SessionTest, ANewerSessionReplacesTheOlderOne) {
  StartServer();
  Identity identity = ca_.Member("clinic-3");
  std::array<SessionRecorder, 3> recorders;
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t i = 0; i < recorders.size(); ++i) {
    sessions.push_back(Open(identity, &recorders[i]));
    ASSERT_TRUE(recorders[i].AwaitOpen());
  }
  for (size_t i = 0; i + 1 < recorders.size(); ++i) {
    ExpectFault(recorders[i].AwaitClose(), absl::StatusCode::kAborted, "opened another session");
  }
  EXPECT_THAT(events_.log,
              ::testing::ElementsAre("open 1", "close 1", "open 2", "close 2", "open 3"));
  server_->Send(events_.peers[2].id, Tell("you"));
  ASSERT_TRUE(recorders[2].Await([&] { return !recorders[2].messages.empty(); }));
}

TEST_F(SessionTest, AMemberAndAnEvaluatorOfOneNameAreTwo) {
  StartServer();
  SessionRecorder first, second;
  auto one = Open(ca_.Member("clinic-3"), &first);
  auto two = Open(ca_.Member("clinic-3", Ca::Day(), CertificateRole::kEvaluator), &second);
  ASSERT_TRUE(AwaitPeers(2));
  EXPECT_TRUE(events_.closed.empty());
}

TEST_F(SessionTest, TheNumberOfSessionsIsLimited) {
  ServerOptions options = Options();
  options.max_sessions = 1;
  StartServer(options);
  SessionRecorder first, second;
  auto one = Open(ca_.Member("one"), &first);
  ASSERT_TRUE(AwaitPeers(1));
  auto two = Open(ca_.Member("two"), &second);
  ExpectFault(second.AwaitClose(), absl::StatusCode::kResourceExhausted, "limit 1");
}

TEST_F(SessionTest, ShutdownClosesEverySession) {
  StartServer();
  std::array<SessionRecorder, 3> recorders;
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t i = 0; i < recorders.size(); ++i) {
    sessions.push_back(Open(ca_.Member(absl::StrCat("clinic-", i)), &recorders[i]));
  }
  ASSERT_TRUE(AwaitPeers(3));
  server_->Shutdown(absl::Seconds(5));
  EXPECT_EQ(events_.closed.size(), 3u);
  for (SessionRecorder& recorder : recorders) {
    ExpectFault(recorder.AwaitClose(), absl::StatusCode::kUnavailable, "is stopping");
  }
  server_->Shutdown(absl::Seconds(5));
  server_.reset();
}

TEST_F(SessionTest, ASessionThatIsDestroyedIsLost) {
  StartServer();
  SessionRecorder recorder;
  auto session = Open(ca_.Member("clinic-3"), &recorder);
  EXPECT_TRUE(session->Send(Say("hello")).ok());
  ASSERT_TRUE(AwaitPeers(1));
  session.reset();
  EXPECT_TRUE(recorder.closed.has_value());
  EXPECT_EQ(AwaitServerClose(events_.peers[0].id).code(), absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, BothEndsMayBeDestroyedInTheMiddleOfEverything) {
  events_.hold_credits = true;
  StartServer();
  std::array<SessionRecorder, 4> recorders;
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t i = 0; i < recorders.size(); ++i) {
    recorders[i].hold_credits = true;
    sessions.push_back(Open(ca_.Member(absl::StrCat("clinic-", i % 3)), &recorders[i]));
    for (int k = 0; k < 10; ++k) {
      EXPECT_TRUE(sessions.back()->Send(Say(std::string(100000, 'x'))).ok());
    }
  }
  ASSERT_TRUE(AwaitPeers(2));
  for (int k = 0; k < 10; ++k) {
    server_->Send(PeerId(1), Tell(std::string(100000, 'x')));
    server_->Send(PeerId(2), Tell(std::string(100000, 'x')));
  }
  sessions[0].reset();
  server_.reset();
  sessions.clear();
  for (SessionRecorder& recorder : recorders) EXPECT_TRUE(recorder.closed.has_value());
}

TEST_F(SessionTest, ThirtyMembersAtOnce) {
  constexpr int kMembers = 30;
  StartServer();
  std::array<SessionRecorder, kMembers> recorders;
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < kMembers; ++i) {
    sessions.push_back(Open(ca_.Member(absl::StrCat("clinic-", i)), &recorders[i]));
    EXPECT_TRUE(sessions.back()->Send(Say(absl::StrCat("clinic-", i))).ok());
  }
  ASSERT_TRUE(events_.Await([&] { return events_.messages.size() == kMembers; }));
  std::map<PeerId, std::string> names;
  for (const Peer& peer : events_.peers) names[peer.id] = peer.certificate.name;
  for (const auto& [peer, message] : events_.messages) {
    EXPECT_EQ(message.hello().software(), names[peer]);
  }
  for (const auto& [peer, name] : names) server_->Send(peer, Tell(name));
  for (int i = 0; i < kMembers; ++i) {
    ASSERT_TRUE(recorders[i].Await([&] { return recorders[i].messages.size() == 1; }));
    EXPECT_EQ(recorders[i].messages[0].finished().text(), absl::StrCat("clinic-", i));
  }
}

}  // namespace
}  // namespace dure
