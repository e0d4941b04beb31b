#include "transport/address.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace dure {
namespace {

bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_'; }
bool IsIpv6Character(char c) { return absl::ascii_isxdigit(c) || c == ':' || c == '.'; }

// 0 if it could be bound, else the error's number.
int TryToListen(const addrinfo& where) {
  FileDescriptor fd(socket(where.ai_family, where.ai_socktype | SOCK_CLOEXEC, where.ai_protocol));
  if (!fd.valid()) return errno;
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), where.ai_addr, where.ai_addrlen) != 0) return errno;
  return listen(fd.get(), 1) == 0 ? 0 : errno;
}

}  // namespace

std::string Address::ToString() const {
  bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  auto bad = [&](std::string_view why) {
    std::string shown(text.substr(0, kMaxHostBytes));
    return absl::InvalidArgumentError(
        absl::StrCat("the address \"", absl::CHexEscape(shown),
                     "\" is not HOST:PORT: ", absl::string_view(why.data(), why.size())));
  };
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("it has no port");
  std::string host(text.substr(0, colon));
  std::string digits(text.substr(colon + 1));
  uint32_t port = 0;
  bool number = !digits.empty() && digits.size() <= 5 &&
                std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
                absl::SimpleAtoi(digits, &port) && port <= UINT16_MAX;
  if (!number) return bad("the port is not a number from 0 to 65535");
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string::npos ||
        !std::all_of(host.begin(), host.end(), IsIpv6Character)) {
      return bad("what is in brackets is not an IPv6 address");
    }
  } else if (host.find(':') != std::string::npos) {
    return bad("an IPv6 address needs brackets, for example [::1]:7443");
  } else if (!std::all_of(host.begin(), host.end(), IsNameCharacter)) {
    return bad("a host has letters, digits, '.', '-' and '_'");
  }
  if (host.empty()) return bad("it has no host");
  if (host.size() > kMaxHostBytes) return bad("the host is longer than 253 characters");
  return Address{std::move(host), static_cast<uint16_t>(port)};
}

absl::Status ExplainListenFault(const Address& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  std::string text = address.ToString();
  int fault =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (fault != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen at ", text, ": ", gai_strerror(fault)));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
  int error = 0;
  for (const addrinfo* where = list; where != nullptr && error == 0; where = where->ai_next) {
    error = TryToListen(*where);
  }
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat("cannot listen at ", text,
                                                   ": the address is in use. Stop the program that "
                                                   "listens there, or choose another port"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat("cannot listen at ", text,
                       ": this machine has no such address. Use one of "
                       "its own, or 0.0.0.0 for all of them"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("cannot listen at ", text,
                       ": the system does not allow it. Ports below 1024 "
                       "need a privilege; choose a higher one"));
    case 0:
      return absl::UnavailableError(absl::StrCat("cannot listen at ", text, ". Try again"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot listen at ", text, ": ", std::strerror(error)));
  }
}

}  // namespace dure
