#include "learner/sandbox.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "learner/landlock.h"

namespace dure {
namespace {

// What arithmetic on memory that is there, threads and the channel need. Whatever is not listed
// fails with EPERM; opening files fails with EACCES.
constexpr int kAllowed[] = {SCMP_SYS(read),
                            SCMP_SYS(pread64),
                            SCMP_SYS(readv),
                            SCMP_SYS(write),
                            SCMP_SYS(writev),
                            SCMP_SYS(sendmsg),
                            SCMP_SYS(recvmsg),
                            SCMP_SYS(poll),
                            SCMP_SYS(ppoll),
                            SCMP_SYS(close),
                            SCMP_SYS(lseek),
                            SCMP_SYS(fstat),
                            SCMP_SYS(dup),
                            SCMP_SYS(munmap),
                            SCMP_SYS(mremap),
                            SCMP_SYS(madvise),
                            SCMP_SYS(brk),
                            SCMP_SYS(futex),
                            SCMP_SYS(sched_yield),
                            SCMP_SYS(sched_getaffinity),
                            SCMP_SYS(set_robust_list),
                            SCMP_SYS(get_robust_list),
                            SCMP_SYS(rseq),
                            SCMP_SYS(membarrier),
                            SCMP_SYS(rt_sigaction),
                            SCMP_SYS(rt_sigprocmask),
                            SCMP_SYS(rt_sigreturn),
                            SCMP_SYS(sigaltstack),
                            SCMP_SYS(restart_syscall),
                            SCMP_SYS(clock_gettime),
                            SCMP_SYS(clock_getres),
                            SCMP_SYS(clock_nanosleep),
                            SCMP_SYS(nanosleep),
                            SCMP_SYS(gettimeofday),
                            SCMP_SYS(getrandom),
                            SCMP_SYS(getpid),
                            SCMP_SYS(gettid),
                            SCMP_SYS(getrusage),
                            SCMP_SYS(getcpu),
                            SCMP_SYS(sysinfo),
                            SCMP_SYS(uname),
                            SCMP_SYS(exit),
                            SCMP_SYS(exit_group)};
// Of fcntl: none that takes locks or lets the kernel send signals to others (F_SETOWN).
constexpr int kDescriptorCommands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,    F_SETFD,
                                       F_GETFL, F_GET_SEALS,     F_ADD_SEALS};
constexpr int kOpening[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat)};

std::string Words(int error_number) { return std::strerror(error_number); }

SandboxLayer Layer(const char* name, bool applied, const std::string& otherwise) {
  return {.name = name, .applied = applied, .detail = applied ? "" : otherwise};
}

// Owns a filter that is being made.
class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  // 0, or the number of the error.
  int Load() {
    if (context_ == nullptr) return ENOMEM;
    // On the threads that are there already, too.
    Note(seccomp_attr_set(context_, SCMP_FLTATR_CTL_TSYNC, 1));
    for (int call : kAllowed) Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, 0));
    if (kSanitized) Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(pipe2), 0));
    for (int call : kOpening) Note(seccomp_rule_add(context_, SCMP_ACT_ERRNO(EACCES), call, 0));
    // Memory, but none that can be executed.
    for (int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
      Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
    }
    for (int command : kDescriptorCommands) {
      Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                            SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command))));
    }
    Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2,
                          SCMP_A1(SCMP_CMP_EQ, F_SETFL), SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0)));
    // Threads, but no processes. The flags of clone3 are in memory, where a filter cannot look:
    // ENOSYS makes the C library use clone.
    Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
    Note(seccomp_rule_add(context_, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
    // fstat as newer C libraries spell it: of a descriptor, not of a path.
    Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                          SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)));
    // Signals to itself only: abort().
    Note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                          SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()))));
    if (error_ != 0) return error_;
    return -seccomp_load(context_);
  }

 private:
  // Keeps the first error. A call that this machine does not have needs no rule.
  void Note(int result) {
    if (result < 0 && result != -EDOM && error_ == 0) error_ = -result;
  }

  scmp_filter_ctx context_;
  int error_ = 0;
};

