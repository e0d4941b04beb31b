// Each attempt runs in a process of its own that has entered the sandbox.
#include "learner/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "learner/landlock.h"
#include "learner/namespaces.h"

namespace dure {
namespace {

constexpr int kHolds = 0;

// Runs `attempt` behind the sandbox; it says whether what it tried was refused, or went well.
void Behind(const char* what, const std::function<bool()>& attempt) {
  EXPECT_EXIT(
      {
        LeaveNamespaces();
        EnterSandbox({});
        _exit(attempt() ? kHolds : 1);
      },
      ::testing::ExitedWithCode(kHolds), "")
      << what;
}

TEST(SandboxTest, EveryLayerHoldsHere) {
  EXPECT_EXIT(
      {
        LeaveNamespaces();
        int missing = 0;
        for (const SandboxLayer& layer : EnterSandbox({})) {
          if (layer.applied) continue;
          std::fprintf(stderr, "%s: %s\n", layer.name.c_str(), layer.detail.c_str());
          missing += !IsSpareLayer(layer.name);
        }
        _exit(missing);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(SandboxTest, NoNetwork) {
  Behind("socket", [] { return socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM; });
  Behind("unix socket", [] { return socket(AF_UNIX, SOCK_STREAM, 0) < 0; });
  Behind("socketpair", [] {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0;
  });
}

TEST(SandboxTest, NoFiles) {
  Behind("read", [] { return open("/etc/hostname", O_RDONLY) < 0 && errno == EACCES; });
  Behind("write", [] { return open("/tmp/dure_sandbox", O_WRONLY | O_CREAT, 0600) < 0; });
  Behind("stat", [] {
    struct stat info;
    return stat("/etc/passwd", &info) < 0;
  });
  Behind("unlink", [] { return unlink("/tmp/dure_sandbox_none") < 0 && errno == EPERM; });
  Behind("mkdir", [] { return mkdir("/tmp/dure_sandbox_folder", 0700) < 0 && errno == EPERM; });
}

TEST(SandboxTest, NoProgramsProcessesOrOthers) {
  Behind("exec", [] {
    execl("/bin/true", "true", nullptr);
    return errno == EPERM;
  });
  Behind("fork", [] { return fork() < 0; });
  Behind("ptrace", [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0; });
  Behind("kill", [] { return kill(getppid(), 0) < 0 && errno == EPERM; });
  Behind("limits", [] {
    const rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_DATA, &none) < 0;
  });
}

TEST(SandboxTest, NoMemoryThatRuns) {
  Behind("mmap", [] {
    return mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED;
  });
  Behind("mprotect", [] {
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0;
  });
}

// Landlock alone, on every thread that is there: an open file stays open, none is opened.
TEST(SandboxTest, LandlockIsOnEveryThread) {
  EXPECT_EXIT(
      {
        std::atomic<bool> go = false;
        std::atomic<int> opened = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 5; ++i) {
          threads.emplace_back([&] {
            while (!go) std::this_thread::yield();
            opened += open("/etc/hostname", O_RDONLY) >= 0 || open("/", O_RDONLY) >= 0;
          });
        }
        const std::string why = EnterLandlock();
        go = true;
        for (std::thread& thread : threads) thread.join();
        opened += open("/", O_RDONLY) >= 0;
        // A kernel without Landlock says so.
        _exit(why.empty() ? opened.load() : why.find("no Landlock") == std::string::npos);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(SandboxTest, ThreadsAndMemoryStillWork) {
  Behind("threads", [] {
    int value = 0;
    std::thread([&value] { value = 1; }).join();
    return value == 1;
  });
  Behind("memory", [] { return std::vector<char>(64 << 20).size() == size_t{64} << 20; });
}

TEST(SandboxTest, MemoryHasALimit) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer of this build needs more";
  EXPECT_EXIT(
      {
        EnterSandbox({.memory_bytes = uint64_t{256} << 20});
        void* memory = mmap(nullptr, size_t{512} << 20, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _exit(memory == MAP_FAILED ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dure
