#include "coordinator/service/database_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "coordinator/service/log_check.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/state_files.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyTimeoutMs = 5000;

using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

absl::StatusOr<Database> OpenDatabase(const std::string& path, int flags) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  Database database(opened, sqlite3_close);
  if (code != SQLITE_OK) return SqlStatus(opened, "the database cannot be opened");
  sqlite3_busy_timeout(opened, kBusyTimeoutMs);
  return database;
}

// Keeps a coordinator from starting while it lives. Nothing if one is running, or if there is no
// lock, as in a copy of a folder.
struct Lock {
  FileDescriptor file;
  bool running = false;
};
Lock TryLock(const std::string& folder) {
  Lock lock{FileDescriptor(open(StateLockPath(folder).c_str(), O_RDONLY | O_CLOEXEC))};
  if (!lock.file.valid()) return lock;
  if (flock(lock.file.get(), LOCK_SH | LOCK_NB) != 0) lock.running = errno == EWOULDBLOCK;
  return lock;
}

// Page by page, with what SQLite knows of the log.
absl::Status CopyRunning(const std::string& from, const std::string& to) {
  DURE_ASSIGN_OR_RETURN(const Database source, OpenDatabase(from, SQLITE_OPEN_READONLY));
  DURE_ASSIGN_OR_RETURN(const Database target,
                        OpenDatabase(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  sqlite3_backup* backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr) return SqlStatus(target.get(), "the database cannot be copied");
  int code = SQLITE_BUSY;
  for (int waited_ms = 0; waited_ms < kBusyTimeoutMs; waited_ms += 10) {
    code = sqlite3_backup_step(backup, -1);
    if (code != SQLITE_BUSY && code != SQLITE_LOCKED) break;
    sqlite3_sleep(10);
  }
  sqlite3_backup_finish(backup);
  if (code == SQLITE_DONE) return absl::OkStatus();
  return SqlStatus(sqlite3_errcode(source.get()) == SQLITE_OK ? target.get() : source.get(),
                   "the database cannot be copied");
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  std::error_code error;
  if (fs::copy_file(from, to, error)) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat("cannot copy ", from, " to ", to));
}

absl::Status CopyStopped(const std::string& folder, const std::string& to) {
  const std::string log = DatabaseLogPath(folder);
  DURE_RETURN_IF_ERROR(CheckLogFile(log));
  DURE_RETURN_IF_ERROR(CopyFile(DatabasePath(folder), to));
  return FileExists(log) ? CopyFile(log, to + "-wal") : absl::OkStatus();
}

}  // namespace

DatabaseCopy::DatabaseCopy(DatabaseCopy&& other) noexcept
    : folder_(std::exchange(other.folder_, "")), running_(other.running_) {}

DatabaseCopy::~DatabaseCopy() {
  if (folder_.empty()) return;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);  // of the link, not of what it leads to
}

std::string DatabaseCopy::path() const { return DatabasePath(folder_); }

absl::StatusOr<DatabaseCopy> DatabaseCopy::Take(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectDatabase(folder));
  DURE_ASSIGN_OR_RETURN(const bool has_database, HasDatabase(folder));
  if (!has_database) {
    return absl::NotFoundError(
        absl::StrCat("no coordinator has run with ", FederationOf(folder), " yet"));
  }
  std::error_code error;
  fs::path base = fs::temp_directory_path(error);
  std::string made = ((error ? fs::path("/tmp") : base) / "dure-XXXXXX").string();
  if (mkdtemp(made.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the folder ", made));
  }
  DatabaseCopy copy(made);
  const Lock lock = TryLock(folder);
  copy.running_ = lock.running;
  DURE_RETURN_IF_ERROR(lock.running ? CopyRunning(DatabasePath(folder), copy.path())
                                    : CopyStopped(folder, copy.path()));
  {
    // Of one file, which nothing is written beside.
    DURE_ASSIGN_OR_RETURN(const Database database,
                          OpenDatabase(copy.path(), SQLITE_OPEN_READWRITE));
    DURE_RETURN_IF_ERROR(Statement(database.get(), "PRAGMA synchronous = OFF").Run());
    DURE_RETURN_IF_ERROR(Statement(database.get(), "PRAGMA journal_mode = DELETE").Run());
  }
  fs::create_directory_symlink(fs::absolute(folder, error) / "models", fs::path(made) / "models",
                               error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot write ", made));
  return copy;
}

}  // namespace dure
