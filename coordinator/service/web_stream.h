// One connection of the web server, which may neither last long nor bring much: a client that sends
// a byte now and then, or reads nothing, is let go at a fixed time. Not thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_WEB_STREAM_H_
#define DURE_COORDINATOR_SERVICE_WEB_STREAM_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/time/time.h"

namespace dure {

class WebStream {
 public:
  // Borrows the socket. Reading ends after `read_time` or `max_bytes`, writing `write_time` later.
  WebStream(int socket, absl::Duration read_time, absl::Duration write_time, size_t max_bytes);

  // Bytes read, 0 at the end, -1 at a limit or a fault.
  ssize_t Read(char* to, size_t size);
  // All of it, or -1.
  ssize_t Write(const char* from, size_t size);
  // Says that nothing more comes, and takes in for a moment what is still on its way: closed with
  // bytes unread, a connection is reset, and the other end may lose the answer.
  void Finish();

  int socket() const { return socket_; }

 private:
  bool WaitFor(short events, absl::Time until) const;

  const int socket_;
  const absl::Time read_until_;
  const absl::Time write_until_;
  size_t left_;
  std::string buffer_;
  size_t at_ = 0;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_STREAM_H_
