// How long 600 per-example gradients of the 26,010-parameter network take, with clipping and
// fixed-point sums, on one thread and on all; and what the matrix products alone would take.
// Prints one JSON object a line. Run by hand: per_example_bench [RECORDS].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "learner/architecture.h"
#include "learner/gradient_sum.h"
#include "learner/initial_weights.h"
#include "learner/kernels.h"

namespace {

constexpr int kRuns = 7;

// Median seconds of kRuns runs, after one that is not counted.
double Median(const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (run > 0) seconds.push_back(took.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

void Print(const char* name, double seconds, size_t records) {
  std::printf(
      "{\"name\":\"per-example/%s\",\"value\":%.6f,\"unit\":\"s\",\"us_per_record\":%.1f}\n", name,
      seconds, seconds / static_cast<double>(records) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const size_t records = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 600;
  auto architecture = dure::MakeArchitecture("cnn", {1, 28, 28}, 10);
  if (!architecture.ok() || records < 1 || records > 1'000'000) return 2;
  dure::Network network(*architecture);
  network.SetParams(dure::InitialWeights(network.manifest(), 1));

  dure::Dataset data{.shape = {1, 28, 28}};
  uint32_t state = 1;
  for (size_t i = 0; i < records * 784; ++i) {
    state = state * 1664525 + 1013904223;
    data.features.push_back(static_cast<uint8_t>(state >> 24));
  }
  for (size_t i = 0; i < records; ++i) data.labels.push_back(static_cast<uint8_t>(i % 10));
  dure::GradientPlan plan{.clip_norm = 1.0, .scale_log2 = 14};
  for (size_t i = 0; i < records; ++i) plan.records.push_back(static_cast<uint32_t>(i));

  std::fprintf(stderr, "instruction set: %s\n", dure::kernels::InstructionSet());
  dure::NetworkWorkspace workspace = network.MakeWorkspace();
  double sink = 0;
  Print("gradients-1-thread", Median([&] {
          for (size_t i = 0; i < records; ++i) {
            sink += network.Direction(data.Record(i), data.labels[i], &workspace)[0];
          }
        }),
        records);
  std::vector<int64_t> sum(network.dim());
  for (unsigned threads : {1u, std::max(1u, std::thread::hardware_concurrency())}) {
    dure::GradientSum gradient_sum(network, data, static_cast<int>(threads));
    const double seconds = Median([&] {
      if (!gradient_sum.Run(plan, sum).ok()) std::exit(1);
    });
    Print(threads == 1 ? "sum-1-thread" : "sum-all-threads", seconds, records);
    if (threads == 1 && std::thread::hardware_concurrency() <= 1) break;
  }
  return sink == 0.123 ? 1 : 0;  // keeps the gradients from being left out
}
