#include "coordinator/service/store.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "coordinator/service/log_check.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/state_files.h"

namespace dure {
namespace {

constexpr int kBusyTimeoutMs = 5000;
// Migrations are only added; the number of those applied is SQLite's user_version.
constexpr const char* kMigrations[] = {
    R"sql(
      CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
      CREATE TABLE invitations (
        secret_hash BLOB PRIMARY KEY, name TEXT NOT NULL, organisation TEXT NOT NULL,
        role INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER) STRICT;
      CREATE TABLE members (
        client_id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, organisation TEXT NOT NULL,
        role INTEGER NOT NULL, certificate BLOB NOT NULL, enrolled INTEGER NOT NULL,
        last_seen INTEGER NOT NULL, revoked INTEGER) STRICT;
      CREATE TABLE attempts (
        attempt INTEGER PRIMARY KEY, round INTEGER NOT NULL, session_id BLOB NOT NULL,
        cohort INTEGER NOT NULL, begun INTEGER NOT NULL, ended INTEGER, failure TEXT) STRICT;
      CREATE TABLE rounds (
        round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, cohort INTEGER NOT NULL,
        survivors INTEGER NOT NULL, epsilon REAL NOT NULL, duration_us INTEGER NOT NULL,
        bytes_received INTEGER NOT NULL, bytes_sent INTEGER NOT NULL,
        released INTEGER NOT NULL, model TEXT NOT NULL, optimizer TEXT NOT NULL) STRICT;
      CREATE TABLE evaluations (
        round INTEGER NOT NULL, evaluator TEXT NOT NULL, loss REAL NOT NULL,
        accuracy REAL NOT NULL, records INTEGER NOT NULL, received INTEGER NOT NULL,
        PRIMARY KEY (round, evaluator)) STRICT;
    )sql",
    "ALTER TABLE invitations ADD COLUMN withdrawn INTEGER",
    "ALTER TABLE rounds ADD COLUMN clip_norm REAL NOT NULL DEFAULT 0",
    "CREATE TABLE last_attempts (client_id BLOB PRIMARY KEY, attempt INTEGER NOT NULL) STRICT",
    "ALTER TABLE evaluations ADD COLUMN metrics BLOB",
    R"sql(
      ALTER TABLE attempts ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
      CREATE TABLE sums (
        attempt INTEGER PRIMARY KEY, kind INTEGER NOT NULL, round INTEGER NOT NULL,
        cohort INTEGER NOT NULL, survivors INTEGER NOT NULL, epsilon REAL NOT NULL,
        noise REAL NOT NULL, sums BLOB NOT NULL, released INTEGER NOT NULL) STRICT;
    )sql",
};

absl::Status Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return absl::OkStatus();
  return SqlStatus(database, "the database failed");
}

MemberRecord ReadMember(const Statement& row) {
  MemberRecord member;
  if (auto id = DigestFromBytes(row.Blob(0))) member.client_id = *id;
  member.name = row.Text(1);
  member.organisation = row.Text(2);
  member.role = static_cast<Role>(row.Int(3));
  member.certificate = row.Blob(4);
  member.enrolled = row.Time(5);
  member.last_seen = row.Time(6);
  member.revoked = !row.IsNull(7);
  return member;
}

constexpr std::string_view kMemberColumns =
    "SELECT client_id, name, organisation, role, certificate, enrolled, last_seen, revoked "
    "FROM members ";

}  // namespace

std::string SqliteVersion() { return sqlite3_libversion(); }

Store::Store(std::string folder, std::optional<FileLock> lock, sqlite3* database)
    : folder_(std::move(folder)), lock_(std::move(lock)), database_(database) {}