bool Limit(int resource, uint64_t value) {
  rlimit limit = {.rlim_cur = value, .rlim_max = value};
  return setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0;
}

// Before the filter, which lets nobody look.
SandboxLayer LookAtNetwork() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return Layer(kNetworkNamespace, false, Words(errno));
  std::string up;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if ((at->ifa_flags & IFF_UP) != 0) up = at->ifa_name;
  }
  freeifaddrs(list);
  return Layer(
      kNetworkNamespace, up.empty(),
      absl::StrCat("this system allows no namespaces here: the interface ", up, " is in sight"));
}

// A limit that is there already is the member's own (client/guest.h), and may be higher.
uint64_t MostMemory(uint64_t otherwise) {
  rlimit limit;
  const bool limited = getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_max != RLIM_INFINITY;
  return limited ? limit.rlim_max : otherwise;
}

// Tries to open a socket of each kind that could reach anybody.
SandboxLayer TryNetwork() {
  for (int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_VSOCK}) {
    const int socket_fd = socket(family, SOCK_DGRAM, 0);
    if (socket_fd >= 0) {
      close(socket_fd);
      return Layer("no network", false, absl::StrCat("a socket of family ", family, " opens"));
    }
    if (errno != EPERM && errno != EACCES) {
      return Layer(
          "no network", false,
          absl::StrCat("sockets of family ", family, " fail for another reason: ", Words(errno)));
    }
  }
  return Layer("no network", true, "");
}

SandboxLayer TryFiles() {
  for (const char* path : {"/", "/proc/self/stat", "/dev/null"}) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      close(fd);
      return Layer("no files", false, absl::StrCat(path, " opens"));
    }
    if (errno != EACCES) {
      return Layer("no files", false,
                   absl::StrCat(path, " fails for another reason: ", Words(errno)));
    }
  }
  return Layer("no files", true, "");
}

SandboxLayer TryPrograms() {
  // A path that cannot be there: ENOENT means that the kernel went to look.
  char path[] = "/proc/0/none";
  char* arguments[] = {path, nullptr};
  execve(path, arguments, arguments + 1);
  return Layer("no programs", errno == EPERM, Words(errno));
}

SandboxLayer TryProcesses() {
  // Not fork(): its handlers would stop the threads of the libraries.
  const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  const int error_number = errno;
  if (child > 0) {
    waitpid(static_cast<pid_t>(child), nullptr, 0);
    return Layer("no processes", false, "a process starts");
  }
  return Layer("no processes", error_number == EPERM, Words(error_number));
}

}  // namespace

std::vector<SandboxLayer> EnterSandbox(const SandboxOptions& options) {
  std::vector<SandboxLayer> layers;
  bool done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  layers.push_back(Layer("no new privileges", done, Words(errno)));
  done = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && Limit(RLIMIT_CORE, 0);
  layers.push_back(Layer("no core dumps", done, Words(errno)));
  done = kSanitized || Limit(RLIMIT_DATA, MostMemory(options.memory_bytes));
  layers.push_back(Layer("memory limit", done, Words(errno)));
  done = Limit(RLIMIT_NOFILE, options.descriptors);
  layers.push_back(Layer("descriptor limit", done, Words(errno)));
  layers.push_back(LookAtNetwork());
  const std::string no_landlock = EnterLandlock();
  layers.push_back(Layer(kLandlock, no_landlock.empty(), no_landlock));
  const int error_number = Filter().Load();
  if (error_number != 0) {
    // Without the filter the attempts would do what they try.
    for (const char* name : {"no network", "no files", "no programs", "no processes"}) {
      layers.push_back(
          Layer(name, false, absl::StrCat("seccomp cannot be used here: ", Words(error_number))));
    }
    return layers;
  }
  layers.push_back(TryNetwork());
  layers.push_back(TryFiles());
  layers.push_back(TryPrograms());
  layers.push_back(TryProcesses());
  return layers;
}

}  // namespace dure
