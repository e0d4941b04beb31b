#include "transport/server.h"

#include <google/protobuf/io/zero_copy_stream.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/alarm.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "proto/wire.grpc.pb.h"
#include "transport/address.h"
#include "transport/doorkeeper.h"
#include "transport/quiet.h"
#include "transport/stream_pump.h"
#include "transport/token_limit.h"

namespace dure {
namespace {

// gRPC reads this much from a socket at a time; by itself it would take up to 4 MiB for each
// member.
constexpr int kReadChunkBytes = 64 << 10;
// Longest text of a status on the wire: it travels as a header, and headers have limits.
constexpr size_t kMaxStatusText = 1024;
// A message above this length is encrypted on a thread of gRPC's, not on its sender's.
constexpr size_t kLongWriteBytes = size_t{256} << 10;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message().substr(0, kMaxStatusText)));
}

absl::Status Stopping() { return absl::UnavailableError("the coordinator is stopping"); }

std::string MemberName(const Certificate& certificate) {
  std::string_view role = RoleName(certificate.role);
  return absl::StrCat(absl::string_view(role.data(), role.size()), "/", certificate.name);
}

// What gRPC calls "ipv4:192.0.2.7:51324" or "ipv6:%5B2001:db8::7%5D:51324".
std::string AddressForPeople(const std::string& peer) {
  const size_t scheme = peer.find(':');
  const size_t begin = peer.starts_with("ip") && scheme != std::string::npos ? scheme + 1 : 0;
  return absl::StrReplaceAll(peer.substr(begin), {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
}

std::shared_ptr<const grpc::ByteBuffer> ToBytes(const google::protobuf::MessageLite& message) {
  auto serialised = std::make_unique<std::string>();
  DURE_CHECK(message.SerializeToString(serialised.get()));
  // The bytes stay where they are: the slice owns the string.
  const std::string& text = *serialised;
  grpc::Slice slice(
      const_cast<char*>(text.data()), text.size(),
      [](void* owned) { delete static_cast<std::string*>(owned); }, serialised.release());
  return std::make_shared<const grpc::ByteBuffer>(&slice, 1);
}

// Each connection is one: as many as the system allows this process at most.
void AllowManyFiles() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Wrong secrets, counted on gRPC's threads.
struct Guesses {
  std::mutex mutex;
  TokenLimit limit;
};

// An unanswered Describe or Enrol.
class Request {
 public:
  virtual ~Request() = default;
  // Answers, unless that was done before. Thread-safe.
  virtual void Fail(absl::Status status) = 0;
};

// Where requests wait for their answer, so that a server that stops can give it. Thread-safe.
class Requests {
 public:
  // False if there is no room, or the server is stopping.
  bool Add(std::shared_ptr<Request> request) {
    std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() >= kMaxPendingRequests) return false;
    waiting_.insert(std::move(request));
    return true;
  }
  void Remove(const std::shared_ptr<Request>& request) {
    std::lock_guard lock(mutex_);
    waiting_.erase(request);
  }
  void FailAll(const absl::Status& status) {
    std::set<std::shared_ptr<Request>> waiting;
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      waiting.swap(waiting_);
    }
    for (const std::shared_ptr<Request>& request : waiting) request->Fail(status);
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::set<std::shared_ptr<Request>> waiting_;  // shared with the callbacks that answer them
};

template <typename Reply>
class TypedRequest final : public Request,
                           public std::enable_shared_from_this<TypedRequest<Reply>> {
 public:
  TypedRequest(grpc::ServerUnaryReactor* reactor, grpc::ByteBuffer* reply,
               std::shared_ptr<Requests> requests)
      : reactor_(reactor), reply_(reply), requests_(std::move(requests)) {}

  void Answer(absl::StatusOr<Reply> answer) {
    grpc::ServerUnaryReactor* reactor = nullptr;
    {
      std::lock_guard lock(mutex_);
      std::swap(reactor, reactor_);
    }
    if (reactor == nullptr) return;
    requests_->Remove(this->shared_from_this());
    if (answer.ok()) *reply_ = *ToBytes(*answer);
    // From here on gRPC may free what belongs to the call.
    reactor->Finish(ToGrpc(answer.status()));
  }
  void Fail(absl::Status status) override { Answer(std::move(status)); }

 private:
  std::mutex mutex_;
  grpc::ServerUnaryReactor* reactor_;  // null once answered
  grpc::ByteBuffer* const reply_;
  const std::shared_ptr<Requests> requests_;  // callbacks may outlive the server
};

// Reads the bytes of a message and gives each piece of them back as soon as it has been read, so
// that a long message is in the memory once and not twice.
class DrainingStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  // Takes what is in `bytes`.
  explicit DrainingStream(grpc::ByteBuffer* bytes) {
    good_ = bytes->Dump(&pieces_).ok();
    bytes->Clear();
    std::reverse(pieces_.begin(), pieces_.end());
  }
  bool good() const { return good_; }

  bool Next(const void** data, int* size) override {
    if (unread_ == 0) {
      if (begun_) pieces_.pop_back();
      begun_ = !pieces_.empty();
      if (!begun_) return false;
      unread_ = pieces_.back().size();
    }
    const grpc::Slice& piece = pieces_.back();
    *data = piece.end() - unread_;
    *size = static_cast<int>(unread_);
    read_ += static_cast<int64_t>(unread_);
    unread_ = 0;
    return true;
  }
  void BackUp(int count) override {
    unread_ = static_cast<size_t>(count);
    read_ -= count;
  }
  bool Skip(int count) override {
    const void* data = nullptr;
    for (int size = 0; count > 0; count -= size) {
      if (!Next(&data, &size)) return false;
      if (size > count) {
        BackUp(size - count);
        return true;
      }
    }
    return true;
  }
  int64_t ByteCount() const override { return read_; }

 private:
  bool good_ = false;
  bool begun_ = false;               // the last piece is under way
  std::vector<grpc::Slice> pieces_;  // the next one last
  size_t unread_ = 0;                // bytes at the end of the piece under way
  int64_t read_ = 0;
};

