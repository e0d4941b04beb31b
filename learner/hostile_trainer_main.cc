// A trainer that somebody has taken over, for tests: behind the real sandbox, in the place of
// dure-trainer, it tries what it should not be able to do, and tells the client in its complaint
// about the data how each attempt failed: "NAME=ERRNO", 0 for one that went well. What it tries is
// chosen by the model's seed; where, it knows from the path of its data, ROOT/data/….
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "learner/architecture.h"
#include "learner/per_example.h"
#include "learner/trainer_program.h"

namespace dure {
namespace {

// Seeds of the model: which attempts.
enum Mode : uint64_t { kReachOut = 1, kTouchFiles = 2, kLoopForEver = 3, kTakeMemory = 4 };

class Report {
 public:
  // `result` is what a system call gave: below 0 for an error.
  void Add(const char* name, long result) {
    absl::StrAppend(&text_, name, "=", result < 0 ? errno : 0, " ");
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <typename... Arguments>
long Call(long number, Arguments... arguments) {
  return syscall(number, arguments...);
}

void ReachOut(Report* report) {
  report->Add("inet", socket(AF_INET, SOCK_STREAM, 0));
  report->Add("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
  report->Add("unix", socket(AF_UNIX, SOCK_STREAM, 0));
  report->Add("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  report->Add("packet", socket(AF_PACKET, SOCK_RAW, 0));
  report->Add("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  int ends[2];
  report->Add("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  const sockaddr abstract = {.sa_family = AF_UNIX, .sa_data = {0, 'x'}};
  report->Add("connect", connect(3, &abstract, sizeof(abstract)));
  report->Add("bind", bind(3, &abstract, sizeof(abstract)));
  report->Add("sendto", sendto(3, "x", 1, 0, &abstract, sizeof(abstract)));
  report->Add("kill", kill(1, 0));
  report->Add("tgkill", Call(SYS_tgkill, 1, 1, 0));
  report->Add("pidfd", Call(SYS_pidfd_open, 1, 0));
  // The kernel as a messenger: a signal to whoever owns a descriptor that is ready.
  report->Add("setown", fcntl(3, F_SETOWN, 1));
  report->Add("async", fcntl(3, F_SETFL, O_ASYNC));
  report->Add("ptrace", ptrace(PTRACE_ATTACH, 1, nullptr, nullptr));
  char byte = 0;
  const iovec here = {&byte, 1}, there = {&byte, 1};
  report->Add("readv", process_vm_readv(1, &here, 1, &there, 1, 0));
  report->Add("writev", process_vm_writev(1, &here, 1, &there, 1, 0));
  report->Add("shm", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
  report->Add("fork", Call(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  report->Add("vfork", Call(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
  report->Add("clone3", Call(SYS_clone3, nullptr, 0));
  char shell[] = "/bin/sh";
  char* arguments[] = {shell, nullptr};
  report->Add("exec", execve(shell, arguments, arguments + 1));
  report->Add("execat", Call(SYS_execveat, AT_FDCWD, shell, arguments, arguments + 1, 0));
  report->Add("memfd", Call(SYS_memfd_create, "x", 0));
  report->Add("uring", Call(SYS_io_uring_setup, 1, nullptr));
  report->Add("userfault", Call(SYS_userfaultfd, 0));
  report->Add("mount", mount("none", "/", "tmpfs", 0, nullptr));
  report->Add("unshare", unshare(CLONE_NEWUSER));
  report->Add("setns", setns(0, 0));
  report->Add("chroot", chroot("/"));
  report->Add("bpf", Call(SYS_bpf, 0, nullptr, 0));
  report->Add("perf", Call(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
  report->Add("keyctl", Call(SYS_keyctl, 0, 0, 0, 0, 0));
  report->Add("setuid", Call(SYS_setuid, 0));
  report->Add("prctl", Call(SYS_prctl, 4, 1, 0, 0, 0));
  report->Add("ioctl", Call(SYS_ioctl, 2, 0x5412, &byte));
  const rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  report->Add("limits", setrlimit(RLIMIT_DATA, &none));
}

void TouchFiles(const std::string& root, int data, Report* report) {
  const auto path = [&](const char* name) { return absl::StrCat(root, "/", name); };
  const auto read = [](const std::string& name) { return open(name.c_str(), O_RDONLY); };
  report->Add("key", read(path("node/private/member.key")));
  report->Add("ledger", read(path("node/ledger")));
  report->Add("control", read(path("node/private/control.sock")));
  report->Add("home", read("/root"));
  report->Add("passwd", read("/etc/passwd"));
  report->Add("data", read(path("data")));
  report->Add("again", open(path("data/images-idx3-ubyte").c_str(), O_RDWR));
  report->Add("environ", read("/proc/1/environ"));
  report->Add("mem", open("/proc/self/mem", O_RDWR));
  report->Add("parent", open("/proc/1/mem", O_RDWR));
  report->Add("openat2", Call(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0));
  report->Add("handle", Call(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0));
  report->Add("create", open(path("tmp/left-behind").c_str(), O_CREAT | O_WRONLY, 0600));
  report->Add("shm", open("/dev/shm/dure-left-behind", O_CREAT | O_RDWR, 0600));
  struct stat info;
  report->Add("stat", stat(path("node/ledger").c_str(), &info));
  char buffer[64];
  report->Add("readlink", readlink("/proc/self/exe", buffer, sizeof(buffer)));
  report->Add("access", access(path("node/ledger").c_str(), R_OK));
  report->Add("unlink", unlink(path("node/ledger").c_str()));
  report->Add("rename", rename(path("node/ledger").c_str(), path("gone").c_str()));
  report->Add("mkdir", mkdir(path("tmp/folder").c_str(), 0700));
  report->Add("symlink", symlink("/", path("tmp/link").c_str()));
  report->Add("chmod", chmod(path("node").c_str(), 0777));
  report->Add("write", write(data, "x", 1));
  report->Add("pwrite", pwrite(data, "x", 1, 0));
  report->Add("truncate", ftruncate(data, 0));
  report->Add("fchmod", fchmod(data, 0777));
  const void* mapped = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, data, 0);
  report->Add("map", mapped == MAP_FAILED ? -1 : 0);
  mapped = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  report->Add("code", mapped == MAP_FAILED ? -1 : 0);
  int last = 0;
  while (last >= 0) last = dup(data);
  report->Add("dup", last);
}

void TakeMemory(Report* report) {
  // Until none is left: the client's limit is far below that.
  long taken_mb = 0;
  constexpr size_t kPiece = size_t{64} << 20;
  const void* piece = nullptr;
  while (taken_mb < 1 << 14 && piece != MAP_FAILED) {
    piece = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece != MAP_FAILED) taken_mb += 64;
  }
  report->Add(taken_mb < 1024 ? "below-1GB" : "above-1GB", piece == MAP_FAILED ? -1 : 0);
}

absl::StatusOr<std::unique_ptr<TrainableModel>> MakeModel(const ModelSection& section, int) {
  absl::StatusOr<Architecture> architecture = MakeArchitecture(section);
  if (!architecture.ok()) return architecture.status();
  return std::make_unique<Network>(*std::move(architecture));
}

absl::StatusOr<Dataset> ReadData(const DataFiles& files, const ModelSection& section) {
  Report report;
  const std::string& path = files.images_path;
  const std::string root = path.substr(0, path.rfind("/data/"));
  switch (section.seed()) {
    case kReachOut:
      ReachOut(&report);
      break;
    case kTouchFiles:
      TouchFiles(root, files.images.get(), &report);
      break;
    case kLoopForEver:
      for (std::atomic<uint64_t> turns = 0;;) ++turns;
    case kTakeMemory:
      TakeMemory(&report);
      break;
    default:
      break;
  }
  return absl::InvalidArgumentError(report.text());
}

}  // namespace
}  // namespace dure

int main(int argc, char** argv) {
  return dure::TrainerMain(argc, argv,
                           {.name = "hostile-trainer",
                            .parts = {.make_model = dure::MakeModel, .read_data = dure::ReadData}});
}
