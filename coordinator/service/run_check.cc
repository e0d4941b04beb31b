#include "coordinator/service/run_check.h"

#include <sqlite3.h>

#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "base/paragraph.h"
#include "base/quantity.h"
#include "base/status_macros.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/state_files.h"
#include "crypto/digest.h"
#include "crypto/x509.h"
#include "federation/model_metrics.h"
#include "privacy/secagg/identity.h"

namespace dure {
namespace {

absl::Status Wrong(std::string_view what) {
  return absl::DataLossError(absl::StrCat(std::string(what), kRestoreState));
}

// As store_run.cc keeps them.
constexpr size_t kKeptRounds = 2;

// For each row of a query.
absl::Status ForEach(sqlite3* database, std::string_view sql,
                     const std::function<absl::Status(const Statement&)>& row) {
  Statement statement(database, sql);
  for (;;) {
    DURE_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return absl::OkStatus();
    DURE_RETURN_IF_ERROR(row(statement));
  }
}

// The rows of a query that there should be none of.
absl::Status ExpectNone(sqlite3* database, std::string_view sql, std::string_view what) {
  Statement statement(database, sql);
  DURE_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? Wrong(absl::StrCat(std::string(what), " ", statement.Text(0))) : absl::OkStatus();
}

absl::StatusOr<int64_t> Count(sqlite3* database, std::string_view sql) {
  Statement statement(database, sql);
  DURE_RETURN_IF_ERROR(statement.Step().status());
  return statement.Int(0);
}

}  // namespace

absl::StatusOr<std::string> CheckEveryPage(sqlite3* database) {
  std::string first;
  DURE_RETURN_IF_ERROR(ForEach(database, "PRAGMA integrity_check", [&](const Statement& row) {
    if (first.empty()) first = row.Text(0);
    return absl::OkStatus();
  }));
  if (first != "ok") return Wrong(absl::StrCat("the database is damaged (", first, ")"));
  DURE_ASSIGN_OR_RETURN(const int64_t pages, Count(database, "PRAGMA page_count"));
  DURE_ASSIGN_OR_RETURN(const int64_t size, Count(database, "PRAGMA page_size"));
  return absl::StrCat("all of its ", BytesInWords(static_cast<uint64_t>(pages * size)),
                      " are in order");
}

absl::StatusOr<std::string> CheckAttempts(sqlite3* database) {
  uint64_t expected = 0;
  int64_t round_before = 0, failed = 0;
  DURE_RETURN_IF_ERROR(ForEach(
      database,
      "SELECT attempt, round, length(session_id), cohort, failure IS NOT NULL, kind FROM attempts "
      "ORDER BY attempt",
      [&](const Statement& row) {
        ++expected;
        const std::string name = absl::StrCat("attempt ", row.Int(0));
        if (static_cast<uint64_t>(row.Int(0)) != expected)
          return Wrong(absl::StrCat("attempt ", expected, " is missing"));
        if (row.Int(2) != 32) return Wrong(absl::StrCat(name, " has no session"));
        if (row.Int(3) < 0) return Wrong(absl::StrCat(name, " has a cohort below 0"));
        if (row.Int(5) < 0 || row.Int(5) > 2) {
          return Wrong(absl::StrCat(name, " is of an unknown kind"));
        }
        if (row.Int(5) == 0) {  // a measurement is of a round before
          if (row.Int(1) < round_before) {
            return Wrong(absl::StrCat(name, " is of an earlier round than those before it"));
          }
          round_before = row.Int(1);
        }
        failed += row.Int(4);
        return absl::OkStatus();
      }));
  return absl::StrCat(Counted(expected, "attempt"), " without a gap, ", failed, " failed");
}

absl::StatusOr<std::string> CheckRounds(sqlite3* database) {
  uint64_t expected = 0;
  int64_t attempt = 0, received = 0, sent = 0;
  double epsilon = 0;
  DURE_RETURN_IF_ERROR(ForEach(
      database,
      "SELECT r.round, r.attempt, r.cohort, r.survivors, r.epsilon, r.duration_us, "
      "r.bytes_received, r.bytes_sent, length(r.model), length(r.optimizer), a.round, "
      "a.failure IS NOT NULL, a.ended IS NULL "
      "FROM rounds r LEFT JOIN attempts a ON a.attempt = r.attempt ORDER BY r.round",
      [&](const Statement& row) {
        ++expected;
        const std::string name = absl::StrCat("round ", row.Int(0));
        if (static_cast<uint64_t>(row.Int(0)) != expected)
          return Wrong(absl::StrCat("round ", expected, " is missing"));
        if (row.Int(1) <= attempt) {
          return Wrong(
              absl::StrCat(name, " has attempt ", row.Int(1), ", and the round before ", attempt));
        }
        if (row.IsNull(10)) return Wrong(absl::StrCat("the attempt of ", name, " is missing"));
        if (static_cast<uint64_t>(row.Int(10)) != expected) {
          return Wrong(absl::StrCat("the attempt of ", name, " is of another round"));
        }
        if (row.Int(11) != 0 || row.Int(12) != 0) {
          return Wrong(absl::StrCat("the attempt of ", name, " has ",
                                    row.Int(11) != 0 ? "failed" : "not ended"));
        }
        if (row.Int(3) < 1 || row.Int(3) > row.Int(2)) {
          return Wrong(absl::StrCat(name, " has ", row.Int(3), " survivors of ", row.Int(2)));
        }
        if (std::isnan(row.Real(4)) || row.Real(4) < epsilon) {
          return Wrong(absl::StrCat("epsilon falls in ", name));
        }
        if (row.Int(6) < received || row.Int(7) < sent || row.Int(5) < 0) {
          return Wrong(absl::StrCat("bytes or time fall in ", name));
        }
        if (row.Int(8) != 64 || row.Int(9) != 64) {
          return Wrong(absl::StrCat(name, " names no model"));
        }
        attempt = row.Int(1);
        epsilon = row.Real(4);
        received = row.Int(6);
        sent = row.Int(7);
        return absl::OkStatus();
      }));
  return absl::StrCat(Counted(expected, "round"), " without a gap; epsilon and bytes never fall");
}

absl::StatusOr<std::string> CheckSums(sqlite3* database) {
  DURE_RETURN_IF_ERROR(ExpectNone(
      database,
      "SELECT s.attempt FROM sums s LEFT JOIN attempts a ON a.attempt = s.attempt WHERE a.attempt "
      "IS NULL OR a.kind != s.kind OR a.failure IS NOT NULL OR s.kind = 0 OR s.survivors < 1 OR "
      "s.survivors > s.cohort OR length(s.sums) % 8 != 0 OR s.noise < 0",
      "the sums do not fit their attempt:"));
  DURE_RETURN_IF_ERROR(ExpectNone(
      database,
      "SELECT attempt FROM sums WHERE round > (SELECT coalesce(max(round), 0) FROM rounds)",
      "there are sums of a round that was not released: attempt"));
  DURE_ASSIGN_OR_RETURN(const int64_t sums, Count(database, "SELECT count(*) FROM sums"));
  return absl::StrCat(Counted(static_cast<uint64_t>(sums), "release"),
                      " of statistics and measurements");
}

absl::StatusOr<std::string> CheckEvaluations(sqlite3* database) {
  uint64_t count = 0;
  DURE_RETURN_IF_ERROR(
      ForEach(database,
              "SELECT round, evaluator, metrics, (SELECT coalesce(max(round), 0) FROM rounds) "
              "FROM evaluations",
              [&](const Statement& row) {
                ++count;
                const std::string name =
                    absl::StrCat("the evaluation of round ", row.Int(0), " by ", row.Text(1));
                if (row.Int(0) > row.Int(3) || row.Int(0) < 1) {
                  return Wrong(absl::StrCat(name, " is of no released round"));
                }
                ModelMetrics metrics;
                if (!row.IsNull(2) &&
                    (!metrics.ParseFromString(row.Blob(2)) || !CheckMetrics(metrics).ok())) {
                  return Wrong(absl::StrCat(name, " cannot be read"));
                }
                return absl::OkStatus();
              }));
  return Counted(count, "evaluation");
}

absl::StatusOr<std::string> CheckMembers(sqlite3* database, const std::string& ca_certificate) {
  uint64_t count = 0;
  int64_t revoked = 0;
  DURE_RETURN_IF_ERROR(ForEach(
      database, "SELECT client_id, name, certificate, revoked IS NOT NULL FROM members",
      [&](const Statement& row) {
        ++count;
        revoked += row.Int(3);
        absl::StatusOr<Certificate> certificate =
            VerifyCertificateAtAnyTime(row.Blob(2), ca_certificate);
        if (!certificate.ok()) {
          return Wrong(absl::StrCat("the certificate of ", row.Text(1), " is not of this CA (",
                                    certificate.status().message(), ")"));
        }
        if (ToString(secagg::MemberIdOf(certificate->key)) != row.Blob(0)) {
          return Wrong(absl::StrCat("the certificate of ", row.Text(1), " is of another key"));
        }
        return absl::OkStatus();
      }));
  DURE_RETURN_IF_ERROR(ExpectNone(
      database,
      "SELECT l.attempt FROM last_attempts l WHERE l.attempt < 1 OR l.attempt > (SELECT "
      "coalesce(max(attempt), 0) FROM attempts) OR l.client_id NOT IN (SELECT client_id FROM "
      "members)",
      "a member's last attempt is none of this run:"));
  return absl::StrCat(Counted(count, "member"), ", ", revoked,
                      " revoked; all have certificates of "
                      "the CA");
}

absl::StatusOr<RunFiles> FilesOfRounds(sqlite3* database) {
  RunFiles files;
  size_t seen = 0;
  DURE_RETURN_IF_ERROR(ForEach(database, "SELECT model, optimizer FROM rounds ORDER BY round DESC",
                               [&](const Statement& row) {
                                 const bool kept = seen++ < kKeptRounds;
                                 for (const std::string& name : {row.Text(0), row.Text(1)}) {
                                   if (kept) files.needed.insert(name);
                                   files.known.insert(name);
                                 }
                                 files.models.insert(row.Text(0));
                                 return absl::OkStatus();
                               }));
  return files;
}

}  // namespace dure