// The message in `bytes`, which are empty afterwards.
template <typename Message>
bool ParseBytes(grpc::ByteBuffer* bytes, Message* message) {
  DrainingStream stream(bytes);
  return stream.good() && message->ParseFromZeroCopyStream(&stream);
}

// Hands a request to `deliver` with a callback that answers it, whatever becomes of its copies.
template <typename Message, typename Reply, typename Deliver>
grpc::ServerUnaryReactor* Take(grpc::CallbackServerContext* context, const grpc::ByteBuffer& bytes,
                               grpc::ByteBuffer* reply, const std::shared_ptr<Requests>& requests,
                               const std::shared_ptr<Doorkeeper>& door, Deliver deliver) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (size_t size = bytes.Length(); size > kMaxEnrolmentBytes) {
    reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
        absl::StrCat("a request of ", size, " bytes, limit ", kMaxEnrolmentBytes))));
    return reactor;
  }
  Message message;
  grpc::ByteBuffer copy(bytes);  // of references
  if (!ParseBytes(&copy, &message)) {
    reactor->Finish(ToGrpc(absl::InvalidArgumentError(
        "the request is no message of this protocol: use the same version of dure")));
    return reactor;
  }
  auto request = std::make_shared<TypedRequest<Reply>>(reactor, reply, requests);
  if (!requests->Add(request)) {
    request->Fail(
        absl::UnavailableError("the coordinator is stopping or has too many requests at "
                               "once; try again in a minute"));
    return reactor;
  }
  std::shared_ptr<void> last_copy(nullptr, [request](std::nullptr_t) {
    request->Fail(absl::UnavailableError("the coordinator did not answer; try again"));
  });
  // Whoever gets an answer has shown an invitation or a certificate.
  const std::string peer = AddressForPeople(context->peer());
  deliver(message, [request, last_copy, door, peer](absl::StatusOr<Reply> answer) {
    if (answer.ok()) door->Known(peer);
    request->Answer(std::move(answer));
  });
  return reactor;
}

}  // namespace

