#include "cli/bench/limits.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include "cli/bench/timing.h"
#include "crypto/aes_ctr.h"

namespace dure::bench {
namespace {

constexpr size_t kMemoryBytes = size_t{512} << 20;
constexpr size_t kBlockBytes = 16 * 1024;
constexpr size_t kAesBytes = size_t{64} << 20;
constexpr int kMultiplyAdds = 1 << 22;  // of each register

// Keeps the compiler from leaving out what computes `value`.
template <typename T>
void Keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

void OnAllThreads(const std::function<void(unsigned, unsigned)>& work) {
  const unsigned count = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(work, i, count);
  for (std::thread& thread : threads) thread.join();
}

// Enough independent chains to fill the pipelines.
constexpr int kChains = 16;
using Vector = float __attribute__((vector_size(64)));

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) float MultiplyAdds(
    int count) {
  std::array<Vector, kChains> sums = {};
  const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (int i = 0; i < count; ++i) {
    for (int chain = 0; chain < kChains; ++chain) sums[chain] = sums[chain] * factor + term;
  }
  Vector total = {};
  for (const Vector& sum : sums) total += sum;
  return total[0];
}

double AesRateBy(double (*clock)()) {
  const std::array<uint8_t, 48> key = {};
  std::vector<uint8_t> block(kBlockBytes);
  AesCtr stream(key);
  const double start = clock();
  for (size_t done = 0; done < kAesBytes; done += kBlockBytes) stream.Apply(block);
  return static_cast<double>(kAesBytes) / (clock() - start);
}

}  // namespace

double MemoryReadRate(const Settings& settings) {
  const std::vector<uint64_t> memory(kMemoryBytes / sizeof(uint64_t), 1);
  const double seconds = MedianSeconds(settings.runs(), [&] {
    OnAllThreads([&](unsigned thread, unsigned count) {
      const auto size = static_cast<std::ptrdiff_t>(memory.size());
      const auto begin = memory.begin() + size * thread / count;
      const auto end = memory.begin() + size * (thread + 1) / count;
      Keep(std::accumulate(begin, end, uint64_t{0}));
    });
  });
  return static_cast<double>(kMemoryBytes) / seconds;
}

double AesRateOnce() { return AesRateBy(Now); }
double AesProcessorRateOnce() { return AesRateBy(CpuNow); }

double AesRate(const Settings& settings) {
  std::vector<double> rates;
  for (int run = 0; run <= settings.runs(); ++run) {
    const double rate = AesRateOnce();
    if (run > 0) rates.push_back(rate);
  }
  return Median(std::move(rates));
}

double MultiplyAddRate(const Settings& settings) {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  const double seconds = MedianSeconds(settings.runs(), [] {
    OnAllThreads([](unsigned, unsigned) { Keep(MultiplyAdds(kMultiplyAdds)); });
  });
  return static_cast<double>(kMultiplyAdds) * kChains * (sizeof(Vector) / sizeof(float)) * threads /
         seconds;
}

}  // namespace dure::bench
