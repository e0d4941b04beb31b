#include "privacy/dp/blocks.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"

namespace dure::dp {
namespace {

constexpr size_t kSeedBytes = sizeof(AesCtrRandom::Seed);
constexpr size_t kMaxThreads = 256;

size_t ThreadsFor(int threads, size_t blocks) {
  DURE_CHECK(threads >= 0);
  const size_t wanted =
      threads == 0 ? std::thread::hardware_concurrency() : static_cast<size_t>(threads);
  return std::clamp<size_t>(std::min(wanted, blocks), 1, kMaxThreads);
}

}  // namespace

size_t CountBlocks(uint64_t coordinates) {
  return static_cast<size_t>((coordinates + kBlockCoordinates - 1) / kBlockCoordinates);
}

void ForEachBlock(uint64_t coordinates, int threads,
                  const std::function<void(const Block&)>& work) {
  const size_t blocks = CountBlocks(coordinates);
  std::atomic<size_t> next = 0;
  auto run = [&] {
    std::vector<double> scratch(std::min<uint64_t>(kBlockCoordinates, coordinates));
    for (size_t i = next++; i < blocks; i = next++) {
      const uint64_t first = uint64_t{i} * kBlockCoordinates;
      const size_t size = std::min<uint64_t>(kBlockCoordinates, coordinates - first);
      work({.index = i, .first = first, .size = size, .scratch = std::span(scratch).first(size)});
    }
    WipeBytes({reinterpret_cast<uint8_t*>(scratch.data()), scratch.size() * sizeof(double)});
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < ThreadsFor(threads, blocks); ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
}

BlockSeeds::BlockSeeds(size_t blocks, AesCtrRandom& random) : seeds_(kSeedBytes * blocks) {
  random.Fill(seeds_.mutable_view());
}

AesCtrRandom BlockSeeds::RandomOf(const Block& block) const {
  const auto bytes = seeds_.view().subspan(kSeedBytes * block.index, kSeedBytes);
  AesCtrRandom::Seed seed;
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  AesCtrRandom random(seed);
  WipeBytes(seed);
  return random;
}

}  // namespace dure::dp
