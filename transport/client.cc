#include "transport/client.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "proto/wire.grpc.pb.h"
#include "transport/address.h"
#include "transport/backoff.h"
#include "transport/connect_fault.h"
#include "transport/quiet.h"
#include "transport/read_mark.h"
#include "transport/stream_pump.h"

namespace dure {
namespace {

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// A channel of its own, which shares no connection and no memory of past failures with others.
// `address` has been checked.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const grpc::SslCredentialsOptions& tls,
                                           size_t max_message_bytes,
                                           absl::Duration connect_timeout) {
  QuietLibraries();
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(std::string(kCoordinatorDnsName));
  arguments.SetMaxReceiveMessageSize(static_cast<int>(max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(max_message_bytes));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);  // none
  // gRPC waits for a connection as long as it would between two attempts.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(connect_timeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(absl::StrCat("dns:///", address), grpc::SslCredentials(tls),
                                   arguments);
}

// One blocking call without a certificate of one's own.
template <typename Request, typename Reply>
absl::StatusOr<Reply> Call(const Invitation& invitation, const Request& request,
                           absl::Duration timeout,
                           grpc::Status (Federation::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Reply*)) {
  DURE_ASSIGN_OR_RETURN(Address address, ParseAddress(invitation.address()));
  DURE_RETURN_IF_ERROR(ParseCaCertificate(invitation.ca_certificate()).status());
  if (size_t size = request.ByteSizeLong(); size > kMaxEnrolmentBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a request of ", size, " bytes, limit ", kMaxEnrolmentBytes));
  }
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = CertificateToPem(invitation.ca_certificate());
  std::string text = address.ToString();
  Federation::Stub stub(MakeChannel(text, tls, kMaxMessageBytes, timeout));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  Reply reply;
  grpc::Status status = (stub.*method)(&context, request, &reply);
  if (!status.ok()) return ExplainCallFault(FromGrpc(status), text, absl::Now());
  return reply;
}

// A connection on which pieces of files are asked for, one after the other.
class FetchLine {
 public:
  static absl::StatusOr<FetchLine> Open(const FetchSource& source, absl::Duration timeout) {
    DURE_ASSIGN_OR_RETURN(Address address, ParseAddress(source.address));
    DURE_RETURN_IF_ERROR(ParseCaCertificate(source.ca_certificate).status());
    const grpc::SslCredentialsOptions tls{CertificateToPem(source.ca_certificate), source.key_pem,
                                          source.certificate_pem};
    FetchLine line;
    line.address_ = address.ToString();
    line.secret_ = source.secret;
    line.stub_ = Federation::NewStub(
        MakeChannel(line.address_, tls, kFetchPieceBytes + kMaxEnrolmentBytes, timeout));
    return line;
  }

