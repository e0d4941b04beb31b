// Looks at SQLite's write-ahead log before SQLite does. SQLite reads a log up to the first frame
// that is damaged and forgets the rest without a word: right after a power failure, where the rest
// was never committed, but a loss of released rounds where the file was damaged later.
// Format: https://www.sqlite.org/fileformat2.html#walformat. Thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_LOG_CHECK_H_
#define DURE_COORDINATOR_SERVICE_LOG_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dure {

// The log's bytes. DataLoss, with what is wrong, if its header is damaged, or if transactions
// follow a damaged frame: at most one that was under way can, so two prove that committed ones are
// lost. A log that ends in the middle is in order.
absl::Status CheckLogBytes(std::string_view log);

// The same for the file at `path`; OK if there is none. DataLoss names the file and the remedy.
absl::Status CheckLogFile(const std::string& path);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_LOG_CHECK_H_
