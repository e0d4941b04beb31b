#include "transport/doorkeeper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr int kBacklog = 4096;
constexpr int kEventsAtATime = 64;
constexpr absl::Duration kLook = absl::Seconds(1);  // at who is late

// "192.0.2.7" and "192.0.2.7:51324", or "[2001:db8::7]" and "[2001:db8::7]:51324".
struct PeerName {
  std::string address, peer;
};

PeerName NameOf(const sockaddr_storage& from) {
  char text[INET6_ADDRSTRLEN] = "";
  PeerName name;
  uint16_t port = 0;
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    name.address = inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    port = ntohs(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      name.address = inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
    } else {
      name.address = absl::StrCat("[", inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text)), "]");
    }
    port = ntohs(v6.sin6_port);
  }
  name.peer = absl::StrCat(name.address, ":", port);
  return name;
}

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || address == "[::1]";
}

// As gRPC sets them on what it accepts itself.
void Prepare(int connection) {
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int timeout = static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout));
  setsockopt(connection, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Doorkeeper>> Doorkeeper::Open(const Address& address,
                                                             const Options& options) {
  auto door = std::unique_ptr<Doorkeeper>(new Doorkeeper(options));
  DURE_RETURN_IF_ERROR(door->Listen(address));
  door->events_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  door->wake_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!door->events_.valid() || !door->wake_.valid()) return ErrnoStatus(errno, "cannot listen");
  epoll_event event{.events = EPOLLIN, .data = {.fd = door->wake_.get()}};
  epoll_ctl(door->events_.get(), EPOLL_CTL_ADD, door->wake_.get(), &event);
  return door;
}

absl::Status Doorkeeper::Listen(const Address& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const int fault =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
  if (fault != 0) return ExplainListenFault(address);
  port_ = address.port;
  for (addrinfo* where = list; where != nullptr; where = where->ai_next) {
    // All of them have one port, also if the system chose it.
    if (where->ai_family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(where->ai_addr)->sin_port = htons(port_);
    } else if (where->ai_family == AF_INET6) {
      reinterpret_cast<sockaddr_in6*>(where->ai_addr)->sin6_port = htons(port_);
    } else {
      continue;
    }
    FileDescriptor fd(socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1, off = 0;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // "::" takes IPv4, too.
    if (where->ai_family == AF_INET6) {
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (!fd.valid() || bind(fd.get(), where->ai_addr, where->ai_addrlen) != 0 ||
        listen(fd.get(), kBacklog) != 0) {
      // A machine without IPv6 has a name of it in its hosts file all the same.
      if (errno == EADDRNOTAVAIL && !listening_.empty()) continue;
      return ExplainListenFault(address);
    }
    sockaddr_storage bound = {};
    socklen_t size = sizeof(bound);
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    port_ =
        ntohs(bound.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(bound).sin_port
                                         : reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
    listening_.push_back(std::move(fd));
  }
  return listening_.empty() ? ExplainListenFault(address) : absl::OkStatus();
}

void Doorkeeper::Begin(std::function<void(FileDescriptor)> admit) {
  admit_ = std::move(admit);
  thread_ = std::thread([this] { Run(); });
}

void Doorkeeper::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = write(wake_.get(), &one, sizeof(one));
}

void Doorkeeper::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
  listening_.clear();
  std::lock_guard lock(mutex_);
  strangers_.clear();
}

void Doorkeeper::Known(const std::string& peer) {
  std::lock_guard lock(mutex_);
  if (const auto found = strangers_.find(peer); found != strangers_.end()) {
    Forget(found);
    Wake();  // there may be room
  }
}

size_t Doorkeeper::strangers() {
  std::lock_guard lock(mutex_);
  return strangers_.size();
}

size_t Doorkeeper::turned_away() {
  std::lock_guard lock(mutex_);
  return turned_away_;
}

// Under the lock. The connection goes on with gRPC's descriptor of it.
void Doorkeeper::Forget(Strangers::iterator stranger) {
  const int fd = stranger->second.connection.get();
  epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd, nullptr);
  peer_of_.erase(fd);
  const auto count = of_address_.find(stranger->second.address);
  if (--count->second == 0) of_address_.erase(count);
  strangers_.erase(stranger);
}

// Under the lock.
void Doorkeeper::DropTheLate(absl::Time now) {
  for (auto stranger = strangers_.begin(); stranger != strangers_.end();) {
    const auto next = std::next(stranger);
    if (stranger->second.until <= now) {
      shutdown(stranger->second.connection.get(), SHUT_RDWR);
      ++turned_away_;
      Forget(stranger);
    }
    stranger = next;
  }
}

// Under the lock.
void Doorkeeper::WatchDoor() {
  const bool open = strangers_.size() < options_.strangers;
  if (open == open_) return;
  open_ = open;
  for (const FileDescriptor& fd : listening_) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd.get()}};
    epoll_ctl(events_.get(), open ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd.get(), &event);
  }
}

void Doorkeeper::Accept(int listening) {
  sockaddr_storage from = {};
  socklen_t size = sizeof(from);
  FileDescriptor connection(
      accept4(listening, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!connection.valid()) {
    // Without a descriptor left, others have to go first.
    if (errno == EMFILE || errno == ENFILE) absl::SleepFor(absl::Milliseconds(50));
    return;
  }
  const PeerName name = NameOf(from);
  {
    std::lock_guard lock(mutex_);
    size_t& count = of_address_[name.address];
    const bool limited = options_.limit_loopback || !IsLoopback(name.address);
    FileDescriptor second(fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
    if ((limited && count >= options_.strangers_of_address) || !second.valid()) {
      ++turned_away_;
      if (count == 0) of_address_.erase(name.address);
      const linger none{.l_onoff = 1, .l_linger = 0};
      setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &none, sizeof(none));
      return;
    }
    ++count;
    epoll_event event{.events = EPOLLRDHUP | EPOLLHUP | EPOLLERR, .data = {.fd = second.get()}};
    epoll_ctl(events_.get(), EPOLL_CTL_ADD, second.get(), &event);
    peer_of_[second.get()] = name.peer;
    strangers_[name.peer] = {std::move(second), name.address, absl::Now() + options_.patience};
  }
  Prepare(connection.get());
  admit_(std::move(connection));
}

void Doorkeeper::Run() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      DropTheLate(absl::Now());
      WatchDoor();
    }
    epoll_event events[kEventsAtATime];
    const bool nobody = strangers() == 0;
    const int ready = epoll_wait(events_.get(), events, kEventsAtATime,
                                 nobody ? -1 : static_cast<int>(absl::ToInt64Milliseconds(kLook)));
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake_.get()) {
        uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = read(fd, &count, sizeof(count));
        continue;
      }
      const bool door = std::any_of(listening_.begin(), listening_.end(),
                                    [&](const FileDescriptor& l) { return l.get() == fd; });
      if (door) {
        Accept(fd);
        continue;
      }
      std::lock_guard lock(mutex_);
      const auto peer = peer_of_.find(fd);
      if (peer != peer_of_.end()) Forget(strangers_.find(peer->second));
    }
  }
}

}  // namespace dure