Store::~Store() { sqlite3_close(database_); }

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& folder,
                                                   const Digest& spec_digest, TermsChange change) {
  DURE_RETURN_IF_ERROR(ExpectDatabase(folder));
  DURE_RETURN_IF_ERROR(MakeStateFiles(folder));
  absl::StatusOr<FileLock> lock = FileLock::Acquire(StateLockPath(folder));
  if (absl::IsFailedPrecondition(lock.status())) {
    const std::string federation = FederationOf(folder);
    return absl::FailedPreconditionError(absl::StrCat("a coordinator is running with ", federation,
                                                      " already: `dure stop ", federation,
                                                      "` ends it"));
  }
  DURE_RETURN_IF_ERROR(lock.status());
  DURE_RETURN_IF_ERROR(CheckLogFile(DatabaseLogPath(folder)));
  sqlite3* database = nullptr;
  std::string path = DatabasePath(folder);
  int code =
      sqlite3_open_v2(path.c_str(), &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  auto store = std::unique_ptr<Store>(new Store(folder, *std::move(lock), database));
  if (code != SQLITE_OK) return SqlStatus(database, "the database cannot be opened");
  chmod(path.c_str(), 0600);
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  DURE_RETURN_IF_ERROR(Execute(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"));
  DURE_RETURN_IF_ERROR(store->CheckDatabase());
  DURE_RETURN_IF_ERROR(store->Migrate());
  const absl::Status bound = store->BindToFederation(spec_digest);
  if (!absl::IsFailedPrecondition(bound) || change == TermsChange::kRefused) {
    DURE_RETURN_IF_ERROR(bound);
  }
  DURE_ASSIGN_OR_RETURN(const std::vector<EvaluationReceived> evaluations,
                        store->LoadEvaluations());
  for (const EvaluationReceived& evaluation : evaluations) store->progress_.Add(evaluation);
  DURE_RETURN_IF_ERROR(store->CheckModels());
  store->RemoveOldFiles();
  return store;
}

absl::StatusOr<std::unique_ptr<Store>> Store::OpenForReading(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectDatabase(folder));
  DURE_ASSIGN_OR_RETURN(bool has_database, HasDatabase(folder));
  if (!has_database) {
    const std::string federation = FederationOf(folder);
    return absl::NotFoundError(absl::StrCat("no coordinator has run with ", federation,
                                            " yet: start it with `dure coordinator ", federation,
                                            "`"));
  }
  DURE_RETURN_IF_ERROR(CheckLogFile(DatabaseLogPath(folder)));
  // SQLite wants to write beside a database with a log, even to read it. Where nobody can write,
  // nothing changes: then it reads the file alone, if that is all there is.
  const bool fixed = access(folder.c_str(), W_OK) != 0;
  std::error_code missing;
  if (fixed && std::filesystem::file_size(DatabaseLogPath(folder), missing) > 0 && !missing) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder,
                     " cannot be written, and the log of its database is not merged yet: "
                     "copy the federation's folder to where it can, and look there"));
  }
  const std::string name = absl::StrCat(
      "file:",
      absl::StrReplaceAll(DatabasePath(folder), {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}),
      fixed ? "?immutable=1" : "");
  sqlite3* database = nullptr;
  int code =
      sqlite3_open_v2(name.c_str(), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
  auto store = std::unique_ptr<Store>(new Store(folder, std::nullopt, database));
  if (code != SQLITE_OK) return SqlStatus(database, "the database cannot be opened");
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  DURE_RETURN_IF_ERROR(store->CheckDatabase());
  return store;
}

absl::Status Store::MigrateCopy(const std::string& folder) {
  sqlite3* database = nullptr;
  const std::string path = DatabasePath(folder);
  const int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr);
  Store store(folder, std::nullopt, database);
  if (code != SQLITE_OK) return SqlStatus(database, "the database cannot be opened");
  return store.Migrate();
}

absl::Status Store::CheckDatabase() {
  Statement check(database_, "PRAGMA integrity_check(1)");
  DURE_RETURN_IF_ERROR(check.Step().status());
  const std::string found = check.Text(0);
  if (found == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(DatabasePath(folder_), " is damaged (", found, ")", kRestoreState));
}