  absl::StatusOr<FetchReply> Ask(FetchRequest request, absl::Duration timeout) {
    request.set_secret(secret_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    FetchReply reply;
    const grpc::Status status = stub_->Fetch(&context, request, &reply);
    if (!status.ok()) return ExplainCallFault(FromGrpc(status), address_, absl::Now());
    return reply;
  }
  absl::Status Rubbish(const std::string& what) const {
    return absl::InternalError(absl::StrCat("coordinator at ", address_, ": ", what));
  }

 private:
  std::string address_, secret_;
  std::unique_ptr<Federation::Stub> stub_;
};

// One call of Session. Shared with gRPC's threads and with credits, which may outlive the session;
// channel and context stay with the session, because gRPC must not see the last of a channel end on
// one of its own threads.
class Stream final : public grpc::ClientBidiReactor<ClientMessage, ServerMessage>,
                     public StreamOperations<ClientMessage>,
                     public std::enable_shared_from_this<Stream> {
 public:
  // `context` is borrowed until AwaitDone returns.
  Stream(const SessionOptions& options, std::string address, std::string ca_der,
         grpc::ClientContext* context, SessionEvents* events)
      : address_(std::move(address)),
        ca_der_(std::move(ca_der)),
        max_message_bytes_(options.max_message_bytes),
        context_(context),
        events_(events),
        pump_(this, {StreamEnd::kClient, options.max_queued_bytes, options.max_queued_messages}) {}

  void Start(Federation::Stub& stub) {
    self_ = shared_from_this();
    stub.async()->Session(context_, this);
    AddHold();  // for operations from outside; Release() ends it
    StartCall();
  }

  absl::Status Send(ClientMessage message, std::function<void()> sent) {
    std::shared_ptr<const ClientMessage> shared(
        new ClientMessage(std::move(message)), [sent = std::move(sent)](const ClientMessage* done) {
          delete done;
          if (sent) sent();
        });
    size_t bytes = shared->ByteSizeLong();
    if (bytes > max_message_bytes_) {
      return absl::ResourceExhaustedError(absl::StrCat("a message to the coordinator has ", bytes,
                                                       " bytes, limit ", max_message_bytes_));
    }
    switch (pump_.Send(std::move(shared), bytes)) {
      case StreamPump<ClientMessage>::Sent::kQueued:
        return absl::OkStatus();
      case StreamPump<ClientMessage>::Sent::kFull:
        return absl::ResourceExhaustedError(
            "the coordinator does not take what is sent to it: the queue is full");
      case StreamPump<ClientMessage>::Sent::kEnded:
        break;
    }
    return absl::UnavailableError("the session with the coordinator is closed");
  }

  void Close() {
    pump_.End();
    if (closing_.exchange(true)) return;
    alarm_.Set(absl::ToChronoTime(absl::Now() + kCloseGrace), [weak = weak_from_this()](bool) {
      if (std::shared_ptr<Stream> late = weak.lock()) late->Cut();
    });
  }
  void Cut() { pump_.Abort(); }
  void AwaitDone() {
    std::unique_lock lock(mutex_);
    done_changed_.wait(lock, [this] { return done_; });
  }

  // Reactions.
  void OnReadInitialMetadataDone(bool ok) override {
    auto self = shared_from_this();
    if (ok && context_->GetServerInitialMetadata().contains("dure-session")) Opened();
    if (ok) {
      pump_.AllowRead();
    } else {
      pump_.OnCallOver();
    }
    pump_.Begin();
  }
  void OnReadDone(bool ok) override {
    auto self = shared_from_this();
    if (!ok && WasGarbage(in_)) {
      SetFault(absl::InternalError(
          absl::StrCat("coordinator at ", address_,
                       ": it sent bytes that are no message of this protocol; dure "
                       "there and here may be of different versions")));
      Cut();  // before the pump lets go of the call
    }
    pump_.OnReadDone(ok);
    if (!ok) return;
    std::shared_ptr<void> credit(nullptr, [self](std::nullptr_t) { self->pump_.AllowRead(); });
    events_->OnMessage(std::move(in_), std::move(credit));
  }
  void OnWriteDone(bool ok) override {
    auto self = shared_from_this();
    pump_.OnWriteDone(ok);
  }
  void OnDone(const grpc::Status& status) override {
    std::shared_ptr<Stream> self = std::move(self_);
    absl::Status fault = Fault();
    if (fault.ok()) fault = ExplainCallFault(FromGrpc(status), address_, absl::Now());
    events_->OnClose(std::move(fault));
    std::lock_guard lock(mutex_);
    done_ = true;
    done_changed_.notify_all();
  }

  // Operations of the pump.
  void StartRead() override {
    MarkForRead(&in_);
    ClientBidiReactor::StartRead(&in_);
  }
  void StartWrite(const ClientMessage& message) override {
    ClientBidiReactor::StartWrite(&message);
  }
  void Cancel() override { context_->TryCancel(); }
  void EndWrites() override { StartWritesDone(); }
  void Release() override { RemoveHold(); }

 private:
  void Opened();
  void SetFault(absl::Status fault);
  absl::Status Fault();

  const std::string address_;
  const std::string ca_der_;
  const size_t max_message_bytes_;
  grpc::ClientContext* const context_;
  SessionEvents* const events_;
  ServerMessage in_;
  StreamPump<ClientMessage> pump_;
  std::atomic<bool> closing_ = false;
  grpc::Alarm alarm_;             // cuts what Close() does not end
  std::shared_ptr<Stream> self_;  // while gRPC holds a plain pointer

  std::mutex mutex_;
  std::condition_variable done_changed_;
  bool done_ = false;
  absl::Status fault_;  // why this end cut the stream
};

// gRPC has verified chain and name; here they are verified once more by the rules of the project,
// and the owner gets to see whom it talks to.
void Stream::Opened() {
  std::vector<grpc::string_ref> pem =
      context_->auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  absl::StatusOr<std::string> der =
      pem.empty() ? absl::UnauthenticatedError("it showed no certificate")
                  : CertificateFromPem(std::string_view(pem.front().data(), pem.front().size()));
  absl::StatusOr<Certificate> certificate =
      der.ok() ? VerifyCoordinatorCertificate(*der, ca_der_, absl::Now()) : der.status();
  if (!certificate.ok()) {
    SetFault(MarkNotCoordinator(absl::UnauthenticatedError(absl::StrCat(
        address_,
        " is not the coordinator of this federation: ", certificate.status().message()))));
    Cut();
    return;
  }
  events_->OnOpen(*std::move(certificate), *std::move(der));
}

void Stream::SetFault(absl::Status fault) {
  std::lock_guard lock(mutex_);
  fault_.Update(fault);
}

absl::Status Stream::Fault() {
  std::lock_guard lock(mutex_);
  return fault_;
}

}  // namespace

