#include "learner/data/partition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/random.h"

namespace dure {
namespace {

constexpr double kMinAlpha = 1e-3;
constexpr double kMaxAlpha = 1e6;
constexpr uint32_t kMaxShardsPerClient = 10'000;

using Groups = std::vector<std::vector<uint32_t>>;

// Deterministic draws for a split; std:: distributions differ between standard libraries.
class SplitRandom {
 public:
  explicit SplitRandom(uint64_t seed) : stream_(SeedBytes(seed)) {}

  // Uniform on [0, bound), by rejection.
  uint64_t Below(uint64_t bound) {
    const uint64_t unbiased = bound * (UINT64_MAX / bound);
    for (;;) {
      uint64_t value = stream_.NextU64();
      if (value < unbiased) return value % bound;
    }
  }

  // Uniform on (0, 1).
  double Unit() { return (static_cast<double>(stream_.NextU64() >> 11) + 0.5) * 0x1p-53; }

  double Normal() {  // Box and Muller 1958
    return std::sqrt(-2 * std::log(Unit())) * std::cos(2 * std::numbers::pi * Unit());
  }

  // The logarithm of a Gamma(shape, 1) draw (Marsaglia and Tsang 2000), since small shapes
  // underflow: below 1 it is Gamma(shape + 1) U^(1 / shape), section 6 there.
  double LogGamma(double shape) {
    if (shape < 1) return LogGamma(shape + 1) + std::log(Unit()) / shape;
    const double d = shape - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (;;) {
      double x = Normal();
      double v = 1 + c * x;
      if (v <= 0) continue;
      v = v * v * v;
      if (std::log(Unit()) < x * x / 2 + d - d * v + d * std::log(v)) return std::log(d * v);
    }
  }

  void Shuffle(std::vector<uint32_t>& values) {  // Fisher and Yates
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }

 private:
  static AesCtrRandom::Seed SeedBytes(uint64_t seed) {
    AesCtrRandom::Seed bytes = {};
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(seed >> (8 * i));
    return bytes;
  }

  AesCtrRandom stream_;
};

std::vector<uint32_t> Iota(size_t count) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0u);
  return values;
}

// Piece `i` of `count` values in `pieces` pieces whose sizes differ by at most one.
std::pair<size_t, size_t> Piece(size_t count, size_t pieces, size_t i) {
  return {count * i / pieces, count * (i + 1) / pieces};
}

Groups SplitIid(size_t records, uint32_t clients, SplitRandom& random) {
  std::vector<uint32_t> order = Iota(records);
  random.Shuffle(order);
  Groups groups(clients);
  for (uint32_t c = 0; c < clients; ++c) {
    auto [begin, end] = Piece(records, clients, c);
    groups[c].assign(order.begin() + static_cast<long>(begin),
                     order.begin() + static_cast<long>(end));
  }
  return groups;
}

std::vector<double> DrawDirichlet(uint32_t clients, double alpha, SplitRandom& random) {
  std::vector<double> shares(clients);
  for (double& share : shares) share = random.LogGamma(alpha);
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& share : shares) sum += share = std::exp(share - largest);
  for (double& share : shares) share /= sum;
  return shares;
}

// Who got nothing takes a record of whoever has most. records >= clients.
void GiveEachOne(Groups& groups) {
  auto fewer = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  for (std::vector<uint32_t>& group : groups) {
    if (!group.empty()) continue;
    std::vector<uint32_t>& largest = *std::max_element(groups.begin(), groups.end(), fewer);
    group.push_back(largest.back());
    largest.pop_back();
  }
}

Groups SplitDirichlet(std::span<const float> labels, uint32_t clients, double alpha,
                      SplitRandom& random) {
  std::map<float, std::vector<uint32_t>> classes;
  for (size_t i = 0; i < labels.size(); ++i) classes[labels[i]].push_back(static_cast<uint32_t>(i));
  Groups groups(clients);
  for (auto& [label, members] : classes) {
    random.Shuffle(members);
    std::vector<double> shares = DrawDirichlet(clients, alpha, random);
    double cumulative = 0;
    size_t begin = 0;
    for (uint32_t c = 0; c < clients; ++c) {
      cumulative += shares[c];
      size_t end =
          c + 1 == clients
              ? members.size()
              : std::clamp(
                    static_cast<size_t>(cumulative * static_cast<double>(members.size()) + 0.5),
                    begin, members.size());
      groups[c].insert(groups[c].end(), members.begin() + static_cast<long>(begin),
                       members.begin() + static_cast<long>(end));
      begin = end;
    }
  }
  GiveEachOne(groups);
  return groups;
}

