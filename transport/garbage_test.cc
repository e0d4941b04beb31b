// Bytes that are no messages, in both directions and on every method: whoever gets them says so and
// goes on.
#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/session_fixture.h"

namespace dure {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr size_t kMaxTestMessageBytes = 100'000;
const char* const kMethods[] = {"/dure.Federation/Describe", "/dure.Federation/Enrol",
                                "/dure.Federation/Session"};
// Field 1 of every message here has a length; this one announces more than there is.
const std::string kCut = "\x0a\x7f";
// A Hello whose text is not UTF-8.
const std::string kNotUtf8 = "\x0a\x03\x0a\x01\xff";

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// Fixed bytes that no message begins with, cut messages, and random ones that a decoder may take.
std::vector<std::string> Garbage() {
  std::vector<std::string> all = {kCut,   "\xff",  std::string(10, '\xff'), std::string(1, '\0'),
                                  "\x0b", kNotUtf8};
  ClientMessage message;
  message.mutable_hello()->set_software("dure 0.1.0");
  message.mutable_hello()->set_spec_digest(std::string(32, 'd'));
  const std::string whole = message.SerializeAsString();
  for (size_t size = 1; size < whole.size(); size += 5) all.push_back(whole.substr(0, size));
  std::mt19937 draw(11);
  for (size_t size = 1; size < 2000; size = size * 3 / 2 + 1) {
    for (int i = 0; i < 3; ++i) {
      std::string bytes(size, '\0');
      for (char& c : bytes) c = static_cast<char>(draw());
      all.push_back(std::move(bytes));
    }
  }
  return all;
}

// One call that sends bytes and says goodbye, and how it ended.
class RawCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                      public Monitor {
 public:
  static grpc::Status Of(grpc::GenericStub& stub, const std::string& method,
                         const std::string& bytes) {
    RawCall call(bytes);
    stub.PrepareBidiStreamingCall(&call.context_, method, grpc::StubOptions(), &call);
    call.StartRead(&call.in_);
    call.StartWriteLast(&call.out_, grpc::WriteOptions());
    call.StartCall();
    EXPECT_TRUE(call.Await([&] { return call.done_; })) << method;
    return call.status_;
  }

  void OnReadDone(bool ok) override {
    if (ok) StartRead(&in_);
  }
  void OnDone(const grpc::Status& status) override {
    Update([&] {
      status_ = status;
      done_ = true;
    });
  }

 private:
  explicit RawCall(const std::string& bytes) : out_(BufferOf(bytes)) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  }

  grpc::ClientContext context_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  grpc::Status status_;
  bool done_ = false;
};

class GarbageTest : public SessionTest {
 protected:
  void SetUp() override {
    ServerOptions options = Options();
    options.max_received_bytes = kMaxTestMessageBytes;
    StartServer(options);
  }
  // With a member's certificate if there is one.
  grpc::GenericStub StubOf(const Identity* identity) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ca_.pem();
    if (identity != nullptr) {
      tls.pem_private_key = identity->key_pem();
      tls.pem_cert_chain = identity->certificate_pem;
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(std::string(kCoordinatorDnsName));
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::GenericStub(
        grpc::CreateCustomChannel(address(), grpc::SslCredentials(tls), arguments));
  }
};

