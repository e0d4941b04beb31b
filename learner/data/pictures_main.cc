// dure-pictures: packs a folder of pictures for `dure data add --format images`, which starts it.
// A program of its own, so that `dure` links no decoder of pictures and a fault in one ends nothing
// else.
#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "learner/data/picture_folder.h"

int main(int argc, char** argv) {
  constexpr int kFixed = 7;  // the program's name and what is always there
  dure::PackOptions options;
  if (argc < kFixed || !absl::SimpleAtoi(argv[3], &options.height) ||
      !absl::SimpleAtoi(argv[4], &options.width) || !absl::SimpleAtoi(argv[5], &options.channels) ||
      !absl::SimpleAtod(argv[6], &options.held_out)) {
    std::fputs("dure-pictures works for `dure data add`, which starts it.\n", stderr);
    return 2;
  }
  options.classes.assign(argv + kFixed, argv + argc);
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto report = dure::PackPictures(argv[1], options, argv[2]);
  if (report.ok()) return 0;
  std::fprintf(stderr, "dure: %s\n", std::string(report.status().message()).c_str());
  return 1;
}
