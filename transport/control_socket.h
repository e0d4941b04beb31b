// How `dure status` and its like reach a running coordinator or client: a Unix socket in its
// private folder, one request and one reply a connection (proto/control.proto). Whoever may open
// the folder may ask; there is no other authentication. Paths of any length work: the socket is
// reached through the folder's descriptor.
#ifndef DURE_TRANSPORT_CONTROL_SOCKET_H_
#define DURE_TRANSPORT_CONTROL_SOCKET_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "proto/control.pb.h"

namespace dure {

// Largest request and reply, in bytes.
inline constexpr uint32_t kMaxControlBytes = 1u << 20;

class ControlServer {
 public:
  // Called on the server's own thread, one request at a time.
  using Handler = std::function<ControlReply(const ControlRequest&)>;

  // Listens on FOLDER/control.sock (0600), replacing one left by a process that is gone.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(const std::string& folder,
                                                              Handler handler);
  // Waits for the handler if it is being called, but for no peer, then removes the socket.
  ~ControlServer();

 private:
  ControlServer(FileDescriptor folder, FileDescriptor listener, FileDescriptor wake_read,
                FileDescriptor wake_write, Handler handler);
  void Serve();
  void Answer(int peer);

  FileDescriptor folder_;
  FileDescriptor listener_;
  FileDescriptor wake_read_;
  FileDescriptor wake_write_;
  Handler handler_;
  std::thread thread_;
};

// Asks the process that listens in `folder`. Unavailable if none does; DeadlineExceeded if it does
// not answer in time; InvalidArgument for text that is not UTF-8; the reply's own error as a status
// otherwise.
absl::StatusOr<ControlReply> CallControl(const std::string& folder, const ControlRequest& request);

// Reads one message of at most kMaxControlBytes from `bytes`, as framed on the socket.
// InvalidArgument if it is cut, too large or not a message.
absl::Status DecodeControlFrame(std::string_view bytes, google::protobuf::MessageLite* message);

}  // namespace dure

#endif  // DURE_TRANSPORT_CONTROL_SOCKET_H_
