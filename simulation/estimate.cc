#include "simulation/estimate.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/model_parts.h"
#include "learner/architecture.h"

namespace dure::simulation {
namespace {

constexpr uint64_t kFloat = sizeof(float);
// Resident after the first step: dure-simulate with LibTorch.
constexpr uint64_t kProgramBytes = 200'000'000;
// A thread's parameters as they came and as they are used, their gradient and its sum, the update
// as floats and as integers (learner/describe_command.cc counts the same).
constexpr uint64_t kTrainingBytesANumber = 48;
// Noise, encoded input and its integers.
constexpr uint64_t kEncodingBytesANumber = 16;
// The coordinator: the model, the one before, the first one, two moments, the mean, what is
// released, its file and its checkpoint.
constexpr uint64_t kModelsOfTheCoordinator = 12;
// Records of a text or a picture that are computed at once, at most.
constexpr uint64_t kMostRecordsAtOnce = 256;
constexpr uint64_t kTorchRecordsAtOnce = 32;
// A member's share of another's secrets, sent, received and kept.
constexpr uint64_t kShareBytes = 600;

// Numbers that a network without kernels of our own keeps for one record on the way back.
uint64_t TorchActivations(const ModelSection& model, uint64_t record_size, uint64_t dim) {
  if (model.architecture() == ModelSection::RESNET18) {
    // Five layers of 64 channels at full size, then of half as many numbers three times, each with
    // its normalisation and its ReLU.
    return record_size / std::max<uint64_t>(model.input().shape(0), 1) * 1800;
  }
  if (model.architecture() == ModelSection::GRU || model.architecture() == ModelSection::LSTM) {
    return record_size * (model.embedding() + uint64_t{10} * model.layers() * model.units() +
                          uint64_t{3} * model.input().classes());
  }
  return std::max<uint64_t>(dim, 16 * record_size);  // of a model that is not known
}

uint64_t ActivationBytes(const FederationSpec& spec, uint64_t dim, uint64_t records_each) {
  uint64_t record_size = 1;
  for (const uint32_t extent : spec.model().input().shape()) record_size *= extent;
  const absl::StatusOr<Architecture> architecture = MakeArchitecture(spec.model());
  if (!architecture.ok() || !architecture->has_kernels()) {
    return TorchActivations(spec.model(), record_size, dim) * kTorchRecordsAtOnce * kFloat;
  }
  uint64_t activations = 0;
  for (const Extent& extent : architecture->extents) activations += extent.size();
  const uint64_t batch = spec.local().mode() == LocalSection::EPOCHS
                             ? std::min<uint64_t>(spec.local().batch_size(), records_each)
                             : 4;
  return 3 * activations * kFloat * std::clamp<uint64_t>(batch, 4, kMostRecordsAtOnce);
}

bool ReadNumber(const std::string& path, uint64_t* number) {
  const absl::StatusOr<std::string> text = ReadFile(path, 4096);
  if (!text.ok()) return false;
  char* end = nullptr;
  *number = std::strtoull(text->c_str(), &end, 10);
  return end != text->c_str();  // "max" is none
}

// The number after `key` in lines such as "MemAvailable:  23 kB" and "inactive_file 23".
uint64_t NumberAfter(const std::string& text, const std::string& key) {
  for (size_t line = 0; line < text.size(); line = text.find('\n', line) + 1) {
    if (text.compare(line, key.size(), key) == 0) {
      return std::strtoull(text.c_str() + line + key.size(), nullptr, 10);
    }
    if (text.find('\n', line) == std::string::npos) break;
  }
  return 0;
}

void Lower(uint64_t bytes, const char* limit, FreeMemory* free) {
  if (bytes < free->bytes) *free = {bytes, limit};
}

// What one control group leaves: pages of files can be given back.
void LowerByGroup(const std::string& folder, const char* limit, const char* usage,
                  FreeMemory* free) {
  uint64_t most = 0, used = 0;
  if (!ReadNumber(folder + "/" + limit, &most) || !ReadNumber(folder + "/" + usage, &used)) return;
  const std::string stat = ReadFile(folder + "/memory.stat", 1 << 20).value_or("");
  const uint64_t file =
      std::max(NumberAfter(stat, "inactive_file "), NumberAfter(stat, "total_inactive_file "));
  used -= std::min(used, file);
  Lower(most > used ? most - used : 0, "of its control group", free);
}

// The group at `path` below `mount` and all above it.
void LowerByGroups(const std::string& mount, std::string path, const char* limit, const char* usage,
                   FreeMemory* free) {
  for (;;) {
    LowerByGroup(mount + path, limit, usage, free);
    if (path.empty() || path == "/") return;
    path.resize(path.rfind('/'));
  }
}

void LowerByControlGroups(const std::string& root, FreeMemory* free) {
  const std::string groups = ReadFile(root + "/proc/self/cgroup", 1 << 16).value_or("");
  for (size_t line = 0; line < groups.size();) {
    const size_t end = std::min(groups.find('\n', line), groups.size());
    const std::string text = groups.substr(line, end - line);  // "4:memory:/path"
    line = end + 1;
    const size_t first = text.find(':'), second = text.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = text.substr(first + 1, second - first - 1);
    const std::string path = text.substr(second + 1);
    if (!path.empty() && path[0] != '/') continue;
    if (controllers.empty()) {
      LowerByGroups(root + "/sys/fs/cgroup", path, "memory.max", "memory.current", free);
    } else if (controllers == "memory") {
      LowerByGroups(root + "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
                    "memory.usage_in_bytes", free);
    }
  }
}

void LowerByLimit(int resource, uint64_t used, FreeMemory* free) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  Lower(limit.rlim_cur > used ? limit.rlim_cur - used : 0, "of ulimit", free);
}

}  // namespace

