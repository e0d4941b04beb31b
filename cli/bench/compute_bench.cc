// Work of one process: sums, masks, per-example gradients.
#include <algorithm>
#include <cstdint>
#include <thread>
#include <variant>

#include "absl/strings/str_cat.h"
#include "aggregation/ring_sum.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "cli/bench/figure.h"
#include "cli/bench/limits.h"
#include "cli/bench/timing.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"
#include "learner/architecture.h"
#include "learner/gradient_sum.h"
#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/session_keys.h"

namespace dure::bench {
namespace {

constexpr int kBits = 20;  // of the ring
constexpr uint64_t kMaskDim = 1'000'000;
constexpr size_t kPictures = 600;

std::string RandomBytes(size_t count) {
  SystemRandom system;
  AesCtrRandom random(system);
  std::string bytes(count, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

// The coordinator's sum: packed uploads, from memory, added to a vector of the ring.
absl::StatusOr<Figure> Aggregate(const Settings& settings, int uploads, uint64_t dim) {
  std::vector<std::string> packed;
  for (int i = 0; i < uploads; ++i) packed.push_back(RandomBytes(PackedBytes(dim, kBits)));
  absl::Status status;
  const double seconds = MedianSeconds(settings.runs(), [&] {
    RingSum sum(kBits, dim);
    for (const std::string& upload : packed) status.Update(sum.AddPacked(AsBytes(upload)));
  });
  DURE_RETURN_IF_ERROR(status);
  const double bytes = static_cast<double>(packed[0].size()) * uploads;
  const double rate = MemoryReadRate(settings);
  return Figure{.value = seconds,
                .limit = bytes / rate,
                .more = {{"bytes", bytes},
                         {"ns_per_element", seconds * 1e9 / uploads / static_cast<double>(dim)},
                         {"memory_bytes_per_s", rate}}};
}

// Masks of 32-bit words, expanded from their keys and added to one vector.
struct MaskWork {
  int masks = 1;
  int threads = 1;
  int times = 1;  // in one run: a single mask is too quick to time
};

absl::StatusOr<Figure> Masks(const Settings& settings, const MaskWork& work) {
  SystemRandom random;
  std::vector<secagg::KeyedMask> masks(static_cast<size_t>(work.masks));
  for (secagg::KeyedMask& mask : masks) {
    mask.key = SecretBytes(secagg::kMaskKeyBytes);
    random.Fill(mask.key.mutable_view());
  }
  RingVector vector = RingZeros(kMaskDim, kBits);
  const double bytes = static_cast<double>(kMaskDim) * sizeof(uint32_t) * work.masks;
  std::vector<double> seconds, processor, rates, ratios;
  for (int run = 0; run <= settings.runs(); ++run) {
    const double start = Now(), cpu_start = CpuNow();
    for (int i = 0; i < work.times; ++i) secagg::ApplyMasks(masks, work.threads, &vector);
    const double cpu = (CpuNow() - cpu_start) / work.times;
    const double took = (Now() - start) / work.times;
    // In turn, so that both see the machine alike.
    const double rate = AesRateOnce(), processor_rate = AesProcessorRateOnce();
    if (run == 0) continue;
    seconds.push_back(took);
    processor.push_back(cpu);
    rates.push_back(rate);
    ratios.push_back(bytes / processor_rate / cpu);
  }
  const double rate = Median(rates);
  return Figure{.value = Median(seconds),
                .limit = bytes / rate / work.threads,
                .more = {{"processor_s", Median(processor)},
                         {"ratio_by_processor_time", Median(ratios)},
                         {"aes_bytes_per_s", rate}}};
}

// Multiplications with addition of one forward pass.
double MultiplyAddsOf(const Architecture& architecture) {
  double count = 0;
  for (size_t i = 0; i < architecture.layers.size(); ++i) {
    const Extent& in = architecture.extents[i];
    const Extent& out = architecture.extents[i + 1];
    const Layer& layer = architecture.layers[i];
    if (const auto* conv = std::get_if<Conv2dLayer>(&layer)) {
      count += static_cast<double>(out.size()) * in.channels * conv->kernel * conv->kernel;
    } else if (std::holds_alternative<LinearLayer>(layer)) {
      count += static_cast<double>(in.size()) * static_cast<double>(out.size());
    }
  }
  return count;
}

Dataset Noise(size_t records) {
  const std::string bytes = RandomBytes(records * 28 * 28);
  Dataset data{.shape = {1, 28, 28}};
  data.features.assign(bytes.begin(), bytes.end());
  for (size_t i = 0; i < records; ++i) data.labels.push_back(static_cast<float>(i % 10));
  return data;
}

// Gradients of single records with clipping and fixed-point sums, on all cores.
absl::StatusOr<Figure> PerExample(const Settings& settings) {
  DURE_ASSIGN_OR_RETURN(Architecture architecture, MakeArchitecture("cnn", {1, 28, 28}, 10));
  Network network(architecture);
  network.SetParams(InitialWeights(network.manifest(), 1));
  const Dataset data = Noise(kPictures);
  GradientPlan plan{.clip_norm = 1.0, .scale_log2 = 14};
  for (size_t i = 0; i < kPictures; ++i) plan.records.push_back(static_cast<uint32_t>(i));
  std::vector<int64_t> sum(network.dim());
  absl::Status status;
  auto seconds_on = [&](unsigned threads) {
    GradientSum gradient_sum(network, static_cast<int>(threads));
    return MedianSeconds(settings.runs(),
                         [&] { status.Update(gradient_sum.Run(data, plan, sum)); });
  };
  const double seconds = seconds_on(std::max(1u, std::thread::hardware_concurrency()));
  const double alone = seconds_on(1);
  DURE_RETURN_IF_ERROR(status);
  const double rate = MultiplyAddRate(settings);
  // Forwards once, and backwards to the weights and to the inputs.
  const double work = 3 * MultiplyAddsOf(architecture) * kPictures;
  return Figure{.value = seconds,
                .limit = work / rate,
                .more = {{"one_thread_s", alone},
                         {"us_per_record_one_thread", alone * 1e6 / kPictures},
                         {"multiply_adds", work},
                         {"multiply_adds_per_s", rate}}};
}

Benchmark AggregateOf(int uploads, uint64_t dim) {
  return {.name = absl::StrCat("aggregate/", uploads, "x", dim),
          .unit = "s",
          .run = [=](const Settings& settings) { return Aggregate(settings, uploads, dim); }};
}

Benchmark MasksOf(const char* what, const MaskWork& work) {
  return {.name = absl::StrCat("mask/", kMaskDim, what),
          .unit = "s",
          .run = [=](const Settings& settings) { return Masks(settings, work); }};
}

}  // namespace

std::vector<Benchmark> ComputeBenchmarks() {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return {AggregateOf(10, 10'000'000),
          AggregateOf(100, 1'000'000),
          MasksOf("", {.times = 20}),
          MasksOf("/unmasking", {.masks = 10, .threads = cores, .times = 4}),
          {.name = absl::StrCat("per-example/", kPictures), .unit = "s", .run = PerExample}};
}

}  // namespace dure::bench
