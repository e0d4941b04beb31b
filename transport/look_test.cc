#include "transport/look.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/session_fixture.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class LookTest : public SessionTest {
 protected:
  static AddressLook Look(const std::string& address, const std::string& ca_der,
                          absl::Time now = absl::Now()) {
    return LookAtAddress(address, ca_der, now, absl::Seconds(10));
  }
};

std::string Words(const absl::Status& status) { return std::string(status.message()); }

TEST_F(LookTest, TheCoordinatorIsRecognised) {
  StartServer();
  const AddressLook look = Look(address(), ca_.der());
  EXPECT_TRUE(look.reached.ok()) << look.reached;
  EXPECT_TRUE(look.tls.ok()) << look.tls;
  EXPECT_THAT(look.where, HasSubstr("127.0.0.1:"));
}

TEST_F(LookTest, AnotherIssuerIsNamedBesideTheOneThatWasExpected) {
  StartServer();
  Ca other("other");
  const AddressLook look = Look(address(), other.der());
  EXPECT_TRUE(look.reached.ok());
  EXPECT_TRUE(absl::IsUnauthenticated(look.tls)) << look.tls;
  EXPECT_THAT(Words(look.tls), HasSubstr(absl::StrCat("expected a certificate of the enrolment CA ",
                                                      CertificateFingerprint(other.der()))));
  EXPECT_THAT(Words(look.tls), HasSubstr("got one of issuer \"O=fashion,CN=dure enrolment CA"));
  EXPECT_THAT(Words(look.tls), HasSubstr("for \"CN=coordinator\""));
}

TEST_F(LookTest, AClockThatIsWrongIsToldFromAnotherIssuer) {
  StartServer();
  const AddressLook late = Look(address(), ca_.der(), absl::Now() + absl::Hours(48));
  EXPECT_TRUE(absl::IsFailedPrecondition(late.tls)) << late.tls;
  EXPECT_THAT(Words(late.tls), HasSubstr("expired"));
  const AddressLook early = Look(address(), ca_.der(), absl::Now() - absl::Hours(48));
  EXPECT_TRUE(absl::IsFailedPrecondition(early.tls)) << early.tls;
  EXPECT_THAT(Words(early.tls), HasSubstr("not valid"));
}

// A server on loopback that takes one connection and does `then` with it.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  void Serve() {
    ASSERT_EQ(listen(fd_.get(), 1), 0);
    thread_ = std::thread([this] {
      const FileDescriptor peer(accept(fd_.get(), nullptr, nullptr));
      const char page[] = "HTTP/1.0 400 Bad Request\r\n\r\n";
      if (write(peer.get(), page, sizeof(page)) < 0) return;
    });
  }
  ~Listener() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  FileDescriptor fd_;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(LookTest, AServerWithoutTls) {
  Listener listener;
  listener.Serve();
  const AddressLook look = Look(listener.address(), ca_.der());
  EXPECT_TRUE(look.reached.ok()) << look.reached;
  EXPECT_THAT(Words(look.tls), HasSubstr("does not speak TLS"));
}

TEST_F(LookTest, NobodyThere) {
  const Listener bound_only;  // takes the port, and no connection
  const AddressLook look = Look(bound_only.address(), ca_.der());
  EXPECT_TRUE(absl::IsUnavailable(look.reached)) << look.reached;
  EXPECT_THAT(Words(look.reached), HasSubstr("nothing listens at 127.0.0.1:"));
}

TEST_F(LookTest, NamesThatAreNone) {
  const AddressLook look = Look("no-such-name.invalid:7000", ca_.der());
  EXPECT_TRUE(absl::IsUnavailable(look.reached)) << look.reached;
  EXPECT_THAT(Words(look.reached), HasSubstr("no-such-name.invalid"));
  EXPECT_TRUE(absl::IsInvalidArgument(Look("no port", ca_.der()).reached));
}

}  // namespace
}  // namespace dure
