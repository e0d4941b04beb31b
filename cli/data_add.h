// `dure data add`: from what a person names to registered data. All or nothing: until everything
// has been read and checked, what was registered before stays as it is.
#ifndef DURE_CLI_DATA_ADD_H_
#define DURE_CLI_DATA_ADD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/table_flags.h"

namespace dure::cli {

struct PictureFlags {
  std::string size;  // "HxW"
  uint32_t channels = 0;
  double held_out = 0;
};

struct Addition {
  std::string path;
  std::string node_folder;
  std::string format = "auto";
  TableFlags table;
  PictureFlags pictures;
};

// --format and what goes with pictures.
void AddFormatFlags(CLI::App* command, Addition* addition);

struct Added {
  std::string folder;  // the data folder, as it is registered
  std::string note;    // for the member; may be ""
};

// Reads, checks and registers. A failure of the program that packs pictures has been told on
// standard error already, and is Aborted.
absl::StatusOr<Added> AddData(const Addition& addition);

}  // namespace dure::cli

#endif  // DURE_CLI_DATA_ADD_H_
