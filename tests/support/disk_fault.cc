// A disk that fails, for tests: a library to preload (LD_PRELOAD) that stands before the functions
// of libc through which programs write. While the file $DISK_FAULT_WHEN exists, every one of them
// that would change something in or below $DISK_FAULT_FOLDER (an absolute path without links)
// fails:
//
//   DISK_FAULT_KIND=full       writing and making files and folders, with ENOSPC; removing works
//   DISK_FAULT_KIND=readonly   everything, with EROFS
//
// It works for root too, needs no mount, and ends when the file is removed. What a program has
// mapped is out of its reach: SQLite maps only the index of its log, and extends that by write().
// Thread-safe: it keeps no state. Not together with sanitizers, which stand there themselves.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum class Change { kGrow, kRemove };

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool IsBelow(const char* path, const char* folder) {
  const size_t length = std::strlen(folder);
  return std::strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// The error with which a change of something at the absolute `path` fails; 0 if it does not.
int Fault(const char* path, Change change) {
  const char* folder = std::getenv("DISK_FAULT_FOLDER");
  const char* when = std::getenv("DISK_FAULT_WHEN");
  const char* kind = std::getenv("DISK_FAULT_KIND");
  if (folder == nullptr || when == nullptr || kind == nullptr) return 0;
  if (!IsBelow(path, folder) || access(when, F_OK) != 0) return 0;
  if (std::strcmp(kind, "readonly") == 0) return EROFS;
  return change == Change::kRemove ? 0 : ENOSPC;
}

// True, and errno is set, if the change of an open file fails.
bool Fails(int fd) {
  const int before = errno;
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  path[length < 0 ? 0 : length] = '\0';
  const int fault = Fault(path, Change::kGrow);
  errno = fault == 0 ? before : fault;
  return fault != 0;
}

// The same for a path as a program writes it, relative to the folder `at`.
bool Fails(int at, const char* path, Change change) {
  const int before = errno;
  char whole[2 * PATH_MAX] = "";
  if (path[0] != '/') {
    char link[64];
    if (at == AT_FDCWD) {
      std::snprintf(link, sizeof(link), "/proc/self/cwd");
    } else {
      std::snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
    }
    const ssize_t length = readlink(link, whole, PATH_MAX - 1);
    whole[length < 0 ? 0 : length] = '\0';
    std::strncat(whole, "/", sizeof(whole) - std::strlen(whole) - 1);
  }
  std::strncat(whole, path, sizeof(whole) - std::strlen(whole) - 1);
  const int fault = Fault(whole, change);
  errno = fault == 0 ? before : fault;
  return fault != 0;
}

bool Writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0; }

// On a full disk a file that is there can be opened and one without contents can be made: only
// what follows fails. On a read-only one neither.
bool OpenFails(int at, const char* path, int flags) {
  return Writes(flags) && Fails(at, path, Change::kRemove);
}

bool ModeWrites(const char* mode) { return std::strpbrk(mode, "wa+") != nullptr; }

}  // namespace

#define FAULTY extern "C" __attribute__((visibility("default")))

FAULTY ssize_t write(int fd, const void* data, size_t size) {
  return Fails(fd) ? -1 : Next<decltype(write)>("write")(fd, data, size);
}
FAULTY ssize_t writev(int fd, const iovec* parts, int count) {
  return Fails(fd) ? -1 : Next<decltype(writev)>("writev")(fd, parts, count);
}
FAULTY ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return Fails(fd) ? -1 : Next<decltype(pwrite)>("pwrite")(fd, data, size, offset);
}
FAULTY ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return Fails(fd) ? -1 : Next<decltype(pwrite64)>("pwrite64")(fd, data, size, offset);
}
FAULTY int ftruncate(int fd, off_t length) noexcept {
  return Fails(fd) ? -1 : Next<int(int, off_t)>("ftruncate")(fd, length);
}
FAULTY int ftruncate64(int fd, off64_t length) noexcept {
  return Fails(fd) ? -1 : Next<int(int, off64_t)>("ftruncate64")(fd, length);
}
FAULTY int fallocate(int fd, int mode, off_t offset, off_t length) {
  return Fails(fd) ? -1 : Next<decltype(fallocate)>("fallocate")(fd, mode, offset, length);
}
FAULTY int posix_fallocate(int fd, off_t offset, off_t length) {
  return Fails(fd) ? errno : Next<decltype(posix_fallocate)>("posix_fallocate")(fd, offset, length);
}

FAULTY int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (OpenFails(AT_FDCWD, path, flags)) return -1;
  return Next<int(const char*, int, mode_t)>("open")(path, flags, mode);
}
FAULTY int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (OpenFails(AT_FDCWD, path, flags)) return -1;
  return Next<int(const char*, int, mode_t)>("open64")(path, flags, mode);
}
FAULTY int openat(int at, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (OpenFails(at, path, flags)) return -1;
  return Next<int(int, const char*, int, mode_t)>("openat")(at, path, flags, mode);
}
FAULTY FILE* fopen(const char* path, const char* mode) {
  if (ModeWrites(mode) && Fails(AT_FDCWD, path, Change::kRemove)) return nullptr;
  return Next<FILE*(const char*, const char*)>("fopen")(path, mode);
}
FAULTY FILE* fopen64(const char* path, const char* mode) {
  if (ModeWrites(mode) && Fails(AT_FDCWD, path, Change::kRemove)) return nullptr;
  return Next<FILE*(const char*, const char*)>("fopen64")(path, mode);
}

FAULTY int mkdir(const char* path, mode_t mode) noexcept {
  // A folder that is there is there on every disk.
  if (access(path, F_OK) != 0 && Fails(AT_FDCWD, path, Change::kGrow)) return -1;
  return Next<int(const char*, mode_t)>("mkdir")(path, mode);
}
FAULTY int rename(const char* from, const char* to) noexcept {
  if (Fails(AT_FDCWD, to, Change::kRemove)) return -1;
  return Next<int(const char*, const char*)>("rename")(from, to);
}
FAULTY int unlink(const char* path) noexcept {
  if (Fails(AT_FDCWD, path, Change::kRemove)) return -1;
  return Next<int(const char*)>("unlink")(path);
}
FAULTY int unlinkat(int at, const char* path, int flags) noexcept {
  if (Fails(at, path, Change::kRemove)) return -1;
  return Next<int(int, const char*, int)>("unlinkat")(at, path, flags);
}
FAULTY int remove(const char* path) noexcept {
  if (Fails(AT_FDCWD, path, Change::kRemove)) return -1;
  return Next<int(const char*)>("remove")(path);
}
FAULTY int rmdir(const char* path) noexcept {
  if (Fails(AT_FDCWD, path, Change::kRemove)) return -1;
  return Next<int(const char*)>("rmdir")(path);
}
