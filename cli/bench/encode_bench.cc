// What a member does with a clipped update before it is masked: draw noise, clip, round with secret
// coins, add, pack (privacy/dp/client_update.h).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/limits.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"
#include "cli/exit_code.h"
#include "crypto/random.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/client_update.h"

namespace dure::bench {
namespace {

constexpr uint64_t kDim = 10'000'000;
constexpr double kUpdateBytes = 4.0 * kDim;
// Memory beside the model and the update, of the update's: the goal.
constexpr double kMemoryGoal = 2.5;
// Two words of 8 bytes for the noise, 4 to round: the least that is drawn for a coordinate.
constexpr double kRandomBytes = 20;
constexpr absl::Duration kPatience = absl::Seconds(60);

struct Encoding {
  dp::ClientUpdateEncoder encoder;
  int bits = 0;
  uint64_t sigma2 = 0;
};

// Ten members, six of them honest survivors: sigma is 6720.
absl::StatusOr<Encoding> MakeEncoding() {
  DURE_ASSIGN_OR_RETURN(const dp::ClientEncoding derived,
                        dp::DeriveClientEncoding({.dim = kDim,
                                                  .clip_norm = 1,
                                                  .noise_multiplier = 1,
                                                  .invited = 10,
                                                  .honest_survivors = 6}));
  DURE_ASSIGN_OR_RETURN(dp::ClientUpdateEncoder encoder,
                        dp::ClientUpdateEncoder::Create({.dim = kDim,
                                                         .clip_norm = 1,
                                                         .scale_log2 = derived.scale_log2,
                                                         .norm_bound_sq = derived.norm_bound_sq,
                                                         .sigma2 = derived.sigma2_local}));
  return Encoding{
      .encoder = std::move(encoder), .bits = derived.bits, .sigma2 = derived.sigma2_local};
}

// Above the clip norm.
std::vector<float> MakeUpdate() {
  std::vector<float> update(kDim);
  for (size_t i = 0; i < update.size(); ++i) {
    update[i] = 1e-2f * std::sin(static_cast<float>(i % 100'000));
  }
  return update;
}

// Seconds of each part.
struct Parts {
  double noise = 0, round = 0, pack = 0;
  double all() const { return noise + round + pack; }
};

Parts EncodeOnce(const Encoding& encoding, const std::vector<float>& update, int threads,
                 AesCtrRandom& random) {
  const double start = Now();
  std::vector<uint32_t> words = encoding.encoder.DrawNoise(random, threads);
  const double drawn = Now();
  encoding.encoder.AddUpdate(update, 1, random, threads, words);
  const double added = Now();
  Pack(dp::RingFromWords(std::move(words), encoding.bits), encoding.bits);
  return {.noise = drawn - start, .round = added - drawn, .pack = Now() - added};
}

absl::StatusOr<Figure> Encode(const Settings& settings) {
  DURE_ASSIGN_OR_RETURN(const Encoding encoding, MakeEncoding());
  const std::vector<float> update = MakeUpdate();
  SystemRandom system;
  AesCtrRandom random(system);
  std::vector<double> all, noise, round, pack, processor;
  for (int run = 0; run <= settings.runs(); ++run) {
    const double start = CpuNow();
    const Parts parts = EncodeOnce(encoding, update, 1, random);
    if (run == 0) continue;
    processor.push_back(CpuNow() - start);
    all.push_back(parts.all());
    noise.push_back(parts.noise);
    round.push_back(parts.round);
    pack.push_back(parts.pack);
  }
  const double rate = AesRate(settings);
  const double seconds = Median(all);
  return Figure{.value = seconds,
                .limit = kDim * kRandomBytes / rate,
                .more = {{"processor_s", Median(processor)},
                         {"ns_per_element", seconds * 1e9 / kDim},
                         {"noise_ns_per_element", Median(noise) * 1e9 / kDim},
                         {"round_ns_per_element", Median(round) * 1e9 / kDim},
                         {"pack_ns_per_element", Median(pack) * 1e9 / kDim},
                         {"noise_sigma", std::sqrt(static_cast<double>(encoding.sigma2))},
                         {"aes_bytes_per_s", rate}}};
}

// The same on all cores; the limit is the time of one, measured in turn, over their number.
absl::StatusOr<Figure> EncodeOnAllCores(const Settings& settings) {
  DURE_ASSIGN_OR_RETURN(const Encoding encoding, MakeEncoding());
  const std::vector<float> update = MakeUpdate();
  SystemRandom system;
  AesCtrRandom random(system);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<double> all, one;
  for (int run = 0; run <= settings.runs(); ++run) {
    const double alone = EncodeOnce(encoding, update, 1, random).all();
    const double together = EncodeOnce(encoding, update, 0, random).all();
    if (run == 0) continue;
    one.push_back(alone);
    all.push_back(together);
  }
  return Figure{.value = Median(all),
                .limit = Median(one) / cores,
                .more = {{"one_core_s", Median(one)}, {"cores", cores}}};
}

// A line of /proc/self/status, in bytes.
uint64_t OwnMemory(const std::string& which) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, which.size(), which) == 0) {
      return std::strtoull(line.c_str() + which.size(), nullptr, 10) * 1024;
    }
  }
  return 0;
}

// What one encoding adds to the peak of a process that holds a model and an update.
absl::StatusOr<Figure> EncodeMemory(const Settings& settings) {
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Child> child,
                        Child::StartRole(settings, kEncodeRole, {}));
  DURE_ASSIGN_OR_RETURN(const std::string line, child->ReadLine(kPatience));
  const double bytes = std::strtod(line.c_str(), nullptr);
  return Figure{.value = bytes,
                .limit = kMemoryGoal * kUpdateBytes,
                .more = {{"of_the_update", bytes / kUpdateBytes}}};
}

}  // namespace

int RunEncode(const std::vector<std::string>& arguments) {
  if (!arguments.empty()) return cli::kUsage;
  const absl::StatusOr<Encoding> encoding = MakeEncoding();
  if (!encoding.ok()) return cli::Fail(encoding.status());
  const std::vector<float> model(kDim, 0.5f), update = MakeUpdate();
  SystemRandom system;
  AesCtrRandom random(system);
  const uint64_t before = OwnMemory("VmHWM:");
  EncodeOnce(*encoding, update, 1, random);
  Say(absl::StrCat(OwnMemory("VmHWM:") - before));
  return cli::kSuccess;
}

std::vector<Benchmark> EncodeBenchmarks() {
  const std::string name = absl::StrCat("encode/", kDim);
  return {{.name = name, .unit = "s", .run = Encode},
          {.name = absl::StrCat(name, "/all-cores"), .unit = "s", .run = EncodeOnAllCores},
          {.name = absl::StrCat(name, "/memory"), .unit = "B", .run = EncodeMemory}};
}

}  // namespace dure::bench