absl::StatusOr<DescribeReply> Describe(const Invitation& invitation, absl::Duration timeout) {
  DescribeRequest request;
  request.set_secret(invitation.secret());
  return Call(invitation, request, timeout, &Federation::Stub::Describe);
}

absl::StatusOr<EnrolReply> Enrol(const Invitation& invitation, EnrolRequest request,
                                 absl::Duration timeout) {
  request.set_secret(invitation.secret());
  return Call(invitation, request, timeout, &Federation::Stub::Enrol);
}

namespace {

// A file that comes in pieces, over as many connections as it takes.
class IncomingFile {
 public:
  IncomingFile(std::string_view sha256, uint64_t max_bytes) : max_bytes_(max_bytes) {
    request_.set_sha256(std::string(sha256));
  }

  // The next piece; the last one has been taken if done().
  absl::Status Next(FetchLine& line, absl::Duration timeout,
                    const std::function<absl::Status(std::string_view)>& take) {
    request_.set_offset(have_);
    request_.set_max_bytes(static_cast<uint32_t>(piece_bytes_));
    const absl::Time asked = absl::Now();
    DURE_ASSIGN_OR_RETURN(const FetchReply reply, line.Ask(request_, timeout));
    if (have_ > 0 && reply.size() != size_) {
      return line.Rubbish("the size of a file changed under way");
    }
    size_ = reply.size();
    if (size_ > max_bytes_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the coordinator's file has ", size_, " bytes, limit ", max_bytes_));
    }
    const std::string& piece = reply.data();
    if (piece.size() > size_ - have_ || (piece.empty() && have_ < size_)) {
      return line.Rubbish(
          absl::StrCat("a piece of ", piece.size(), " bytes at ", have_, " of a file of ", size_));
    }
    hash_.Add(AsBytes(piece));
    DURE_RETURN_IF_ERROR(take(piece));
    have_ += piece.size();
    FitPieceTo(absl::Now() - asked);
    done_ = have_ == size_;
    if (!done_ || ToString(hash_.Finish()) == request_.sha256()) return absl::OkStatus();
    return line.Rubbish("what it sent is not the file that was asked for: its SHA-256 is another");
  }
  bool done() const { return done_; }
  // A line that was cut may not last for a piece as long as the last one.
  void AfterCut() { piece_bytes_ = std::max(piece_bytes_ / 4, kLeastFetchPieceBytes); }

 private:
  void FitPieceTo(absl::Duration took) {
    if (took < kPieceTime / 2) piece_bytes_ = std::min(2 * piece_bytes_, kFetchPieceBytes);
    if (took > 2 * kPieceTime) piece_bytes_ = std::max(piece_bytes_ / 2, kLeastFetchPieceBytes);
  }

  static constexpr absl::Duration kPieceTime = absl::Milliseconds(500);
  const uint64_t max_bytes_;
  FetchRequest request_;
  Sha256Stream hash_;
  uint64_t have_ = 0, size_ = 0;
  size_t piece_bytes_ = kFirstFetchPieceBytes;
  bool done_ = false;
};

}  // namespace

