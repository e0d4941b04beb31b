// A process that dies at a chosen operation on its disk, for tests: a library to preload
// (LD_PRELOAD) that stands before the functions of libc through which a file or a folder is changed
// or made durable, and counts those in or below $KILL_AT_FOLDER (an absolute path without links):
//
//   KILL_AT=K           SIGKILL in the place of the K-th, from 1
//   KILL_AT_TORN=1      and if that one writes, after half of its bytes
//   KILL_AT_COUNT=FILE  nobody is killed; their number is written there in the end
//
// A killed process leaves what it has written to the system: this finds what is wrong in the order
// of operations, not what a disk without power forgets. Thread-safe. Not together with sanitizers.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::atomic<long> seen = 0;

bool IsBelow(const char* path) {
  const char* folder = std::getenv("KILL_AT_FOLDER");
  if (folder == nullptr) return false;
  const size_t length = std::strlen(folder);
  return std::strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// Whether this operation is the one.
bool IsTheOne() {
  const long number = ++seen;
  const char* at = std::getenv("KILL_AT");
  return at != nullptr && std::strtol(at, nullptr, 10) == number;
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

void Path(const char* path) {
  const int before = errno;
  if (IsBelow(path) && IsTheOne()) Die();
  errno = before;
}

bool IsOpenBelow(int fd) {
  const int before = errno;
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  path[length < 0 ? 0 : length] = '\0';
  errno = before;
  return IsBelow(path);
}
void Descriptor(int fd) {
  if (IsOpenBelow(fd) && IsTheOne()) Die();
}

struct AtTheEnd {
  ~AtTheEnd() {
    const char* path = std::getenv("KILL_AT_COUNT");
    if (path == nullptr) return;
    if (FILE* file = std::fopen(path, "w")) {
      std::fprintf(file, "%ld\n", seen.load());
      std::fclose(file);
    }
  }
} at_the_end;

}  // namespace

#define SEEN extern "C" __attribute__((visibility("default")))

SEEN ssize_t write(int fd, const void* data, size_t size) {
  auto* next = Next<decltype(write)>("write");
  if (IsOpenBelow(fd) && IsTheOne()) {
    if (std::getenv("KILL_AT_TORN") != nullptr) (void)!next(fd, data, size / 2);
    Die();
  }
  return next(fd, data, size);
}
SEEN ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  auto* next = Next<decltype(pwrite64)>("pwrite64");
  if (IsOpenBelow(fd) && IsTheOne()) {
    if (std::getenv("KILL_AT_TORN") != nullptr) (void)!next(fd, data, size / 2, offset);
    Die();
  }
  return next(fd, data, size, offset);
}
SEEN ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}
SEEN int fsync(int fd) {
  Descriptor(fd);
  return Next<decltype(fsync)>("fsync")(fd);
}
SEEN int fdatasync(int fd) {
  Descriptor(fd);
  return Next<decltype(fdatasync)>("fdatasync")(fd);
}
SEEN int ftruncate64(int fd, off64_t length) noexcept {
  Descriptor(fd);
  return Next<int(int, off64_t)>("ftruncate64")(fd, length);
}
SEEN int ftruncate(int fd, off_t length) noexcept { return ftruncate64(fd, length); }
SEEN int rename(const char* from, const char* to) noexcept {
  Path(to);
  return Next<int(const char*, const char*)>("rename")(from, to);
}
SEEN int unlink(const char* path) noexcept {
  Path(path);
  return Next<int(const char*)>("unlink")(path);
}
SEEN int remove(const char* path) noexcept {
  Path(path);
  return Next<int(const char*)>("remove")(path);
}
SEEN int mkdir(const char* path, mode_t mode) noexcept {
  if (access(path, F_OK) != 0) Path(path);
  return Next<int(const char*, mode_t)>("mkdir")(path, mode);
}
SEEN int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && access(path, F_OK) != 0) Path(path);
  return Next<int(const char*, int, mode_t)>("open64")(path, flags, mode);
}
SEEN int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open64(path, flags, mode);
}