uint64_t MemoryEstimate::total() const {
  uint64_t sum = 0;
  for (const Part& part : parts) sum += part.bytes;
  return sum;
}

uint64_t DatasetBytes(const Dataset& data) {
  return data.features.size() + (data.numbers.size() + data.labels.size()) * kFloat;
}

absl::StatusOr<MemoryEstimate> EstimateMemory(const FederationSpec& spec, const RoundTerms& terms,
                                              const RunSize& size) {
  DURE_ASSIGN_OR_RETURN(const ModelParts parts, PartsOf(spec.model()));
  const uint64_t dim = parts.whole().dim(), personal = parts.personal().dim();
  const uint64_t cohort = std::min(terms.invited, size.clients);
  const auto threads = static_cast<uint64_t>(std::max(size.threads, 1));
  const uint64_t word = terms.bits <= 32 ? 4 : 8;
  const uint64_t input = terms.coordinates * word;
  MemoryEstimate estimate;
  const auto add = [&](std::string what, std::string remedy, uint64_t bytes) {
    if (bytes > 0) estimate.parts.push_back({std::move(what), std::move(remedy), bytes});
  };
  if (size.program_too) add("the program with LibTorch", "use another machine", kProgramBytes);
  add("the records", "use fewer records", size.data_bytes);
  add(absl::StrCat("who has which of ", size.records, " records"), "use fewer records",
      (size.records + size.clients) * sizeof(uint32_t));
  const uint64_t each = size.records / std::max<uint32_t>(size.clients, 1) + 1;
  add(absl::StrCat("a model, its gradient and its buffers for each of ", threads, " threads"),
      "use fewer --threads",
      threads * (kTrainingBytesANumber * dim + kEncodingBytesANumber * terms.coordinates +
                 ActivationBytes(spec, dim, each)));
  add("the models of the coordinator", "choose a smaller model",
      kModelsOfTheCoordinator * kFloat * dim + (terms.control_variates ? 4 * kFloat * dim : 0));
  if (size.full) {
    add(absl::StrCat("the inputs of ", cohort, " members and their shares, as the protocol runs"),
        "use --secure-aggregation simulate, or a smaller rounds.cohort",
        cohort * (input + uint64_t{terms.neighbours} * kShareBytes) +
            2 * (terms.upload_bytes + terms.download_bytes));
  } else {
    const uint64_t sums = terms.groups > 1 ? terms.groups : threads;
    add(absl::StrCat("sums of ", sums, terms.groups > 1 ? " groups" : " threads"),
        terms.groups > 1 ? "raise secure_aggregation.group_size" : "use fewer --threads",
        sums * input);
  }
  if (size.conspirators > 0) {
    add("the updates of byzantine members who conspire", "choose another attack.kind",
        static_cast<uint64_t>(std::ceil(size.conspirators * static_cast<double>(cohort))) * kFloat *
                terms.dim +
            2 * sizeof(double) * terms.dim);
  }
  const uint64_t state = kFloat * (personal + (terms.control_variates ? terms.dim : 0));
  if (state > 0) {
    const uint64_t attempts = spec.rounds().max_attempts();
    const uint64_t keepers = std::min<uint64_t>(size.clients, cohort * attempts);
    add(absl::StrCat("what ", keepers, " clients keep from round to round"),
        "simulate fewer clients, or drop local.control_variates or model.personal",
        state * (keepers + cohort));
  }
  std::stable_sort(estimate.parts.begin(), estimate.parts.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return estimate;
}

FreeMemory ReadFreeMemory(const std::string& root) {
  FreeMemory free{.bytes = UINT64_MAX, .limit = "of this machine"};
  const std::string info = ReadFile(root + "/proc/meminfo", 1 << 16).value_or("");
  if (const uint64_t kilobytes = NumberAfter(info, "MemAvailable:"); kilobytes > 0) {
    free.bytes = kilobytes * 1024;
  }
  LowerByControlGroups(root, &free);
  const std::string status = ReadFile(root + "/proc/self/status", 1 << 16).value_or("");
  LowerByLimit(RLIMIT_AS, NumberAfter(status, "VmSize:") * 1024, &free);
  LowerByLimit(RLIMIT_DATA, NumberAfter(status, "VmData:") * 1024, &free);
  return free;
}

std::string BytesInWords(uint64_t bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  for (; amount >= 999.5 && unit + 1 < std::size(units); ++unit) amount /= 1000;
  return absl::StrFormat("%.3g %s", amount, units[unit]);
}

absl::Status CheckFits(const MemoryEstimate& estimate, const FreeMemory& free, int processes) {
  const auto count = static_cast<uint64_t>(std::max(processes, 1));
  const uint64_t each = free.bytes / count;
  if (estimate.total() <= each || estimate.parts.empty()) return absl::OkStatus();
  const MemoryEstimate::Part& most = estimate.parts.front();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the run takes about ", BytesInWords(estimate.total()), " of memory",
      count > 1 ? absl::StrCat(" in each of ", count, " processes") : "", ", and ",
      BytesInWords(free.bytes), " ", free.limit, " ", count > 1 ? "are free for all" : "are free",
      "; most of it, ", BytesInWords(most.bytes), ", are ", most.what, ": ", most.remedy));
}

absl::StatusOr<std::string> SimulatedInWords(const FederationSpec& spec, const RoundTerms& terms,
                                             const RunSize& size, const FreeMemory& free) {
  DURE_ASSIGN_OR_RETURN(const MemoryEstimate estimate, EstimateMemory(spec, terms, size));
  RunSize whole = size;
  whole.full = true;
  DURE_ASSIGN_OR_RETURN(const MemoryEstimate full, EstimateMemory(spec, terms, whole));
  std::string text =
      absl::StrCat(size.clients, size.clients == 1 ? " client" : " clients", " on ", size.threads,
                   size.threads == 1 ? " thread" : " threads", " take about ",
                   BytesInWords(estimate.total()), " of memory, ", BytesInWords(full.total()),
                   " with --secure-aggregation full, and the records besides; ",
                   BytesInWords(free.bytes), " ", free.limit, " are free.");
  if (!CheckFits(estimate, free).ok()) {
    absl::StrAppend(&text, " That is too much: most of it, ",
                    BytesInWords(estimate.parts.front().bytes), ", are ",
                    estimate.parts.front().what, "; ", estimate.parts.front().remedy, ".");
  }
  return text;
}

}  // namespace dure::simulation
