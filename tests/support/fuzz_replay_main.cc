// Runs a fuzzer's function without libFuzzer: over every file of the folders named on the command
// line, over mutations of each (bits flipped, cut, doubled) and over random bytes, all from a
// fixed seed. So every decoder is exercised in every test run, with any compiler.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMutationsPerInput = 400;
// Of all inputs together, at least one of each: a larger corpus takes no longer.
constexpr size_t kMutations = 6000;
constexpr int kRandomInputs = 2000;
constexpr size_t kMaxRandomBytes = 2048;

using Input = std::vector<uint8_t>;

void Try(const Input& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

Input Mutate(Input input, std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      for (uint64_t i = 0, n = 1 + random() % 8; i < n && !input.empty(); ++i) {
        input[random() % input.size()] ^= static_cast<uint8_t>(1u << random() % 8);
      }
      break;
    case 1:
      input.resize(random() % (input.size() + 1));
      break;
    case 2: {
      Input twice = input;
      twice.insert(twice.end(), input.begin(), input.end());
      return twice;
    }
    default:
      for (uint64_t i = 0, n = 1 + random() % 8; i < n; ++i) {
        input.insert(input.begin() + static_cast<long>(random() % (input.size() + 1)),
                     static_cast<uint8_t>(random()));
      }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937_64 random(20261122);
  size_t tried = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    const size_t mutations =
        std::clamp<size_t>(kMutations / std::max<size_t>(paths.size(), 1), 1, kMutationsPerInput);
    for (const auto& path : paths) {
      std::ifstream file(path, std::ios::binary);
      Input input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      Try(input);
      for (size_t m = 0; m < mutations; ++m) Try(Mutate(input, random));
      tried += 1 + mutations;
    }
  }
  for (int i = 0; i < kRandomInputs; ++i) {
    Input input(random() % kMaxRandomBytes);
    std::generate(input.begin(), input.end(), [&] { return static_cast<uint8_t>(random()); });
    Try(input);
  }
  std::printf("%zu inputs, no fault\n", tried + kRandomInputs);
  return 0;
}