// The service, the streams that are there, and which of them is whose.
//
// A session's messages pass gRPC as bytes: one that goes to a whole cohort is serialised once, and
// all streams point at the same bytes.
class Server::Impl final
    : public Federation::WithRawCallbackMethod_Describe<Federation::WithRawCallbackMethod_Enrol<
          Federation::WithRawCallbackMethod_Fetch<Federation::WithRawCallbackMethod_Renew<
              Federation::WithRawCallbackMethod_Session<Federation::Service>>>>> {
 public:
  class Stream;

  Impl(const ServerOptions& options, std::string ca_der, ServerEvents* events)
      : options_(options), ca_der_(std::move(ca_der)), events_(events) {
    options_.key_pem.clear();
    if (options_.clock == nullptr) options_.clock = &system_clock_;
  }
  absl::Status Listen(const ServerOptions& options, const Address& address);

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* reply) override {
    return Take<DescribeRequest, DescribeReply>(
        context, *request, reply, requests_, door_, [this, context](auto message, auto callback) {
          const std::string address = HostForLimit(context->peer());
          if (absl::Status wait = CheckGuesses(address); !wait.ok()) return callback(wait);
          events_->OnDescribe(std::move(message),
                              Watched<DescribeReply>(address, std::move(callback)));
        });
  }
  grpc::ServerUnaryReactor* Enrol(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* reply) override {
    return Take<EnrolRequest, EnrolReply>(
        context, *request, reply, requests_, door_, [this, context](auto message, auto callback) {
          const std::string address = HostForLimit(context->peer());
          if (absl::Status wait = CheckGuesses(address); !wait.ok()) return callback(wait);
          events_->OnEnrol(std::move(message), Watched<EnrolReply>(address, std::move(callback)));
        });
  }
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* reply) override {
    return Take<RenewRequest, RenewReply>(
        context, *request, reply, requests_, door_, [&](auto message, auto callback) {
          absl::StatusOr<Peer> peer = Authenticate(*context);
          if (!peer.ok()) return callback(peer.status());
          events_->OnRenew(std::move(message), std::move(peer->certificate), std::move(callback));
        });
  }
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* reply) override {
    return Take<FetchRequest, FetchReply>(
        context, *request, reply, requests_, door_, [&](auto message, auto callback) {
          if (!message.secret().empty()) {
            const std::string address = HostForLimit(context->peer());
            if (absl::Status wait = CheckGuesses(address); !wait.ok()) return callback(wait);
            return events_->OnFetch(std::move(message), std::nullopt,
                                    Watched<FetchReply>(address, std::move(callback)));
          }
          absl::StatusOr<Peer> peer = Authenticate(*context);
          if (!peer.ok()) return callback(peer.status());
          events_->OnFetch(std::move(message), std::move(peer->certificate), std::move(callback));
        });
  }
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Session(
      grpc::CallbackServerContext* context) override;

  int port() const { return port_; }
  std::shared_ptr<const grpc::ByteBuffer> Serialise(
      const std::shared_ptr<const ServerMessage>& message);
  std::shared_ptr<Stream> Find(PeerId id);
  void Shutdown(absl::Duration grace);
  void StreamDone(const std::shared_ptr<Stream>& stream, absl::Status status);
  const ServerOptions& options() const { return options_; }
  ServerEvents* events() const { return events_; }

 private:
  absl::StatusOr<Peer> Authenticate(const grpc::CallbackServerContext& context) const;
  // Wrong secrets of invitations are counted, whatever they were for.
  absl::Status CheckGuesses(const std::string& address) {
    std::lock_guard lock(guesses_->mutex);
    return guesses_->limit.Check(address, options_.clock->Now());
  }
  template <typename Reply>
  using Callback = std::function<void(absl::StatusOr<Reply>)>;
  template <typename Reply>
  Callback<Reply> Watched(const std::string& address, Callback<Reply> callback) {
    return [guesses = guesses_, now = options_.clock->Now(), address,
            callback = std::move(callback)](absl::StatusOr<Reply> answer) {
      if (absl::IsNotFound(answer.status())) {
        std::lock_guard lock(guesses->mutex);
        guesses->limit.Failed(address, now);
      }
      callback(std::move(answer));
    };
  }
  absl::Status Admit(const std::shared_ptr<Stream>& stream);

  ServerOptions options_;
  const std::string ca_der_;
  ServerEvents* const events_;
  SystemClock system_clock_;
  const std::shared_ptr<Requests> requests_ = std::make_shared<Requests>();
  const std::shared_ptr<Guesses> guesses_ = std::make_shared<Guesses>();  // callbacks outlive this
  int port_ = 0;

  std::mutex mutex_;
  std::condition_variable all_done_;
  bool stopping_ = false;
  bool stopped_ = false;
  uint64_t next_id_ = 1;
  // Shared with callers that are using a stream while it ends.
  std::map<PeerId, std::shared_ptr<Stream>> streams_;
  // The stream of each member that is open or about to be, by Stream::member().
  std::map<std::string, Stream*> by_member_;

  // The last message that was serialised, as long as it is under way, and its bytes.
  std::mutex serialised_mutex_;
  std::weak_ptr<const ServerMessage> serialised_;
  std::weak_ptr<const grpc::ByteBuffer> serialised_bytes_;

  std::shared_ptr<Doorkeeper> door_;  // callbacks may outlive the server
  std::unique_ptr<grpc::Server> server_;
};

