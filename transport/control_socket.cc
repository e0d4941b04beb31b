#include "transport/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/quiet.h"

namespace dure {
namespace {

constexpr char kSocketName[] = "control.sock";
constexpr int kBacklog = 8;
// Longest wait for a process that was asked.
constexpr std::chrono::seconds kAnswerTimeout(30);
// Longest wait of the process that is asked for the whole of a request, and for its answer to be
// taken: everybody else waits meanwhile.
constexpr std::chrono::seconds kPeerTimeout(5);
// How long a server that has run out of descriptors waits before it looks again.
constexpr int kRefusedPauseMs = 100;
constexpr size_t kHeaderBytes = 4;
constexpr int kNoWake = -1;

using SteadyClock = std::chrono::steady_clock;

// Until when one exchange may take, and what ends the wait for the other side early.
struct Patience {
  SteadyClock::time_point deadline;
  int wake = kNoWake;  // a descriptor that becomes readable to say so
};

// The address of the socket in `folder`, short whatever the folder's path.
sockaddr_un AddressIn(const FileDescriptor& folder) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", folder.get(), "/", kSocketName);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<FileDescriptor> OpenFolder(const std::string& folder) {
  FileDescriptor fd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", folder));
  return fd;
}

absl::StatusOr<FileDescriptor> MakeSocket() {
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot make a Unix socket");
  return fd;
}

// Until `fd` can do what `event` says. DeadlineExceeded, or Cancelled if the wait was ended.
absl::Status Await(int fd, short event, const Patience& patience) {
  for (;;) {
    const int64_t left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                patience.deadline - SteadyClock::now())
                                .count();
    if (left_ms <= 0) return absl::DeadlineExceededError("the control socket was silent");
    pollfd polled[] = {{fd, event, 0}, {patience.wake, POLLIN, 0}};
    const int ready = poll(polled, 2, static_cast<int>(left_ms));
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "the control socket broke");
    if (ready <= 0) continue;
    if (polled[0].revents != 0) return absl::OkStatus();
    return absl::CancelledError("the process is ending");
  }
}

absl::Status SendFrame(int fd, const google::protobuf::MessageLite& message,
                       const Patience& patience) {
  std::string body = message.SerializeAsString();
  if (body.size() > kMaxControlBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("control message of ", body.size(), " bytes, limit ", kMaxControlBytes));
  }
  std::string frame(kHeaderBytes, '\0');
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    frame[i] = static_cast<char>(body.size() >> (8 * (kHeaderBytes - 1 - i)));
  }
  frame += body;
  for (size_t sent = 0; sent < frame.size();) {
    DURE_RETURN_IF_ERROR(Await(fd, POLLOUT, patience));
    ssize_t part = send(fd, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (part < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (part <= 0) return ErrnoStatus(errno, "the control socket broke");
    sent += static_cast<size_t>(part);
  }
  return absl::OkStatus();
}

uint32_t BodyBytes(std::string_view header) {
  uint32_t size = 0;
  for (char c : header.substr(0, kHeaderBytes)) size = size << 8 | static_cast<uint8_t>(c);
  return size;
}

absl::Status ReceiveFrame(int fd, google::protobuf::MessageLite* message,
                          const Patience& patience) {
  std::string frame;
  size_t wanted = kHeaderBytes;
  while (frame.size() < wanted) {
    char buffer[1 << 14];
    DURE_RETURN_IF_ERROR(Await(fd, POLLIN, patience));
    ssize_t got = recv(fd, buffer, std::min(sizeof(buffer), wanted - frame.size()), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return absl::UnavailableError("the control socket was closed");
    frame.append(buffer, static_cast<size_t>(got));
    if (frame.size() == kHeaderBytes) {
      if (BodyBytes(frame) > kMaxControlBytes) break;  // DecodeControlFrame says so
      wanted += BodyBytes(frame);
    }
  }
  return DecodeControlFrame(frame, message);
}

}  // namespace

absl::Status DecodeControlFrame(std::string_view bytes, google::protobuf::MessageLite* message) {
  if (bytes.size() < kHeaderBytes) return absl::InvalidArgumentError("control message is cut");
  uint32_t size = BodyBytes(bytes);
  if (size > kMaxControlBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("control message of ", size, " bytes, limit ", kMaxControlBytes));
  }
  if (bytes.size() != kHeaderBytes + size ||
      !message->ParseFromArray(bytes.data() + kHeaderBytes, static_cast<int>(size))) {
    return absl::InvalidArgumentError("not a control message");
  }
  return absl::OkStatus();
}