// What a crash leaves behind is removed at the next start, so that there are never more unknown
// files than those of one release: more belong to rounds that the database has forgotten.
absl::Status Store::CheckModels() {
  DURE_ASSIGN_OR_RETURN(std::set<std::string> kept, KeptFiles());
  size_t unknown = 0;
  for (const std::string& name : ModelFiles(folder_)) {
    if (kept.contains(name)) continue;
    DURE_ASSIGN_OR_RETURN(const bool known, KnowsFile(name));
    unknown += known ? 0 : 1;
  }
  if (unknown <= kFilesOfARelease) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      DatabasePath(folder_), " is older than ", folder_, "/models: it knows nothing of ", unknown,
      " files there, so released rounds are lost", kRestoreState));
}

absl::Status Store::Migrate() {
  Statement version(database_, "PRAGMA user_version");
  DURE_RETURN_IF_ERROR(version.Step().status());
  int64_t applied = version.Int(0);
  if (applied > static_cast<int64_t>(std::size(kMigrations))) {
    return absl::FailedPreconditionError(
        absl::StrCat(DatabasePath(folder_), " was written by a newer dure (schema ", applied,
                     ", this one knows ", std::size(kMigrations), "): upgrade dure"));
  }
  for (size_t i = static_cast<size_t>(applied); i < std::size(kMigrations); ++i) {
    DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
    DURE_RETURN_IF_ERROR(Execute(database_, kMigrations[i]));
    DURE_RETURN_IF_ERROR(Execute(database_, absl::StrCat("PRAGMA user_version = ", i + 1).c_str()));
    DURE_RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

absl::Status Store::BindToFederation(const Digest& spec_digest) {
  Statement bound(database_, "SELECT value FROM meta WHERE key = 'spec'");
  DURE_ASSIGN_OR_RETURN(bool found, bound.Step());
  if (!found) {
    Statement insert(database_, "INSERT INTO meta VALUES ('spec', ?)");
    return insert.BindBlob(spec_digest).Run();
  }
  if (bound.Blob(0) == ToString(spec_digest)) return absl::OkStatus();
  Statement members(database_, "SELECT count(*) FROM members");
  DURE_RETURN_IF_ERROR(members.Step().status());
  Statement attempts(database_, "SELECT count(*) FROM attempts");
  DURE_RETURN_IF_ERROR(attempts.Step().status());
  if (members.Int(0) == 0 && attempts.Int(0) == 0) {
    return Statement(database_, "UPDATE meta SET value = ? WHERE key = 'spec'")
        .BindBlob(spec_digest)
        .Run();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("federation.toml has changed since members agreed to it (", members.Int(0),
                   " enrolled): change it back, or `dure coordinator ", FederationOf(folder_),
                   " --new-terms` asks every member to approve the new terms"));
}

absl::StatusOr<std::string> Store::SavedTerms() {
  std::lock_guard lock(mutex_);
  Statement row(database_, "SELECT value FROM meta WHERE key = 'terms'");
  DURE_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.Blob(0) : std::string();
}

absl::StatusOr<Digest> Store::BoundDigest() {
  std::lock_guard lock(mutex_);
  Statement row(database_, "SELECT value FROM meta WHERE key = 'spec'");
  DURE_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? DigestFromBytes(row.Blob(0)).value_or(Digest{}) : Digest{};
}

absl::Status Store::Rebind(const Digest& spec_digest, const std::string& toml) {
  std::lock_guard lock(mutex_);
  DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  DURE_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO meta VALUES ('spec', ?)")
                           .BindBlob(spec_digest)
                           .Run());
  DURE_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO meta VALUES ('terms', ?)")
                           .BindBlob(AsBytes(toml))
                           .Run());
  return transaction.Commit();
}

