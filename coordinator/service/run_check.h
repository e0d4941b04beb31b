// What must hold of the facts in a coordinator's database. For folder_check.cc. Not thread-safe for
// one connection.
#ifndef DURE_COORDINATOR_SERVICE_RUN_CHECK_H_
#define DURE_COORDINATOR_SERVICE_RUN_CHECK_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;

namespace dure {

// DataLoss, with the first thing that is wrong; else what was seen, in words.
absl::StatusOr<std::string> CheckEveryPage(sqlite3* database);
absl::StatusOr<std::string> CheckAttempts(sqlite3* database);
absl::StatusOr<std::string> CheckRounds(sqlite3* database);
absl::StatusOr<std::string> CheckSums(sqlite3* database);
absl::StatusOr<std::string> CheckEvaluations(sqlite3* database);
// Also that what is remembered of members is of members. `ca_certificate`: DER.
absl::StatusOr<std::string> CheckMembers(sqlite3* database, const std::string& ca_certificate);

// Names under state/models.
struct RunFiles {
  std::set<std::string> known;   // models and states of optimisers that rounds have had
  std::set<std::string> models;  // of them
  std::set<std::string> needed;  // without these the run cannot go on, or a fetch fails
};
absl::StatusOr<RunFiles> FilesOfRounds(sqlite3* database);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_RUN_CHECK_H_
