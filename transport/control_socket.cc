#include "transport/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr char kSocketName[] = "control.sock";
constexpr int kBacklog = 8;
constexpr timeval kPeerTimeout = {.tv_sec = 10, .tv_usec = 0};
constexpr size_t kHeaderBytes = 4;

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
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPeerTimeout, sizeof(kPeerTimeout));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPeerTimeout, sizeof(kPeerTimeout));
  return fd;
}

absl::Status SendFrame(int fd, const google::protobuf::MessageLite& message) {
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
    ssize_t part = send(fd, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (part < 0 && errno == EINTR) continue;
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

absl::Status ReceiveFrame(int fd, google::protobuf::MessageLite* message) {
  std::string frame;
  size_t wanted = kHeaderBytes;
  while (frame.size() < wanted) {
    char buffer[1 << 14];
    ssize_t got = recv(fd, buffer, std::min(sizeof(buffer), wanted - frame.size()), 0);
    if (got < 0 && errno == EINTR) continue;
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
    if (!peer.valid()) continue;
    setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &kPeerTimeout, sizeof(kPeerTimeout));
    setsockopt(peer.get(), SOL_SOCKET, SO_SNDTIMEO, &kPeerTimeout, sizeof(kPeerTimeout));
    ControlRequest request;
    ControlReply reply;
    if (absl::Status status = ReceiveFrame(peer.get(), &request); status.ok()) {
      reply = handler_(request);
    } else {
      reply.set_code(static_cast<int>(status.code()));
      reply.set_error(std::string(status.message()));
    }
    SendFrame(peer.get(), reply).IgnoreError();  // whoever asked has gone: nothing to do
  }
}

absl::StatusOr<ControlReply> CallControl(const std::string& folder, const ControlRequest& request) {
  DURE_ASSIGN_OR_RETURN(FileDescriptor folder_fd, OpenFolder(folder));
  DURE_ASSIGN_OR_RETURN(FileDescriptor peer, MakeSocket());
  sockaddr_un address = AddressIn(folder_fd);
  if (connect(peer.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return absl::UnavailableError(absl::StrCat("nothing is running in ", folder));
    }
    return ErrnoStatus(errno, absl::StrCat("cannot reach the process of ", folder));
  }
  DURE_RETURN_IF_ERROR(SendFrame(peer.get(), request));
  ControlReply reply;
  DURE_RETURN_IF_ERROR(ReceiveFrame(peer.get(), &reply));
  if (reply.code() != 0) {
    return absl::Status(static_cast<absl::StatusCode>(reply.code()), reply.error());
  }
  return reply;
}

}  // namespace dure