absl::Status Store::AddInvitation(const InvitationRecord& invitation, absl::Time now) {
  std::lock_guard lock(mutex_);
  Statement taken(database_,
                  "SELECT 'a member' FROM members WHERE name = ?1 UNION ALL "
                  "SELECT 'an open invitation' FROM invitations "
                  "WHERE name = ?1 AND used IS NULL AND withdrawn IS NULL AND expires > ?2");
  DURE_ASSIGN_OR_RETURN(bool found, taken.Bind(invitation.name).Bind(now).Step());
  if (found) {
    return absl::AlreadyExistsError(absl::StrCat("there is ", taken.Text(0), " named \"",
                                                 invitation.name, "\": choose another name"));
  }
  return Statement(database_,
                   "INSERT INTO invitations (secret_hash, name, organisation, role, expires) "
                   "VALUES (?, ?, ?, ?, ?)")
      .BindBlob(invitation.secret_hash)
      .Bind(invitation.name)
      .Bind(invitation.organisation)
      .Bind(int64_t{invitation.role})
      .Bind(invitation.expires)
      .Run();
}

absl::StatusOr<InvitationRecord> Store::FindInvitation(const Digest& secret_hash, absl::Time now) {
  std::lock_guard lock(mutex_);
  return FindInvitationLocked(secret_hash, now);
}

absl::StatusOr<InvitationRecord> Store::FindInvitationLocked(const Digest& secret_hash,
                                                             absl::Time now) {
  Statement row(database_,
                "SELECT name, organisation, role, expires, used, withdrawn FROM invitations "
                "WHERE secret_hash = ?");
  DURE_ASSIGN_OR_RETURN(bool found, row.BindBlob(secret_hash).Step());
  if (!found) {
    return absl::NotFoundError(
        "this coordinator made no such token: it belongs to another federation or was mistyped; "
        "ask the organiser for a new one");
  }
  if (!row.IsNull(4)) {
    return absl::FailedPreconditionError(
        "this token has been used already, and each works once: ask the organiser for a new one");
  }
  if (!row.IsNull(5)) {
    return absl::FailedPreconditionError(
        "this token was withdrawn by the organiser: ask the organiser for a new one");
  }
  if (row.Time(3) <= now) {
    return absl::FailedPreconditionError(
        absl::StrCat("this token expired at ",
                     absl::FormatTime("%Y-%m-%d %H:%M UTC", row.Time(3), absl::UTCTimeZone()),
                     ": ask the organiser for a new one"));
  }
  InvitationRecord invitation;
  invitation.secret_hash = secret_hash;
  invitation.name = row.Text(0);
  invitation.organisation = row.Text(1);
  invitation.role = static_cast<Role>(row.Int(2));
  invitation.expires = row.Time(3);
  return invitation;
}

absl::Status Store::Enrol(const Digest& secret_hash, const MemberRecord& member, absl::Time now,
                          std::optional<absl::Time> asked) {
  std::lock_guard lock(mutex_);
  DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  DURE_RETURN_IF_ERROR(FindInvitationLocked(secret_hash, asked.value_or(now)).status());
  {
    Statement known(database_, "SELECT 1 FROM members WHERE client_id = ?");
    DURE_ASSIGN_OR_RETURN(bool found, known.BindBlob(member.client_id).Step());
    if (found) {
      return absl::AlreadyExistsError(
          "this key is, or was, a member's already: join again in a new folder, with a new key");
    }
  }
  DURE_RETURN_IF_ERROR(Statement(database_, "UPDATE invitations SET used = ? WHERE secret_hash = ?")
                           .Bind(now)
                           .BindBlob(secret_hash)
                           .Run());
  DURE_RETURN_IF_ERROR(
      Statement(database_, "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, NULL)")
          .BindBlob(member.client_id)
          .Bind(member.name)
          .Bind(member.organisation)
          .Bind(int64_t{member.role})
          .BindBlob(AsBytes(member.certificate))
          .Bind(now)
          .Bind(now)
          .Run());
  return transaction.Commit();
}

absl::Status Store::SaveCertificate(const Digest& client_id, const std::string& certificate) {
  std::lock_guard lock(mutex_);
  DURE_RETURN_IF_ERROR(
      Statement(database_, "UPDATE members SET certificate = ? WHERE client_id = ?")
          .BindBlob(AsBytes(certificate))
          .BindBlob(client_id)
          .Run());
  if (sqlite3_changes(database_) == 1) return absl::OkStatus();
  return absl::NotFoundError("not a member of this federation");
}

