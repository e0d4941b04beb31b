// Pictures in folders, one folder a class, packed into the IDX files of a data folder
// (learner/data/dataset.h): decoded once, read fast ever after. Thread-safe for different folders.
#ifndef DURE_LEARNER_DATA_PICTURE_FOLDER_H_
#define DURE_LEARNER_DATA_PICTURE_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

struct PackOptions {
  uint32_t height = 0, width = 0;    // 0: all pictures have one size, and keep it
  uint32_t channels = 0;             // 1 or 3; 0: all pictures have the same, and keep it
  std::vector<std::string> classes;  // names of folders in the order of their numbers; empty: all
                                     // that are there, sorted by their bytes
  double held_out = 0;               // share of each class that is set aside, below 1
  int threads = 1;
};

struct PackReport {
  std::vector<std::string> classes;
  uint64_t records = 0;
  uint64_t held_out = 0;
};

// Reads the pictures of each class, sorted by their names' bytes, into `out` (made if it is not
// there): images-idx3-ubyte (records x height x width) or for colour images-idx4-ubyte (records x
// 3 x height x width), labels-idx1-ubyte, the same with t10k- for what is held out, which is picked
// evenly over each class, and classes.txt, a name a line. Files whose names begin with a dot are
// passed over. InvalidArgument, naming the file and the remedy, for a picture that DecodePicture
// refuses, that is of another size or kind than the first, for a file that is out of place, a class
// folder without pictures, fewer than two class folders where no classes are named, or more than
// 256 classes; ResourceExhausted above the limits of a dataset.
absl::StatusOr<PackReport> PackPictures(const std::string& folder, const PackOptions& options,
                                        const std::string& out);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_PICTURE_FOLDER_H_