// One call of Session by a member whose certificate is in order.
class Server::Impl::Stream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public StreamOperations<grpc::ByteBuffer>,
      public std::enable_shared_from_this<Stream> {
 public:
  Stream(Impl* server, grpc::CallbackServerContext* context, Peer peer)
      : server_(server),
        context_(context),
        call_(Reference(context->c_call())),
        peer_(std::move(peer)),
        member_(MemberName(peer_.certificate)),
        pump_(this, {StreamEnd::kServer, server->options().max_queued_bytes,
                     server->options().max_queued_messages}) {}

  PeerId id() const { return peer_.id; }
  void set_id(PeerId id) { peer_.id = id; }
  // "member/NAME" or "evaluator/NAME".
  const std::string& member() const { return member_; }

  // Tells the owner, then lets operations begin. What asks for the end meanwhile takes effect then,
  // so that OnClose never comes before OnOpen.
  void Open() {
    auto self = shared_from_this();
    context_->AddInitialMetadata("dure-session", "open");
    server_->events()->OnOpen(peer_);
    StartSendInitialMetadata();
    pump_.AllowRead();
    pump_.Begin();
  }

  void Send(std::shared_ptr<const grpc::ByteBuffer> message) {
    size_t bytes = message->Length();
    if (bytes > server_->options().max_message_bytes) {
      return Cut(absl::ResourceExhaustedError(absl::StrCat("a message to ", member(), " has ",
                                                           bytes, " bytes, limit ",
                                                           server_->options().max_message_bytes)));
    }
    if (pump_.Send(std::move(message), bytes) == StreamPump<grpc::ByteBuffer>::Sent::kFull) {
      Cut(absl::ResourceExhaustedError(
          absl::StrCat(member(), " does not take what is sent to it: the limits are ",
                       server_->options().max_queued_messages, " messages and ",
                       server_->options().max_queued_bytes, " bytes")));
    }
  }

  // Ends with `status` when the queue is empty, or when the grace has passed.
  void Close(absl::Status status) {
    SetStatus(std::move(status));
    pump_.End();
    if (closing_.exchange(true)) return;
    alarm_.Set(absl::ToChronoTime(absl::Now() + server_->options().close_grace),
               [weak = weak_from_this()](bool) {
                 std::shared_ptr<Stream> late = weak.lock();
                 if (late == nullptr) return;
                 late->pump_.Abort();
                 late->Cancel();  // the last bytes may wait for a peer that does not read
               });
  }

  // Ends now; `status` reaches the peer unless a write is under way.
  void Cut(absl::Status status) {
    SetStatus(std::move(status));
    pump_.Abort();
  }

  // Ends a stream that will never be opened.
  void Refuse(absl::Status status) {
    Cut(std::move(status));
    pump_.Begin();
  }

  // Reactions.
  void OnReadDone(bool ok) override {
    auto self = shared_from_this();
    ClientMessage message;
    if (ok && ParseBytes(&in_, &message)) {
      pump_.OnReadDone(true);
      // The credit keeps the stream, so that it may outlive the server; a pump that has ended
      // starts nothing.
      ReadCredit credit(nullptr, [self](std::nullptr_t) { self->pump_.AllowRead(); });
      server_->events()->OnMessage(id(), std::move(message), std::move(credit));
    } else {
      if (ok) {
        SetStatus(absl::InvalidArgumentError(absl::StrCat(
            member(), " sent bytes that are no message of this protocol: update dure there")));
      }
      pump_.OnReadDone(false);
      pump_.End();  // the peer has said goodbye, or is gone: OnDone finds out
    }
  }
  void OnWriteDone(bool ok) override {
    auto self = shared_from_this();
    pump_.OnWriteDone(ok);
  }
  void OnCancel() override {
    auto self = shared_from_this();
    pump_.Abort();
  }
  void OnDone() override {
    {
      std::lock_guard lock(mutex_);
      call_.reset();
    }
    server_->StreamDone(shared_from_this(), Status());
  }

  // Operations of the pump.
  void StartRead() override {
    in_.Clear();
    ServerBidiReactor::StartRead(&in_);
  }
  // gRPC encrypts as much of a message as it can on the thread that starts it. A long one would
  // keep its sender, who has others to serve, and is started elsewhere.
  void StartWrite(const grpc::ByteBuffer& message) override {
    if (message.Length() <= kLongWriteBytes) return ServerBidiReactor::StartWrite(&message);
    elsewhere_ = std::make_unique<grpc::Alarm>();
    // The stream lasts until what its pump has begun is over.
    elsewhere_->Set(absl::ToChronoTime(absl::Now()), [weak = weak_from_this(), &message](bool) {
      if (auto self = weak.lock()) self->ServerBidiReactor::StartWrite(&message);
    });
  }
  void Cancel() override;
  void EndWrites() override { Finish(ToGrpc(Status())); }
  void Release() override {}

  // Guarded by Impl::mutex_: whether Open has been or is about to be called, and who comes after.
  bool opened = false;
  Stream* successor = nullptr;

 private:
  struct Unreference {
    void operator()(grpc_call* call) const { grpc_call_unref(call); }
  };
  using CallReference = std::unique_ptr<grpc_call, Unreference>;
  static CallReference Reference(grpc_call* call) {
    grpc_call_ref(call);
    return CallReference(call);
  }
  void SetStatus(absl::Status status);
  absl::Status Status();

  Impl* const server_;
  grpc::CallbackServerContext* const context_;
  // Until OnDone; guarded by mutex_. The context ends with the call, at any moment after the last
  // operation: whoever wants to cancel takes a reference of its own.
  CallReference call_;
  Peer peer_;
  const std::string member_;
  grpc::ByteBuffer in_;
  StreamPump<grpc::ByteBuffer> pump_;
  std::atomic<bool> closing_ = false;
  grpc::Alarm alarm_;                       // cuts what Close() does not end
  std::unique_ptr<grpc::Alarm> elsewhere_;  // of the latest long write
  std::mutex mutex_;
  std::optional<absl::Status> status_;  // the first reason to end
};

