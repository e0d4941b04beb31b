// The files under a federation's state/ apart from what SQLite does with its own: where they are,
// whether they are all there, and the models, each named by its SHA-256. For store.cc.
// Thread-safe: it keeps no state.
#ifndef DURE_COORDINATOR_SERVICE_STATE_FILES_H_
#define DURE_COORDINATOR_SERVICE_STATE_FILES_H_

#include <cstddef>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dure {

// Ends a message about state that cannot be mended.
inline constexpr absl::string_view kRestoreState =
    ": restore the folder from a backup, or start a new federation in another";

// Files that one release writes: the model and the optimiser's state. A crash between them and the
// transaction that names them leaves them behind.
inline constexpr size_t kFilesOfARelease = 2;

// In `folder`, the federation's "state".
std::string DatabasePath(const std::string& folder);
std::string DatabaseLogPath(const std::string& folder);
std::string StateLockPath(const std::string& folder);
// The federation's folder, as a person named it.
std::string FederationOf(const std::string& folder);

// A database that is gone, or has no contents, must not be taken for a new one: members, attempts
// and rounds would be forgotten. DataLoss if a coordinator has run here and there is none.
absl::Status ExpectDatabase(const std::string& folder);
// Whether a database with contents is there. PermissionDenied if that may not be looked at.
absl::StatusOr<bool> HasDatabase(const std::string& folder);
// Makes the folder with models/ and, before the lock is there, a database without contents.
absl::Status MakeStateFiles(const std::string& folder);

// Writes a model or an optimiser's state durably. Its name is its SHA-256 in hexadecimal.
absl::Status WriteModelFile(const std::string& folder, const std::string& name,
                            const std::string& bytes);
// DataLoss if it is missing or damaged.
absl::StatusOr<std::string> ReadModelFile(const std::string& folder, const std::string& name);
// The names of the complete ones.
std::set<std::string> ModelFiles(const std::string& folder);
// Removes the others, and what was not written to its end.
void KeepModelFiles(const std::string& folder, const std::set<std::string>& kept);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_STATE_FILES_H_