absl::Status Fetch(const FetchSource& source, std::string_view sha256, uint64_t max_bytes,
                   absl::Duration timeout,
                   const std::function<absl::Status(std::string_view)>& take) {
  DURE_ASSIGN_OR_RETURN(FetchLine line, FetchLine::Open(source, timeout));
  IncomingFile file(sha256, max_bytes);
  while (!file.done()) DURE_RETURN_IF_ERROR(file.Next(line, timeout, take));
  return absl::OkStatus();
}

absl::Status FetchPatiently(const FetchSource& source, std::string_view sha256, uint64_t max_bytes,
                            absl::Duration timeout, const FetchPatience& patience, Random* random,
                            const std::function<absl::Status(std::string_view)>& take) {
  DURE_ASSIGN_OR_RETURN(FetchLine line, FetchLine::Open(source, timeout));
  IncomingFile file(sha256, max_bytes);
  Backoff backoff(random);
  while (!file.done()) {
    if (!patience.go_on()) return absl::CancelledError("the file is not wanted any more");
    const absl::Status status = file.Next(line, timeout, take);
    if (status.ok()) {
      backoff.Reset();
    } else if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
      file.AfterCut();
      patience.wait(backoff.Next());
      DURE_ASSIGN_OR_RETURN(line, FetchLine::Open(source, timeout));
    } else {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> FetchSize(const FetchSource& source, std::string_view sha256,
                                   absl::Duration timeout) {
  DURE_ASSIGN_OR_RETURN(FetchLine line, FetchLine::Open(source, timeout));
  FetchRequest request;
  request.set_sha256(std::string(sha256));
  request.set_size_only(true);
  DURE_ASSIGN_OR_RETURN(const FetchReply reply, line.Ask(request, timeout));
  return reply.size();
}

absl::StatusOr<RenewReply> Renew(const FetchSource& source, const RenewRequest& request,
                                 absl::Duration timeout) {
  DURE_ASSIGN_OR_RETURN(Address address, ParseAddress(source.address));
  DURE_RETURN_IF_ERROR(ParseCaCertificate(source.ca_certificate).status());
  const grpc::SslCredentialsOptions tls{CertificateToPem(source.ca_certificate), source.key_pem,
                                        source.certificate_pem};
  const std::string text = address.ToString();
  Federation::Stub stub(MakeChannel(text, tls, kMaxEnrolmentBytes, timeout));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  RenewReply reply;
  const grpc::Status status = stub.Renew(&context, request, &reply);
  if (!status.ok()) return ExplainCallFault(FromGrpc(status), text, absl::Now());
  return reply;
}

struct Session::Impl {
  std::unique_ptr<Federation::Stub> stub;
  grpc::ClientContext context;
  std::shared_ptr<Stream> stream;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Session::~Session() {
  impl_->stream->Cut();
  impl_->context.TryCancel();  // also a call that waits for its end only
  impl_->stream->AwaitDone();
}

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const SessionOptions& options,
                                                       SessionEvents* events) {
  DURE_ASSIGN_OR_RETURN(Address address, ParseAddress(options.address));
  DURE_ASSIGN_OR_RETURN(std::string ca_der, CertificateFromPem(options.ca_pem));
  DURE_RETURN_IF_ERROR(ParseCaCertificate(ca_der).status());
  DURE_ASSIGN_OR_RETURN(std::string der, CertificateFromPem(options.certificate_pem));
  DURE_ASSIGN_OR_RETURN(SigningKey key, SigningKey::FromPem(options.key_pem));
  DURE_ASSIGN_OR_RETURN(PublicKey certified, CertificateKey(der));
  if (certified != key.public_key()) {
    return absl::InvalidArgumentError("the private key is not that of this member's certificate");
  }
  std::string text = address.ToString();
  grpc::SslCredentialsOptions tls{options.ca_pem, options.key_pem, options.certificate_pem};
  auto impl = std::make_unique<Impl>();
  impl->stub = Federation::NewStub(
      MakeChannel(text, tls, options.max_message_bytes, options.connect_timeout));
  impl->stream = std::make_shared<Stream>(options, text, std::move(ca_der), &impl->context, events);
  impl->stream->Start(*impl->stub);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

absl::Status Session::Send(ClientMessage message, std::function<void()> sent) {
  return impl_->stream->Send(std::move(message), std::move(sent));
}

void Session::Close() { impl_->stream->Close(); }

}  // namespace dure