void Server::Impl::Stream::Cancel() {
  CallReference call;
  {
    std::lock_guard lock(mutex_);
    if (call_ != nullptr) call = Reference(call_.get());
  }
  if (call != nullptr) grpc_call_cancel(call.get(), nullptr);
}

void Server::Impl::Stream::SetStatus(absl::Status status) {
  std::lock_guard lock(mutex_);
  if (!status_) status_ = std::move(status);
}

absl::Status Server::Impl::Stream::Status() {
  std::lock_guard lock(mutex_);
  if (status_) return *status_;
  if (!context_->IsCancelled()) return absl::OkStatus();
  // gRPC does not tell these two apart at this end.
  return absl::UnavailableError(absl::StrCat("the connection to ", member_,
                                             " was lost, or a message from it was above ",
                                             server_->options().max_received_bytes, " bytes"));
}

absl::StatusOr<Peer> Server::Impl::Authenticate(const grpc::CallbackServerContext& context) const {
  std::vector<grpc::string_ref> pem =
      context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (pem.empty()) {
    return absl::UnauthenticatedError(
        "a member needs a certificate of this federation; an invitation is the way to one");
  }
  absl::StatusOr<std::string> der =
      CertificateFromPem(std::string_view(pem.front().data(), pem.front().size()));
  if (!der.ok()) return absl::UnauthenticatedError(der.status().message());
  absl::StatusOr<Certificate> certificate =
      VerifyMemberCertificate(*der, ca_der_, options_.clock->Now());
  if (!certificate.ok()) {
    // The member reads this on another machine, whose clock may be the right one.
    std::string why = absl::StrReplaceAll(certificate.status().message(),
                                          {{"this machine's time", "the coordinator's time"}});
    // Of this federation, at the wrong time: the fault may be on this side.
    if (absl::IsFailedPrecondition(certificate.status())) {
      LogWarning(absl::StrCat("somebody at ", AddressForPeople(context.peer()),
                              " was turned away: ", why));
    }
    return absl::UnauthenticatedError(why);
  }
  return Peer{PeerId(), *std::move(certificate), *std::move(der), AddressForPeople(context.peer())};
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Server::Impl::Session(
    grpc::CallbackServerContext* context) {
  // A call that is refused outright: it ends, and then itself.
  class Refusal final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Refusal(const absl::Status& status) { Finish(ToGrpc(status)); }
    void OnDone() override { delete this; }
  };
  absl::StatusOr<Peer> peer = Authenticate(*context);
  if (!peer.ok()) return new Refusal(peer.status());
  door_->Known(peer->address);
  auto stream = std::make_shared<Stream>(this, context, *std::move(peer));
  if (absl::Status status = Admit(stream); !status.ok()) return new Refusal(status);
  return stream.get();  // streams_ holds it until OnDone
}

