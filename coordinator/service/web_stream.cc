#include "coordinator/service/web_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace dure {
namespace {

constexpr size_t kBufferBytes = 4096;
constexpr absl::Duration kFarewell = absl::Milliseconds(200);
constexpr size_t kMostDrained = 64 * 1024;

// Not the system's time, which may jump.
absl::Time EvenNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

WebStream::WebStream(int socket, absl::Duration read_time, absl::Duration write_time,
                     size_t max_bytes)
    : socket_(socket),
      read_until_(EvenNow() + read_time),
      write_until_(read_until_ + write_time),
      left_(max_bytes) {}

bool WebStream::WaitFor(short events, absl::Time until) const {
  for (;;) {
    const absl::Duration left = until - EvenNow();
    if (left <= absl::ZeroDuration()) return false;
    pollfd waiting{.fd = socket_, .events = events, .revents = 0};
    const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

ssize_t WebStream::Read(char* to, size_t size) {
  if (at_ == buffer_.size()) {
    if (left_ == 0 || !WaitFor(POLLIN, read_until_)) return -1;
    buffer_.resize(std::min(kBufferBytes, left_));
    const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    buffer_.resize(got > 0 ? static_cast<size_t>(got) : 0);
    at_ = 0;
    if (got <= 0) return got;
    left_ -= buffer_.size();
  }
  const size_t given = std::min(size, buffer_.size() - at_);
  std::memcpy(to, buffer_.data() + at_, given);
  at_ += given;
  return static_cast<ssize_t>(given);
}

ssize_t WebStream::Write(const char* from, size_t size) {
  for (size_t sent = 0; sent < size;) {
    if (!WaitFor(POLLOUT, write_until_)) return -1;
    const ssize_t count = send(socket_, from + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) sent += static_cast<size_t>(count);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return -1;
  }
  return static_cast<ssize_t>(size);
}

void WebStream::Finish() {
  shutdown(socket_, SHUT_WR);
  const absl::Time until = EvenNow() + kFarewell;
  char ignored[kBufferBytes];
  for (size_t drained = 0; drained < kMostDrained && WaitFor(POLLIN, until);) {
    const ssize_t got = recv(socket_, ignored, sizeof(ignored), MSG_DONTWAIT);
    if (got <= 0) return;
    drained += static_cast<size_t>(got);
  }
}

}  // namespace dure
