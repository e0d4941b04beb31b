#include "transport/control_socket.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

ControlRequest AskForStatus() {
  ControlRequest request;
  request.mutable_status();
  return request;
}

std::string Frame(const ControlRequest& request) {
  const std::string body = request.SerializeAsString();
  EXPECT_LT(body.size(), 128u);
  return std::string({'\0', '\0', '\0', static_cast<char>(body.size())}) + body;
}

class ControlSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/dure_control_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto server = ControlServer::Start(folder_, [this](const ControlRequest& request) {
      ++asked_;
      ControlReply reply;
      if (request.has_status()) {
        reply.mutable_status()->set_text(std::string(answer_bytes_, 'x'));
      } else {
        reply.set_code(static_cast<int>(absl::StatusCode::kUnimplemented));
        reply.set_error("not known here");
      }
      return reply;
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A peer that has connected and said nothing yet.
  FileDescriptor Connect() {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::string path = folder_ + "/control.sock";
    EXPECT_LT(path.size(), sizeof(address.sun_path));
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  // Sends bytes, ends its half and reads the answer.
  std::string Exchange(std::string_view bytes) {
    FileDescriptor peer = Connect();
    EXPECT_EQ(send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    shutdown(peer.get(), SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t got; (got = recv(peer.get(), buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }

  std::string folder_;
  std::atomic<int> asked_ = 0;
  std::atomic<size_t> answer_bytes_ = 10;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlSocketTest, AskingGetsAnAnswerOrAnError) {
  auto reply = CallControl(folder_, AskForStatus());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status().text(), "xxxxxxxxxx");
  EXPECT_EQ(CallControl(folder_, ControlRequest()).status(),
            absl::UnimplementedError("not known here"));
}

TEST_F(ControlSocketTest, TextThatIsNotUtf8IsRefusedBeforeItIsSent) {
  ControlRequest request;
  request.mutable_invite()->set_name("\xff");
  absl::Status status = CallControl(folder_, request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not UTF-8"));
  EXPECT_EQ(asked_, 0);
}

TEST_F(ControlSocketTest, NobodyThereIsUnavailable) {
  server_.reset();
  EXPECT_EQ(CallControl(folder_, AskForStatus()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ControlSocketTest, BytesThatAreNoRequestAreAnsweredAndNotHandled) {
  std::mt19937 draw(7);
  for (size_t size = 0; size < 300; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(draw());
    // A header that announces what follows, every second time.
    if (size >= 4 && size % 2 == 0) {
      const size_t body = size - 4;
      bytes.replace(0, 4, {'\0', '\0', static_cast<char>(body >> 8), static_cast<char>(body)});
      bytes.append(1, '\x07');  // and a byte too many
    }
    const std::string answer = Exchange(bytes);
    ControlReply reply;
    // It may be cut where the server closes before it has read everything.
    if (DecodeControlFrame(answer, &reply).ok() && reply.code() != 0) {
      EXPECT_NE(reply.error(), "") << size;
    }
  }
  EXPECT_TRUE(CallControl(folder_, AskForStatus()).ok());
}

TEST_F(ControlSocketTest, ARequestAboveTheLimitIsNamedWithTheLimit) {
  ControlReply reply;
  ASSERT_TRUE(DecodeControlFrame(Exchange({"\x00\x10\x00\x01", 4}), &reply).ok());
  EXPECT_EQ(reply.code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(reply.error(), HasSubstr("1048577 bytes, limit 1048576"));
  EXPECT_EQ(asked_, 0);
}

TEST_F(ControlSocketTest, ASilentPeerDoesNotDelayTheEnd) {
  FileDescriptor silent = Connect();
  FileDescriptor in_the_queue = Connect();
  ASSERT_EQ(send(silent.get(), "\0\0", 2, MSG_NOSIGNAL), 2);
  server_.reset();  // returns although neither has ended
  EXPECT_EQ(asked_, 0);
}

TEST_F(ControlSocketTest, APeerThatDoesNotReadDoesNotDelayTheEnd) {
  answer_bytes_ = kMaxControlBytes - 100;  // more than the socket's buffer takes
  FileDescriptor peer = Connect();
  const int small = 4096;
  setsockopt(peer.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  const std::string frame = Frame(AskForStatus());
  ASSERT_EQ(send(peer.get(), frame.data(), frame.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(frame.size()));
  while (asked_ == 0) std::this_thread::yield();
  server_.reset();
  EXPECT_EQ(asked_, 1);
}

TEST_F(ControlSocketTest, AServerThatHadNoDescriptorLeftAnswersWhenItHas) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = std::min<rlim_t>(before.rlim_cur, 256);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  // The server is busy with the first peer; the second one waits in its queue.
  FileDescriptor first = Connect();
  FileDescriptor second = Connect();
  const std::string frame = Frame(AskForStatus());
  ASSERT_EQ(send(second.get(), frame.data(), frame.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(frame.size()));
  std::vector<FileDescriptor> taken;
  for (;;) {
    FileDescriptor fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) break;
    taken.push_back(std::move(fd));
  }
  // The limit below what is open: closing the first peer frees nothing.
  rlimit none = few;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  first.Close();
  taken.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  char byte;
  EXPECT_EQ(recv(second.get(), &byte, 1, 0), 1);
  EXPECT_EQ(asked_, 1);
}

}  // namespace
}  // namespace dure
