// A copy of a coordinator's database as it is at one moment, made without a change to the folder
// that it is in: while a coordinator runs and writes, and from a disk that cannot be written.
#ifndef DURE_COORDINATOR_SERVICE_DATABASE_COPY_H_
#define DURE_COORDINATOR_SERVICE_DATABASE_COPY_H_

#include <string>

#include "absl/status/statusor.h"

namespace dure {

// A folder of its own, of which nothing is left behind. Not thread-safe.
class DatabaseCopy {
 public:
  // `folder`: a federation's "state". NotFound if no coordinator has run there; DataLoss as
  // Store::Open where the files themselves say so; ResourceExhausted if the disk of temporary files
  // is full.
  static absl::StatusOr<DatabaseCopy> Take(const std::string& folder);
  DatabaseCopy(DatabaseCopy&& other) noexcept;
  DatabaseCopy& operator=(DatabaseCopy&&) = delete;
  ~DatabaseCopy();

  // A state folder with the database, of one file, and the models of the original beside it: for
  // reading alone.
  const std::string& folder() const { return folder_; }
  std::string path() const;
  // Whether a coordinator had the original open.
  bool running() const { return running_; }

 private:
  explicit DatabaseCopy(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;  // "" when it has moved
  bool running_ = false;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_DATABASE_COPY_H_