absl::StatusOr<std::vector<MemberRecord>> Store::Members() {
  std::lock_guard lock(mutex_);
  Statement row(database_, absl::StrCat(std::string(kMemberColumns), "ORDER BY name"));
  std::vector<MemberRecord> members;
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, row.Step());
    if (!found) return members;
    members.push_back(ReadMember(row));
  }
}

absl::StatusOr<MemberRecord> Store::FindMember(const Digest& client_id) {
  std::lock_guard lock(mutex_);
  Statement row(database_, absl::StrCat(std::string(kMemberColumns), "WHERE client_id = ?"));
  DURE_ASSIGN_OR_RETURN(bool found, row.BindBlob(client_id).Step());
  if (!found) return absl::NotFoundError("not a member of this federation");
  return ReadMember(row);
}

absl::Status Store::Seen(const Digest& client_id, absl::Time now) {
  std::lock_guard lock(mutex_);
  return Statement(database_, "UPDATE members SET last_seen = ? WHERE client_id = ?")
      .Bind(now)
      .BindBlob(client_id)
      .Run();
}

absl::StatusOr<std::optional<Digest>> Store::Revoke(const std::string& name, absl::Time now) {
  std::lock_guard lock(mutex_);
  DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  std::optional<Digest> client_id;
  {
    Statement row(database_, absl::StrCat(std::string(kMemberColumns), "WHERE name = ?"));
    DURE_ASSIGN_OR_RETURN(bool found, row.Bind(name).Step());
    if (found) client_id = ReadMember(row).client_id;
  }
  DURE_RETURN_IF_ERROR(
      Statement(database_, "UPDATE members SET revoked = coalesce(revoked, ?) WHERE name = ?")
          .Bind(now)
          .Bind(name)
          .Run());
  DURE_RETURN_IF_ERROR(Statement(database_,
                                 "UPDATE invitations SET withdrawn = ?1 WHERE name = ?2 AND used "
                                 "IS NULL AND withdrawn IS NULL AND expires > ?1")
                           .Bind(now)
                           .Bind(name)
                           .Run());
  const bool withdrawn = sqlite3_changes(database_) > 0;
  if (!client_id && !withdrawn) {
    return absl::NotFoundError(
        absl::StrCat("no member is named \"", name, "\", and no open invitation"));
  }
  DURE_RETURN_IF_ERROR(transaction.Commit());
  return client_id;
}

absl::Status Store::SavePort(int port) {
  std::lock_guard lock(mutex_);
  return Statement(database_, "INSERT OR REPLACE INTO meta VALUES ('port', ?)")
      .BindBlob(AsBytes(absl::StrCat(port)))
      .Run();
}

absl::StatusOr<int> Store::SavedPort() {
  std::lock_guard lock(mutex_);
  Statement row(database_, "SELECT value FROM meta WHERE key = 'port'");
  DURE_ASSIGN_OR_RETURN(bool found, row.Step());
  int port = 0;
  if (found && (!absl::SimpleAtoi(row.Blob(0), &port) || port < 1 || port > 65535)) {
    return absl::DataLossError(absl::StrCat(folder_,
                                            "/coordinator.db names no port: restore the "
                                            "folder from a backup"));
  }
  return port;
}

absl::Status Store::SavePaused(bool paused) {
  std::lock_guard lock(mutex_);
  return Statement(database_, paused ? "INSERT OR IGNORE INTO meta VALUES ('paused', x'01')"
                                     : "DELETE FROM meta WHERE key = 'paused'")
      .Run();
}

absl::StatusOr<bool> Store::SavedPaused() {
  std::lock_guard lock(mutex_);
  return Statement(database_, "SELECT value FROM meta WHERE key = 'paused'").Step();
}

}  // namespace dure