// Takes the stream in. It opens at once, or when the older stream of the same member has ended.
absl::Status Server::Impl::Admit(const std::shared_ptr<Stream>& stream) {
  std::shared_ptr<Stream> older;
  std::shared_ptr<Stream> passed_over;  // waited for the same older stream
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Stopping();
    if (streams_.size() >= options_.max_sessions) {
      return absl::ResourceExhaustedError(absl::StrCat("the coordinator has ", streams_.size(),
                                                       " sessions, limit ", options_.max_sessions));
    }
    stream->set_id(PeerId(next_id_++));
    streams_[stream->id()] = stream;
    auto [place, first] = by_member_.try_emplace(stream->member(), stream.get());
    if (first) {
      stream->opened = true;
    } else {
      older = place->second->shared_from_this();
      if (older->successor != nullptr) passed_over = older->successor->shared_from_this();
      older->successor = stream.get();
    }
  }
  absl::Status replaced = absl::AbortedError(
      absl::StrCat(stream->member(), " opened another session; only the newest stays"));
  if (passed_over != nullptr) passed_over->Refuse(replaced);
  if (older != nullptr) {
    older->Cut(replaced);
  } else {
    stream->Open();
  }
  return absl::OkStatus();
}

void Server::Impl::StreamDone(const std::shared_ptr<Stream>& stream, absl::Status status) {
  std::shared_ptr<Stream> next;
  bool opened = false;
  {
    std::lock_guard lock(mutex_);
    opened = stream->opened;
    auto place = by_member_.find(stream->member());
    if (place != by_member_.end() && place->second == stream.get()) {
      if (stream->successor == nullptr) {
        by_member_.erase(place);
      } else {
        place->second = stream->successor;
        if (!stopping_) next = stream->successor->shared_from_this();
        if (next != nullptr) next->opened = true;
      }
    } else if (place != by_member_.end() && place->second->successor == stream.get()) {
      place->second->successor = nullptr;
    }
  }
  if (opened) events_->OnClose(stream->id(), std::move(status));
  if (next != nullptr) next->Open();
  std::lock_guard lock(mutex_);
  streams_.erase(stream->id());
  if (streams_.empty()) all_done_.notify_all();
}

std::shared_ptr<Server::Impl::Stream> Server::Impl::Find(PeerId id) {
  std::lock_guard lock(mutex_);
  auto place = streams_.find(id);
  return place == streams_.end() ? nullptr : place->second;
}

