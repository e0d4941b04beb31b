#include "transport/doorkeeper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>

#include "gtest/gtest.h"

namespace dure {
namespace {

class DoorkeeperTest : public ::testing::Test {
 protected:
  void Open(Doorkeeper::Options options) {
    options.limit_loopback = true;
    auto door = Doorkeeper::Open({.host = "127.0.0.1", .port = 0}, options);
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    door_->Begin([this](FileDescriptor connection) {
      std::lock_guard lock(mutex_);
      admitted_.push_back(std::move(connection));
      changed_.notify_all();
    });
  }
  FileDescriptor Dial() {
    FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(door_->port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }
  static std::string NameOf(const FileDescriptor& fd) {
    sockaddr_in own = {};
    socklen_t size = sizeof(own);
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size);
    return "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }
  bool AwaitAdmitted(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return admitted_.size() >= count; });
  }
  // Whether the other end has closed the connection.
  static bool AwaitClosed(const FileDescriptor& fd) {
    pollfd watched{.fd = fd.get(), .events = POLLIN | POLLRDHUP, .revents = 0};
    if (poll(&watched, 1, 20'000) <= 0) return false;
    char byte;
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT) <= 0;
  }
  size_t admitted() {
    std::lock_guard lock(mutex_);
    return admitted_.size();
  }
  bool AwaitStrangers(size_t count) {
    for (int i = 0; i < 2000 && door_->strangers() != count; ++i) usleep(10'000);
    return door_->strangers() == count;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<FileDescriptor> admitted_;
  std::unique_ptr<Doorkeeper> door_;
};

TEST_F(DoorkeeperTest, OfOneAddressOnlySoManyStrangersComeIn) {
  Open({.strangers = 100, .strangers_of_address = 3});
  std::vector<FileDescriptor> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(Dial());
  ASSERT_TRUE(AwaitAdmitted(3));
  const FileDescriptor fourth = Dial();
  EXPECT_TRUE(AwaitClosed(fourth));
  EXPECT_EQ(admitted(), 3u);
  EXPECT_EQ(door_->turned_away(), 1u);
  // Who is known makes room.
  door_->Known(NameOf(calls[0]));
  calls.push_back(Dial());
  EXPECT_TRUE(AwaitAdmitted(4));
}

TEST_F(DoorkeeperTest, WhoIsGoneIsCountedNoMore) {
  Open({.strangers = 100, .strangers_of_address = 2});
  for (int i = 0; i < 5; ++i) {
    FileDescriptor first = Dial(), second = Dial();
    ASSERT_TRUE(AwaitAdmitted(2 * static_cast<size_t>(i) + 2)) << i;
    first.Close();
    second.Close();
    ASSERT_TRUE(AwaitStrangers(0));
  }
}

TEST_F(DoorkeeperTest, OverTheLimitOfAllNewOnesWait) {
  Open({.strangers = 2, .strangers_of_address = 100});
  const FileDescriptor first = Dial(), second = Dial();
  ASSERT_TRUE(AwaitAdmitted(2));
  const FileDescriptor third = Dial();  // in the system's queue
  EXPECT_EQ(admitted(), 2u);
  door_->Known(NameOf(second));
  EXPECT_TRUE(AwaitAdmitted(3));
}

TEST_F(DoorkeeperTest, AStrangerWhoSaysNothingIsCutOff) {
  Open({.strangers = 100, .strangers_of_address = 100, .patience = absl::Milliseconds(20)});
  const FileDescriptor call = Dial();
  ASSERT_TRUE(AwaitAdmitted(1));
  EXPECT_TRUE(AwaitClosed(call));
  EXPECT_TRUE(AwaitStrangers(0));
}

TEST_F(DoorkeeperTest, AnAddressThatIsInUseIsExplained) {
  Open({});
  const auto again =
      Doorkeeper::Open({.host = "127.0.0.1", .port = static_cast<uint16_t>(door_->port())}, {});
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists) << again.status();
}

}  // namespace
}  // namespace dure