ControlServer::ControlServer(FileDescriptor folder, FileDescriptor listener,
                             FileDescriptor wake_read, FileDescriptor wake_write, Handler handler)
    : folder_(std::move(folder)),
      listener_(std::move(listener)),
      wake_read_(std::move(wake_read)),
      wake_write_(std::move(wake_write)),
      handler_(std::move(handler)),
      thread_([this] { Serve(); }) {}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(const std::string& folder,
                                                                    Handler handler) {
  QuietLibraries();  // whoever may open the folder may send anything
  DURE_ASSIGN_OR_RETURN(FileDescriptor folder_fd, OpenFolder(folder));
  DURE_ASSIGN_OR_RETURN(FileDescriptor listener, MakeSocket());
  sockaddr_un address = AddressIn(folder_fd);
  unlinkat(folder_fd.get(), kSocketName, 0);
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      fchmodat(folder_fd.get(), kSocketName, 0600, 0) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot listen on ", folder, "/", kSocketName));
  }
  int wake[2];
  if (pipe2(wake, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  return std::unique_ptr<ControlServer>(
      new ControlServer(std::move(folder_fd), std::move(listener), FileDescriptor(wake[0]),
                        FileDescriptor(wake[1]), std::move(handler)));
}

ControlServer::~ControlServer() {
  wake_write_.Close();
  thread_.join();
  unlinkat(folder_.get(), kSocketName, 0);
}

void ControlServer::Serve() {
  for (;;) {
    pollfd polled[] = {{listener_.get(), POLLIN, 0}, {wake_read_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    if ((polled[0].revents & POLLIN) == 0) continue;
    FileDescriptor peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer.valid()) {
      // Out of descriptors, most likely: whoever asks stays in the queue meanwhile.
      pollfd wake = {wake_read_.get(), POLLIN, 0};
      poll(&wake, 1, kRefusedPauseMs);
      continue;
    }
    Answer(peer.get());
  }
}

void ControlServer::Answer(int peer) {
  ControlRequest request;
  ControlReply reply;
  absl::Status status =
      ReceiveFrame(peer, &request, {SteadyClock::now() + kPeerTimeout, wake_read_.get()});
  if (status.ok()) {
    reply = handler_(request);
  } else {
    reply.set_code(static_cast<int>(status.code()));
    reply.set_error(std::string(status.message()));
  }
  // Sent also if the process is ending, as far as that needs no waiting: the answer may be about
  // just that. Whoever asked may be gone, or may not take it: nothing to do.
  SendFrame(peer, reply, {SteadyClock::now() + kPeerTimeout, wake_read_.get()}).IgnoreError();
}

absl::StatusOr<ControlReply> CallControl(const std::string& folder, const ControlRequest& request) {
  QuietLibraries();
  if (!ControlRequest().ParseFromString(request.SerializeAsString())) {
    return absl::InvalidArgumentError("an argument is not UTF-8: write it in letters of UTF-8");
  }
  DURE_ASSIGN_OR_RETURN(FileDescriptor folder_fd, OpenFolder(folder));
  DURE_ASSIGN_OR_RETURN(FileDescriptor peer, MakeSocket());
  sockaddr_un address = AddressIn(folder_fd);
  if (connect(peer.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return absl::UnavailableError(absl::StrCat("nothing is running in ", folder));
    }
    return ErrnoStatus(errno, absl::StrCat("cannot reach the process of ", folder));
  }
  const Patience patience = {SteadyClock::now() + kAnswerTimeout};
  ControlReply reply;
  absl::Status status = SendFrame(peer.get(), request, patience);
  if (status.ok()) status = ReceiveFrame(peer.get(), &reply, patience);
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the program that runs with ", folder, " does not answer: not within ",
                     kAnswerTimeout.count(), " s; try again, or end it"));
  }
  DURE_RETURN_IF_ERROR(status);
  if (reply.code() != 0) {
    return absl::Status(static_cast<absl::StatusCode>(reply.code()), reply.error());
  }
  return reply;
}

}  // namespace dure
