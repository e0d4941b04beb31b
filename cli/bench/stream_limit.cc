#include "cli/bench/stream_limit.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"
#include "cli/exit_code.h"
#include "crypto/x509.h"

namespace dure::bench {
namespace {

constexpr int kStreams = 10;
constexpr int kMessages = 16;  // a stream
constexpr size_t kMessageBytes = size_t{1} << 20;
constexpr char kUp[] = "/bench/Up", kDown[] = "/bench/Down";

grpc::ByteBuffer Block() {
  static const std::string* const bytes = new std::string(kMessageBytes, 'x');
  // Not copied: gRPC only points at it.
  grpc::Slice slice(bytes->data(), bytes->size(), grpc::Slice::STATIC_SLICE);
  return grpc::ByteBuffer(&slice, 1);
}

// Takes whatever comes, or sends kMessages.
class ServerStream final : public grpc::ServerGenericBidiReactor {
 public:
  explicit ServerStream(bool sends) : left_(sends ? kMessages : 0) {
    if (sends) {
      StartWrite(&block_);
    } else {
      StartRead(&in_);
    }
  }
  void OnReadDone(bool ok) override { ok ? StartRead(&in_) : Finish(grpc::Status::OK); }
  void OnWriteDone(bool ok) override {
    if (ok && --left_ > 0) {
      StartWrite(&block_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  int left_;
  const grpc::ByteBuffer block_ = Block();
  grpc::ByteBuffer in_;
};

class StreamService final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new ServerStream(context->method() == kDown);
  }
};

// Counts streams that are over.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}
  void Done() {
    std::lock_guard lock(mutex_);
    if (--left_ == 0) zero_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    zero_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  int left_;
};

class ClientStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ClientStream(grpc::GenericStub* stub, const char* method, Countdown* countdown)
      : countdown_(countdown), left_(method == kUp ? kMessages : 0) {
    stub->PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    if (left_ > 0) {
      StartWrite(&block_);
    } else {
      StartWritesDone();
    }
    StartRead(&in_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&in_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return;
    --left_ > 0 ? StartWrite(&block_) : StartWritesDone();
  }
  void OnDone(const grpc::Status& status) override {
    ok_ = status.ok();
    countdown_->Done();
  }
  bool ok() const { return ok_; }

 private:
  Countdown* const countdown_;
  int left_;
  bool ok_ = false;
  grpc::ClientContext context_;
  const grpc::ByteBuffer block_ = Block();
  grpc::ByteBuffer in_;
};

// Seconds that kStreams streams take; 0 if one failed.
double RunStreams(std::vector<std::unique_ptr<grpc::GenericStub>>& stubs, const char* method) {
  Countdown countdown(kStreams);
  const double start = Now();
  std::vector<std::unique_ptr<ClientStream>> streams;
  for (auto& stub : stubs) {
    streams.push_back(std::make_unique<ClientStream>(stub.get(), method, &countdown));
  }
  countdown.Wait();
  const double seconds = Now() - start;
  for (const auto& stream : streams) {
    if (!stream->ok()) return 0;
  }
  return seconds;
}

}  // namespace

int RunStreamServer(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return cli::kUsage;
  absl::StatusOr<FederationFolder> federation = ReadFixtureFederation(arguments[0]);
  if (!federation.ok()) return cli::Fail(federation.status());
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = CertificateToPem(federation->ca_certificate);
  tls.pem_key_cert_pairs.push_back(
      {ToString(federation->key.ToPem().view()), CertificateToPem(federation->certificate)});
  StreamService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&service);
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return cli::kFailure;
  Say(absl::StrCat("listening 127.0.0.1:", port));
  for (;;) pause();
}

int RunStreamClient(const std::vector<std::string>& arguments) {
  int runs = 0;
  if (arguments.size() != 3 || !absl::SimpleAtoi(arguments[2], &runs)) return cli::kUsage;
  absl::StatusOr<Node> node = ReadFixtureNode(arguments[0], 0);
  if (!node.ok()) return cli::Fail(node.status());
  grpc::SslCredentialsOptions tls{CertificateToPem(node->ca_certificate),
                                  ToString(node->key.ToPem().view()),
                                  CertificateToPem(node->certificate)};
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  for (int i = 0; i < kStreams; ++i) {
    grpc::ChannelArguments channel;
    channel.SetSslTargetNameOverride(std::string(kCoordinatorDnsName));
    channel.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection each
    stubs.push_back(std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(arguments[1], grpc::SslCredentials(tls), channel)));
  }
  std::vector<double> up, down;
  for (int run = 0; run <= runs; ++run) {
    const double up_s = RunStreams(stubs, kUp), down_s = RunStreams(stubs, kDown);
    if (up_s == 0 || down_s == 0) return cli::Fail(absl::UnavailableError("a stream was lost"));
    if (run == 0) continue;
    up.push_back(up_s);
    down.push_back(down_s);
  }
  const double bytes = static_cast<double>(kStreams) * kMessages * kMessageBytes;
  Say(absl::StrFormat("rates %.0f %.0f", bytes / Median(up), bytes / Median(down)));
  for (;;) pause();
}

absl::StatusOr<StreamRates> MeasureStreams(const Settings& settings, const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> server,
                        Child::StartRole(settings, kStreamServerRole, {folder}));
  DURE_ASSIGN_OR_RETURN(std::string listening, server->ReadLine(absl::Seconds(10)));
  const std::string address = listening.substr(listening.find(' ') + 1);
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> client,
                        Child::StartRole(settings, kStreamClientRole,
                                         {folder, address, absl::StrCat(settings.runs())}));
  DURE_ASSIGN_OR_RETURN(std::string line, client->ReadLine(absl::Seconds(60)));
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  StreamRates rates;
  if (words.size() != 3 || !absl::SimpleAtod(words[1], &rates.up) ||
      !absl::SimpleAtod(words[2], &rates.down)) {
    return absl::InternalError(absl::StrCat("the bare streams said: ", line));
  }
  return rates;
}

}  // namespace dure::bench
