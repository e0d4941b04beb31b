// `dure data show PATH --partition HOW`: what a split among simulated clients would be like, drawn
// with characters.
#ifndef DURE_CLI_PARTITION_SHOW_H_
#define DURE_CLI_PARTITION_SHOW_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "cli/table_flags.h"

namespace dure::cli {

struct PartitionView {
  std::string path;  // a data folder or a CSV file
  TableFlags table;
  std::string how;       // "": iid
  uint32_t clients = 0;  // 0: as many as there are, by:COLUMN and file:PATH
  uint64_t seed = 1;
  uint64_t records = 0;  // the most of one client; 0: all
  bool as_json = false;

  bool wanted() const { return !how.empty() || clients > 0; }
};

// Prints it. Errors as PartitionDataset.
absl::Status ShowPartition(const PartitionView& view);

}  // namespace dure::cli

#endif  // DURE_CLI_PARTITION_SHOW_H_
