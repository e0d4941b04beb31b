#include "coordinator/service/web_address.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace dure {
namespace {

constexpr size_t kMaxHostBytes = 253;

bool IsIpv4(const std::string& host) {
  in_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}
bool IsIpv6(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

bool IsLoopback(const std::string& host) {
  if (IsIpv4(host)) return absl::StartsWith(host, "127.");
  in6_addr parsed;
  if (inet_pton(AF_INET6, host.c_str(), &parsed) == 1) return IN6_IS_ADDR_LOOPBACK(&parsed);
  return absl::EqualsIgnoreCase(host, "localhost");
}

bool IsEveryAddress(const std::string& host) {
  in6_addr parsed;
  if (inet_pton(AF_INET6, host.c_str(), &parsed) == 1) return IN6_IS_ADDR_UNSPECIFIED(&parsed);
  return host == "0.0.0.0";
}

std::string OwnName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

bool IsHostName(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
         });
}

absl::Status Wrong(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--web \"", std::string(text),
      "\" is no address: write a port, which is then one of this machine alone, or HOST:PORT"));
}

}  // namespace

std::string WebAddress::ToString() const {
  return host.find(':') == std::string::npos ? absl::StrCat(host, ":", port)
                                             : absl::StrCat("[", host, "]:", port);
}

absl::StatusOr<WebAddress> ParseWebAddress(std::string_view text) {
  WebAddress address{.host = "127.0.0.1"};
  std::string port(text);
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    port = std::string(text.substr(colon + 1));
    std::string host(text.substr(0, colon));
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    if (!host.empty()) {
      if (brackets ? !IsIpv6(host) : !IsHostName(host)) return Wrong(text);
      address.host = std::move(host);
    }
  }
  const bool digits =
      !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) {
        return absl::ascii_isdigit(static_cast<unsigned char>(c));
      });
  if (!digits || !absl::SimpleAtoi(port, &address.port) || address.port > 65535) {
    return Wrong(text);
  }
  address.loopback = IsLoopback(address.host);
  return address;
}

bool HostIsAllowed(const WebAddress& address, std::string_view host_header) {
  std::string host;
  if (!host_header.empty() && host_header.front() == '[') {
    const size_t end = host_header.find(']');
    if (end == std::string_view::npos) return false;
    host = std::string(host_header.substr(1, end - 1));
    if (!IsIpv6(host)) return false;
  } else {
    host = std::string(host_header.substr(0, host_header.find(':')));
  }
  if (IsLoopback(host) || absl::EqualsIgnoreCase(host, address.host)) return true;
  if (!IsEveryAddress(address.host)) return false;
  return IsIpv4(host) || IsIpv6(host) || absl::EqualsIgnoreCase(host, OwnName());
}

}  // namespace dure
