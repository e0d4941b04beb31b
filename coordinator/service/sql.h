// A statement of SQLite with typed arguments and columns, and a transaction that is undone unless
// it is committed. For store.cc alone. Not thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_SQL_H_
#define DURE_COORDINATOR_SERVICE_SQL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "crypto/digest.h"

struct sqlite3;
struct sqlite3_stmt;

namespace dure {

// The last error of `database` as a status that begins with `what` and the file: ResourceExhausted
// for a full disk, DataLoss for a damaged file, FailedPrecondition for a locked one,
// PermissionDenied for a read-only one.
absl::Status SqlStatus(sqlite3* database, std::string_view what);

class Statement {
 public:
  // `sql` is a literal of the program: a mistake in it is a bug.
  Statement(sqlite3* database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Bind(std::string_view text);
  Statement& Bind(int64_t value);
  Statement& Bind(double value);
  Statement& Bind(absl::Time time) { return Bind(absl::ToUnixMicros(time)); }
  Statement& BindBlob(ByteView bytes);

  // True: a row is there. False: no more rows.
  absl::StatusOr<bool> Step();
  // Runs a statement that has no rows.
  absl::Status Run();

  // Columns of the row, from 0.
  std::string Text(int column) const;
  int64_t Int(int column) const;
  double Real(int column) const;
  absl::Time Time(int column) const { return absl::FromUnixMicros(Int(column)); }
  std::string Blob(int column) const;
  bool IsNull(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
};

class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(sqlite3* database);
  Transaction(Transaction&& other) noexcept;
  ~Transaction();
  absl::Status Commit();

 private:
  explicit Transaction(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_SQL_H_