absl::StatusOr<Groups> SplitShards(std::span<const float> labels, uint32_t clients,
                                   uint32_t per_client, SplitRandom& random) {
  const uint64_t shards = uint64_t{clients} * per_client;
  if (shards > labels.size()) {
    return absl::InvalidArgumentError(absl::StrCat(labels.size(), " records are too few for ",
                                                   clients, " clients with ", per_client,
                                                   " shards each: at least ", shards));
  }
  std::vector<uint32_t> order = Iota(labels.size());
  random.Shuffle(order);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return labels[a] < labels[b]; });
  std::vector<uint32_t> deal = Iota(shards);
  random.Shuffle(deal);
  Groups groups(clients);
  for (size_t i = 0; i < shards; ++i) {
    auto [begin, end] = Piece(order.size(), shards, deal[i]);
    std::vector<uint32_t>& group = groups[i / per_client];
    group.insert(group.end(), order.begin() + static_cast<long>(begin),
                 order.begin() + static_cast<long>(end));
  }
  return groups;
}

// Consecutive records, sizes equal within one.
Groups SplitContiguous(size_t records, uint32_t clients) {
  Groups groups(clients);
  for (uint32_t i = 0; i < clients; ++i) {
    auto [begin, end] = Piece(records, clients, i);
    groups[i].resize(end - begin);
    std::iota(groups[i].begin(), groups[i].end(), static_cast<uint32_t>(begin));
  }
  return groups;
}

}  // namespace

absl::StatusOr<PartitionSpec> ParsePartition(std::string_view text) {
  auto fault = [&](const std::string& why) {
    return absl::InvalidArgumentError(
        absl::StrCat("partition \"", absl::string_view(text.data(), text.size()), "\": ", why,
                     " (iid, contiguous, dirichlet:ALPHA, shards:K or by:COLUMN)"));
  };
  if (text == "iid") return IidPartition{};
  if (text == "contiguous") return ContiguousPartition{};
  if (text.starts_with("by:") && text.size() > 3) return ByPartition{std::string(text.substr(3))};
  const size_t colon = text.find(':');
  std::string_view kind = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const absl::string_view number(value.data(), value.size());
  if (kind == "dirichlet") {
    double alpha = 0;
    if (!absl::SimpleAtod(number, &alpha) || !(alpha >= kMinAlpha && alpha <= kMaxAlpha)) {
      return fault(absl::StrCat("ALPHA must be a number from ", kMinAlpha, " to ", kMaxAlpha));
    }
    return DirichletPartition{alpha};
  }
  if (kind == "shards") {
    uint32_t per_client = 0;
    if (!absl::SimpleAtoi(number, &per_client) || per_client < 1 ||
        per_client > kMaxShardsPerClient) {
      return fault(absl::StrCat("K must be from 1 to ", kMaxShardsPerClient));
    }
    return ShardPartition{per_client};
  }
  return fault("unknown kind");
}

std::string PartitionToString(const PartitionSpec& spec) {
  if (const auto* dirichlet = std::get_if<DirichletPartition>(&spec)) {
    return absl::StrCat("dirichlet:", dirichlet->alpha);
  }
  if (const auto* shards = std::get_if<ShardPartition>(&spec)) {
    return absl::StrCat("shards:", shards->per_client);
  }
  if (const auto* by = std::get_if<ByPartition>(&spec)) return absl::StrCat("by:", by->column);
  if (std::holds_alternative<ContiguousPartition>(spec)) return "contiguous";
  return "iid";
}

absl::StatusOr<std::vector<std::vector<uint32_t>>> PartitionRecords(std::span<const float> labels,
                                                                    uint32_t clients,
                                                                    const PartitionSpec& spec,
                                                                    uint64_t seed) {
  if (clients < 1 || clients > kMaxPartitionClients) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a split among ", clients, " clients: it must be 1 to ", kMaxPartitionClients));
  }
  if (labels.size() < clients) {
    return absl::InvalidArgumentError(absl::StrCat(labels.size(), " records are too few for ",
                                                   clients, " clients: each needs at least one"));
  }
  SplitRandom random(seed);
  Groups groups;
  if (const auto* dirichlet = std::get_if<DirichletPartition>(&spec)) {
    groups = SplitDirichlet(labels, clients, dirichlet->alpha, random);
  } else if (const auto* shards = std::get_if<ShardPartition>(&spec)) {
    DURE_ASSIGN_OR_RETURN(groups, SplitShards(labels, clients, shards->per_client, random));
  } else if (std::holds_alternative<ContiguousPartition>(spec)) {
    groups = SplitContiguous(labels.size(), clients);
  } else if (std::holds_alternative<ByPartition>(spec)) {
    return absl::InvalidArgumentError("by:COLUMN splits tables only");
  } else {
    groups = SplitIid(labels.size(), clients, random);
  }
  for (std::vector<uint32_t>& group : groups) std::sort(group.begin(), group.end());
  return groups;
}

}  // namespace dure