std::shared_ptr<const grpc::ByteBuffer> Server::Impl::Serialise(
    const std::shared_ptr<const ServerMessage>& message) {
  std::lock_guard lock(serialised_mutex_);
  if (serialised_.lock() == message) {
    if (auto bytes = serialised_bytes_.lock(); bytes != nullptr) return bytes;
  }
  std::shared_ptr<const grpc::ByteBuffer> bytes = ToBytes(*message);
  serialised_ = message;
  serialised_bytes_ = bytes;
  return bytes;
}

void Server::Impl::Shutdown(absl::Duration grace) {
  std::vector<std::shared_ptr<Stream>> open;
  std::vector<std::shared_ptr<Stream>> waiting;
  {
    std::unique_lock lock(mutex_);
    if (stopping_) {
      all_done_.wait(lock, [this] { return stopped_; });
      return;
    }
    stopping_ = true;
    for (const auto& [id, stream] : streams_) {
      (stream->opened ? open : waiting).push_back(stream);
    }
  }
  if (server_ != nullptr) {
    door_->Stop();
    requests_->FailAll(Stopping());
    for (const std::shared_ptr<Stream>& stream : open) stream->Close(Stopping());
    for (const std::shared_ptr<Stream>& stream : waiting) stream->Refuse(Stopping());
    server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  }
  std::unique_lock lock(mutex_);
  all_done_.wait(lock, [this] { return streams_.empty(); });
  stopped_ = true;
  all_done_.notify_all();
}

absl::Status Server::Impl::Listen(const ServerOptions& options, const Address& address) {
  // The certificate of a member is judged by Authenticate, not in the handshake: a handshake that
  // fails can give no reason. That the member has the key of its certificate is proved either way.
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  tls.pem_root_certs = options.ca_pem;
  tls.pem_key_cert_pairs.push_back({options.key_pem, options.certificate_pem});
  grpc::ServerBuilder builder;
  builder.RegisterService(this);
  DURE_ASSIGN_OR_RETURN(door_, Doorkeeper::Open(address, options.door));
  std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor =
      builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
          grpc::SslServerCredentials(tls));
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_received_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // A message that grows when it is unpacked would pass the limits.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetResourceQuota(grpc::ResourceQuota("dure").Resize(options.max_buffered_bytes));
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kReadChunkBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Half the interval of our own clients, so that a ping that was held up is not taken as a flood.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(kKeepaliveInterval / 2));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Milliseconds(kMaxConnectionIdle));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return absl::UnavailableError("gRPC does not begin to serve");
  port_ = door_->port();
  door_->Begin([acceptor](FileDescriptor connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = connection.Release();
    acceptor->HandleNewConnection(&parameters);
  });
  return absl::OkStatus();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Shutdown(absl::Seconds(1)); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      ServerEvents* events) {
  QuietLibraries();
  AllowManyFiles();
  DURE_ASSIGN_OR_RETURN(Address address, ParseAddress(options.listen));
  DURE_ASSIGN_OR_RETURN(std::string ca_der, CertificateFromPem(options.ca_pem));
  DURE_ASSIGN_OR_RETURN(std::string der, CertificateFromPem(options.certificate_pem));
  DURE_ASSIGN_OR_RETURN(SigningKey key, SigningKey::FromPem(options.key_pem));
  absl::Time now = options.clock == nullptr ? absl::Now() : options.clock->Now();
  DURE_ASSIGN_OR_RETURN(Certificate certificate, VerifyCoordinatorCertificate(der, ca_der, now));
  if (certificate.key != key.public_key()) {
    return absl::InvalidArgumentError(
        "the private key is not that of the coordinator's certificate");
  }
  auto impl = std::make_unique<Impl>(options, std::move(ca_der), events);
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  DURE_RETURN_IF_ERROR(server->impl_->Listen(options, address));
  return server;
}

int Server::port() const { return impl_->port(); }

void Server::Send(PeerId peer, ServerMessage message) {
  Send(peer, std::make_shared<const ServerMessage>(std::move(message)));
}

void Server::Send(PeerId peer, std::shared_ptr<const ServerMessage> message) {
  if (auto stream = impl_->Find(peer); stream != nullptr) stream->Send(impl_->Serialise(message));
}

void Server::Close(PeerId peer, absl::Status status) {
  if (auto stream = impl_->Find(peer); stream != nullptr) stream->Close(std::move(status));
}

void Server::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace dure
