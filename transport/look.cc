#include "transport/look.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "crypto/tls_look.h"
#include "crypto/x509.h"
#include "transport/address.h"

namespace dure {
namespace {

constexpr int kMostAddresses = 4;  // of one name

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

std::string WhyNoName(int error, const std::string& host) {
  switch (error) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      return absl::StrCat("the name ", host, " is not known: is it spelled right?");
    case EAI_AGAIN:
      return absl::StrCat("the name ", host,
                          " cannot be looked up: does this machine have a network, and a name "
                          "server?");
    default:
      return absl::StrCat("the name ", host, " cannot be looked up: ", gai_strerror(error));
  }
}

std::string WhyNoConnection(int error, const std::string& where) {
  switch (error) {
    case ECONNREFUSED:
      return absl::StrCat("nothing listens at ", where,
                          ": the coordinator does not run, or its address has changed");
    case ETIMEDOUT:
      return absl::StrCat(where,
                          " does not answer: a firewall on the way may drop what is sent to "
                          "it; members need no more than outgoing TCP to that port");
    case ENETUNREACH:
    case EHOSTUNREACH:
      return absl::StrCat("there is no way to ", where, ": does this machine have a network?");
    case EACCES:
    case EPERM:
      return absl::StrCat("a firewall of this machine forbids connections to ", where);
    default:
      return absl::StrCat("no connection to ", where, ": ", std::strerror(error));
  }
}

std::string Numeric(const addrinfo& address) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(address.ai_addr, address.ai_addrlen, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return address.ai_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
}

// 0, or the number of the error.
int Connect(const addrinfo& address, absl::Duration timeout, FileDescriptor* out) {
  FileDescriptor fd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  if (connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    pollfd entry = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
    int ready = 0;
    do {
      ready = poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof(error);
    if (ready < 0 || getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    if (error != 0) return error;
  }
  fcntl(fd.get(), F_SETFL, 0);  // blocking from here on, with limits
  const timeval limit = absl::ToTimeval(timeout);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  *out = std::move(fd);
  return 0;
}

absl::Status JudgePeer(const TlsPeer& peer, const std::string& where, std::string_view ca_der,
                       absl::Time now) {
  const absl::Status ours = VerifyCertificateAtAnyTime(peer.certificate, ca_der).status();
  if (ours.ok()) return VerifyCoordinatorCertificate(peer.certificate, ca_der, now).status();
  return absl::UnauthenticatedError(
      absl::StrCat("TLS is opened on the way, or another server is at ", where,
                   ": expected a certificate of the enrolment CA ", CertificateFingerprint(ca_der),
                   ", got one of issuer \"", peer.issuer, "\" for \"", peer.subject,
                   "\"; ask whoever runs this network not to open connections to ", where,
                   ", and the organiser whether the address is right"));
}

}  // namespace

AddressLook LookAtAddress(const std::string& address, std::string_view ca_der, absl::Time now,
                          absl::Duration timeout) {
  AddressLook look;
  absl::StatusOr<Address> parsed = ParseAddress(address);
  if (!parsed.ok()) {
    look.reached = parsed.status();
    return look;
  }
  const addrinfo hints = {.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(parsed->host.c_str(), absl::StrCat(parsed->port).c_str(), &hints, &found);
  if (error != 0) {
    look.reached = absl::UnavailableError(WhyNoName(error, Printable(parsed->host)));
    return look;
  }
  const Addresses addresses(found);
  FileDescriptor fd;
  int tried = 0;
  for (const addrinfo* at = found; at != nullptr && tried < kMostAddresses && !fd.valid();
       at = at->ai_next, ++tried) {
    look.where = Numeric(*at);
    const int failed = Connect(*at, timeout, &fd);
    look.reached = failed == 0 ? absl::OkStatus()
                               : absl::UnavailableError(WhyNoConnection(failed, look.where));
  }
  if (!fd.valid()) return look;
  absl::StatusOr<TlsPeer> peer = LookAtTlsPeer(fd.get(), kCoordinatorDnsName);
  look.tls = peer.ok() ? JudgePeer(*peer, parsed->ToString(), ca_der, now) : peer.status();
  return look;
}

}  // namespace dure