TEST_F(GarbageTest, EveryMethodAnswersWithAStatusAndOthersGoOn) {
  SessionRecorder recorder;
  auto honest = Open(ca_.Member("honest"), &recorder);
  ASSERT_TRUE(AwaitPeers(1));
  ::testing::internal::CaptureStderr();
  Identity member = ca_.Member("saboteur");
  for (const Identity* identity : std::vector<const Identity*>{nullptr, &member}) {
    grpc::GenericStub stub = StubOf(identity);
    for (const char* method : kMethods) {
      const bool session = method == kMethods[2];
      for (const std::string& bytes : Garbage()) {
        grpc::Status status = RawCall::Of(stub, method, bytes);
        if (session && identity == nullptr) {
          EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
        } else {
          EXPECT_THAT(status.error_code(),
                      AnyOf(grpc::StatusCode::OK, grpc::StatusCode::INVALID_ARGUMENT,
                            grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND))
              << method << ": " << status.error_message();
        }
      }
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  server_->Send(events_.peers[0].id, Tell("still here"));
  EXPECT_TRUE(recorder.Await([&] { return !recorder.messages.empty(); }));
}

TEST_F(GarbageTest, WhatCannotBeReadIsSaidToBe) {
  Identity member = ca_.Member("saboteur");
  grpc::GenericStub stub = StubOf(&member);
  for (const std::string& bytes : {kCut, kNotUtf8}) {
    grpc::Status status = RawCall::Of(stub, kMethods[2], bytes);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(),
                HasSubstr("member/saboteur sent bytes that are no message of this protocol"));
  }
  ASSERT_TRUE(AwaitPeers(2));
  for (const Peer& peer : events_.peers) {
    EXPECT_EQ(AwaitServerClose(peer.id).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(events_.messages.empty());
  for (const char* method : {kMethods[0], kMethods[1]}) {
    grpc::Status status = RawCall::Of(stub, method, kCut);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("no message of this protocol"));
  }
  EXPECT_EQ(RawCall::Of(stub, "/dure.Federation/Nothing", kCut).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GarbageTest, AMessageAboveTheLimitIsRefusedOnEveryMethod) {
  Identity member = ca_.Member("greedy");
  grpc::GenericStub stub = StubOf(&member);
  for (const char* method : kMethods) {
    grpc::Status status = RawCall::Of(stub, method, std::string(kMaxTestMessageBytes + 1, 'x'));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << method;
  }
}

// A connection of bytes that are not even TLS.
TEST_F(GarbageTest, APortScannerIsHarmless) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(server_->port()));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const std::string& bytes : Garbage()) {
    FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  EXPECT_TRUE(Describe(InvitationWith("right"), kPatience).ok());
}

// A coordinator with the right certificate that answers every call with the same bytes.
class FalseCoordinator final : public grpc::CallbackGenericService {
 public:
  FalseCoordinator(const Identity& identity, std::string bytes) : bytes_(std::move(bytes)) {
    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
    tls.pem_key_cert_pairs.push_back({identity.key_pem(), identity.certificate_pem});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~FalseCoordinator() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Call final : public grpc::ServerGenericBidiReactor {
     public:
      Call(grpc::GenericCallbackServerContext* context, const std::string& bytes)
          : out_(BufferOf(bytes)), session_(context->method() == kMethods[2]) {
        if (session_) context->AddInitialMetadata("dure-session", "open");
        StartWrite(&out_);
      }
      void OnWriteDone(bool) override {
        if (!session_) Finish(grpc::Status::OK);
      }
      void OnCancel() override {
        if (session_) Finish(grpc::Status::CANCELLED);
      }
      void OnDone() override { delete this; }

     private:
      grpc::ByteBuffer out_;
      const bool session_;
    };
    return new Call(context, bytes_);
  }

 private:
  const std::string bytes_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GarbageTest, AMemberSurvivesACoordinatorThatTalksNonsense) {
  ::testing::internal::CaptureStderr();
  Identity coordinator = ca_.Coordinator();
  Identity member = ca_.Member("clinic-3");
  for (const std::string& bytes : Garbage()) {
    FalseCoordinator nonsense(coordinator, bytes);
    Invitation invitation;
    invitation.set_address(nonsense.address());
    invitation.set_ca_certificate(ca_.der());
    // A decoder may take what was drawn; what counts is that the calls return.
    Describe(invitation, kPatience).status().IgnoreError();
    Enrol(invitation, {}, kPatience).status().IgnoreError();
    SessionOptions options = SessionOf(member);
    options.address = nonsense.address();
    SessionRecorder recorder;
    auto session = Open(options, &recorder);
    ASSERT_TRUE(recorder.Await([&] { return !recorder.messages.empty() || recorder.closed; }));
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(GarbageTest, ACoordinatorThatCannotBeUnderstoodIsLeft) {
  FalseCoordinator nonsense(ca_.Coordinator(), kCut);
  SessionOptions options = SessionOf(ca_.Member("clinic-3"));
  options.address = nonsense.address();
  SessionRecorder recorder;
  auto session = Open(options, &recorder);
  ExpectFault(recorder.AwaitClose(), absl::StatusCode::kInternal,
              "it sent bytes that are no message of this protocol");
  Invitation invitation;
  invitation.set_address(nonsense.address());
  invitation.set_ca_certificate(ca_.der());
  ExpectFault(Describe(invitation, kPatience).status(), absl::StatusCode::kUnimplemented,
              "do not understand each other");
}

}  // namespace
}  // namespace dure
