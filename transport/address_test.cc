#include "transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, NamesAndNumbersAreRead) {
  for (const char* text :
       {"coordinator.example.org:7443", "127.0.0.1:0", "[::1]:65535", "localhost:1"}) {
    auto address = ParseAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  EXPECT_EQ(ParseAddress("[2001:db8::7]:7443")->host, "2001:db8::7");
}

TEST(AddressTest, WhatIsWrongIsSaid) {
  struct Case {
    std::string text;
    std::string words;
  };
  for (const Case& c :
       {Case{"", "no port"}, Case{"host", "no port"}, Case{"host:", "port"},
        Case{"host:65536", "port"}, Case{"host:-1", "port"}, Case{"host:+1", "port"},
        Case{":7443", "no host"}, Case{"::1:7443", "brackets"}, Case{"[host]:1", "IPv6"},
        Case{"[]:1", "IPv6"}, Case{"unix:/tmp/x:1", "brackets"}, Case{"a/b:1", "letters"},
        Case{std::string(254, 'a') + ":1", "253"}, Case{"a b:1", "letters"}}) {
    absl::Status status = ParseAddress(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.words)) << c.text;
  }
}

TEST(AddressTest, AnAddressInUseIsExplained) {
  FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where = {};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(where);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&where), size), 0);
  ASSERT_EQ(listen(fd.get(), 1), 0);
  ASSERT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&where), &size), 0);
  absl::Status status = ExplainListenFault({"127.0.0.1", ntohs(where.sin_port)});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use. Stop the program"));
}

TEST(AddressTest, AnAddressOfAnotherMachineIsExplained) {
  // 192.0.2.0/24 is for documentation (RFC 5737).
  absl::Status status = ExplainListenFault({"192.0.2.7", 0});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such address"));
}

TEST(AddressTest, AFaultThatHasGoneIsUnavailable) {
  EXPECT_EQ(ExplainListenFault({"127.0.0.1", 0}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace dure
