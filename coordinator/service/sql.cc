#include "coordinator/service/sql.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace dure {

namespace {

// What the system said of the last operation that failed; 0 if that is not known. SQLite keeps it
// for each file, and often forgets it for the connection.
int SystemErrno(sqlite3* database) {
  int error_number = sqlite3_system_errno(database);
  if (error_number != 0) return error_number;
  sqlite3_file* log = nullptr;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (log != nullptr && log->pMethods != nullptr) {
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error_number);
  }
  if (error_number != 0) return error_number;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_LAST_ERRNO, &error_number);
  return error_number;
}

}  // namespace

absl::Status SqlStatus(sqlite3* database, std::string_view what) {
  const char* file = sqlite3_db_filename(database, "main");
  const std::string text =
      absl::StrCat(std::string(what), file == nullptr ? "" : absl::StrCat(" (", file, ")"), ": ");
  const char* words = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database) & 0xff) {
    case SQLITE_FULL:
      return ErrnoStatus(ENOSPC, absl::StrCat(text, words));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          absl::StrCat(text, "it is damaged (", words, "): restore the folder from a backup"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(
          absl::StrCat(text, words, ": another process is using it, try again"));
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(absl::StrCat(text, words));
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      // SQLite says only that something failed; the system said what.
      if (int error_number = SystemErrno(database); error_number != 0) {
        return ErrnoStatus(error_number, absl::StrCat(text, words));
      }
      [[fallthrough]];
    default:
      return absl::UnknownError(absl::StrCat(text, words));
  }
}

Statement::Statement(sqlite3* database, std::string_view sql) : database_(database) {
  int code =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr);
  // What can go wrong with a damaged file is reported by Step.
  DURE_CHECK(code == SQLITE_OK || statement_ == nullptr);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Bind(std::string_view text) {
  sqlite3_bind_text(statement_, next_++, text.data(), static_cast<int>(text.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, next_++, value);
  return *this;
}

Statement& Statement::Bind(double value) {
  sqlite3_bind_double(statement_, next_++, value);
  return *this;
}

Statement& Statement::BindBlob(ByteView bytes) {
  sqlite3_bind_blob(statement_, next_++, bytes.data(), static_cast<int>(bytes.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (statement_ == nullptr) return SqlStatus(database_, "cannot read the database");
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqlStatus(database_, "the database failed");
}

absl::Status Statement::Run() { return Step().status(); }

std::string Statement::Text(int column) const { return Blob(column); }
int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<Transaction> Transaction::Begin(sqlite3* database) {
  DURE_RETURN_IF_ERROR(Statement(database, "BEGIN IMMEDIATE").Run());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

absl::Status Transaction::Commit() {
  DURE_RETURN_IF_ERROR(Statement(database_, "COMMIT").Run());
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace dure
