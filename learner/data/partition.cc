// SplitRecords: who gets what.
#include "learner/data/partition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <queue>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "crypto/random.h"

namespace dure {
namespace {

constexpr double kMinAlpha = 1e-3;
constexpr double kMaxAlpha = 1e6;
constexpr uint32_t kMaxShardsPerClient = 10'000;
constexpr uint8_t kKeepPurpose = 1;
constexpr size_t kMaxShownBytes = 80;

// Whose each record is.
using Owners = std::vector<uint32_t>;

// Deterministic draws for a split; std:: distributions differ between standard libraries.
class SplitRandom {
 public:
  // Streams of other purposes have nothing to do with each other.
  explicit SplitRandom(uint64_t seed, uint8_t purpose = 0) : stream_(SeedBytes(seed, purpose)) {}

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

  void Shuffle(std::span<uint32_t> values) {  // Fisher and Yates
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }

 private:
  static AesCtrRandom::Seed SeedBytes(uint64_t seed, uint8_t purpose) {
    AesCtrRandom::Seed bytes = {};
    bytes[8] = purpose;
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

// Gives pieces of `order` to the clients, sizes equal within one.
Owners DealEvenly(std::span<const uint32_t> order, uint32_t clients) {
  Owners owners(order.size());
  for (uint32_t c = 0; c < clients; ++c) {
    auto [begin, end] = Piece(order.size(), clients, c);
    for (size_t i = begin; i < end; ++i) owners[order[i]] = c;
  }
  return owners;
}

Owners SplitIid(size_t records, uint32_t clients, SplitRandom& random) {
  std::vector<uint32_t> order = Iota(records);
  random.Shuffle(order);
  return DealEvenly(order, clients);
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

// Calls take(client, begin, end) with the range of each client of `count` values shared out by
// `shares`, which add up to 1.
template <typename Take>
void ShareOut(size_t count, std::span<const double> shares, Take take) {
  double cumulative = 0;
  size_t begin = 0;
  for (uint32_t c = 0; c < shares.size(); ++c) {
    cumulative += shares[c];
    const size_t end =
        c + 1 == shares.size()
            ? count
            : std::clamp(static_cast<size_t>(cumulative * static_cast<double>(count) + 0.5), begin,
                         count);
    take(c, begin, end);
    begin = end;
  }
}

// Who got nothing takes a record of whoever has most: the last that was dealt to it. `dealt` are
// the records in the order in which they were dealt. records >= clients.
void GiveEachOne(std::span<const uint32_t> dealt, uint32_t clients, Owners& owners) {
  std::vector<uint32_t> begins(size_t{clients} + 1);
  for (const uint32_t owner : owners) ++begins[owner + 1];
  std::vector<uint32_t> sizes(begins.begin() + 1, begins.end());
  if (std::find(sizes.begin(), sizes.end(), 0) == sizes.end()) return;
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<uint32_t> by_client(owners.size());
  std::vector<uint32_t> next(begins.begin(), begins.end() - 1);
  for (const uint32_t record : dealt) by_client[next[owners[record]]++] = record;
  const auto fewer = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  };
  std::vector<std::pair<uint32_t, uint32_t>> first;  // size, client
  for (uint32_t c = 0; c < clients; ++c) first.emplace_back(sizes[c], c);
  std::priority_queue largest(fewer, std::move(first));
  for (uint32_t c = 0; c < clients; ++c) {
    if (sizes[c] != 0) continue;
    const auto [size, donor] = largest.top();
    largest.pop();
    owners[by_client[begins[donor] + size - 1]] = c;
    largest.emplace(size - 1, donor);
  }
}

Owners SplitDirichlet(std::span<const float> labels, uint32_t clients, double alpha,
                      SplitRandom& random) {
  std::map<float, std::vector<uint32_t>> classes;
  for (size_t i = 0; i < labels.size(); ++i) classes[labels[i]].push_back(static_cast<uint32_t>(i));
  Owners owners(labels.size());
  std::vector<uint32_t> dealt;
  dealt.reserve(labels.size());
  for (auto& [label, members] : classes) {
    random.Shuffle(members);
    const std::vector<double> shares = DrawDirichlet(clients, alpha, random);
    ShareOut(members.size(), shares, [&](uint32_t c, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) owners[members[i]] = c;
    });
    dealt.insert(dealt.end(), members.begin(), members.end());
  }
  GiveEachOne(dealt, clients, owners);
  return owners;
}

Owners SplitQuantity(size_t records, uint32_t clients, double alpha, SplitRandom& random) {
  std::vector<uint32_t> order = Iota(records);
  random.Shuffle(order);
  const std::vector<double> shares = DrawDirichlet(clients, alpha, random);
  Owners owners(records);
  for (uint32_t c = 0; c < clients; ++c) owners[order[c]] = c;
  const std::span<const uint32_t> rest = std::span(order).subspan(clients);
  ShareOut(rest.size(), shares, [&](uint32_t c, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) owners[rest[i]] = c;
  });
  return owners;
}

absl::StatusOr<Owners> SplitShards(std::span<const float> labels, uint32_t clients,
                                   uint32_t per_client, SplitRandom& random) {
  const uint64_t shards = uint64_t{clients} * per_client;
  if (shards > labels.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        labels.size(), " records are too few for ", clients, " clients with ", per_client,
        " shards each: at least ", shards, "; split among fewer clients, or into fewer shards"));
  }
  std::vector<uint32_t> order = Iota(labels.size());
  random.Shuffle(order);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return labels[a] < labels[b]; });
  std::vector<uint32_t> deal = Iota(shards);
  random.Shuffle(deal);
  Owners owners(labels.size());
  for (size_t i = 0; i < shards; ++i) {
    auto [begin, end] = Piece(order.size(), shards, deal[i]);
    for (size_t at = begin; at < end; ++at) {
      owners[order[at]] = static_cast<uint32_t>(i / per_client);
    }
  }
  return owners;
}

// Values in the order of their bytes, dealt to the clients one after the other.
absl::StatusOr<Partition> SplitByValues(const SplitRequest& request) {
  if (request.values == nullptr) {
    return absl::InvalidArgumentError("by:COLUMN splits tables only");
  }
  const size_t values = request.values->names.size();
  const size_t clients = request.clients == 0 ? values : request.clients;
  if (clients > request.most_clients || values < clients) {
    return absl::InvalidArgumentError(
        absl::StrCat("the column has ", values, " values, for ", clients,
                     " clients: each needs one at least, and there may be ", request.most_clients,
                     " clients at most"));
  }
  Owners owners(request.labels.size());
  for (size_t i = 0; i < owners.size(); ++i) {
    owners[i] = request.values->of[i] % static_cast<uint32_t>(clients);
  }
  return Partition(owners, static_cast<uint32_t>(clients));
}

absl::StatusOr<Partition> SplitByFile(const SplitRequest& request) {
  const auto& path = std::get<FilePartition>(request.spec).path;
  const uint32_t largest = *std::max_element(request.owners.begin(), request.owners.end());
  const uint32_t clients = request.clients == 0 ? largest + 1 : request.clients;
  if (clients > request.most_clients) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", clients, " clients, limit ", request.most_clients));
  }
  if (largest >= clients) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " gives records to client ", largest, ", and ", clients,
                     " clients are 0 to ", clients - 1, ": leave the number of clients out"));
  }
  std::vector<bool> has(clients);
  for (const uint32_t owner : request.owners) has[owner] = true;
  const auto without = std::find(has.begin(), has.end(), false);
  if (without != has.end()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " gives no record to client ",
                                                   without - has.begin(), " of ", clients,
                                                   ": number the clients from 0 without a gap"));
  }
  return Partition(request.owners, clients);
}

absl::StatusOr<Partition> SplitAtRandom(const SplitRequest& request) {
  const std::span<const float> labels = request.labels;
  const uint32_t clients = request.clients;
  if (clients < 1 || clients > request.most_clients) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a split among ", clients, " clients: it must be 1 to ", request.most_clients));
  }
  if (labels.size() < clients) {
    return absl::InvalidArgumentError(absl::StrCat(
        labels.size(), " records are too few for ", clients,
        " clients: each needs at least one; split among fewer clients, or take more records"));
  }
  SplitRandom random(request.seed);
  Owners owners;
  if (const auto* dirichlet = std::get_if<DirichletPartition>(&request.spec)) {
    owners = SplitDirichlet(labels, clients, dirichlet->alpha, random);
  } else if (const auto* quantity = std::get_if<QuantityPartition>(&request.spec)) {
    owners = SplitQuantity(labels.size(), clients, quantity->alpha, random);
  } else if (const auto* shards = std::get_if<ShardPartition>(&request.spec)) {
    DURE_ASSIGN_OR_RETURN(owners, SplitShards(labels, clients, shards->per_client, random));
  } else if (std::holds_alternative<ContiguousPartition>(request.spec)) {
    owners = DealEvenly(Iota(labels.size()), clients);
  } else {
    owners = SplitIid(labels.size(), clients, random);
  }
  return Partition(owners, clients);
}

}  // namespace

Partition::Partition(std::span<const uint32_t> owners, uint32_t clients)
    : records_(owners.size()), begins_(size_t{clients} + 1) {
  for (const uint32_t owner : owners) {
    DURE_CHECK(owner < clients);
    ++begins_[owner + 1];
  }
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  std::vector<uint32_t> next(begins_.begin(), begins_.end() - 1);
  for (size_t i = 0; i < owners.size(); ++i) {
    records_[next[owners[i]]++] = static_cast<uint32_t>(i);
  }
}

void Partition::KeepAtMost(uint64_t most, uint64_t seed) {
  SplitRandom random(seed, kKeepPurpose);
  uint32_t kept = 0;
  for (uint32_t client = 0; client < clients(); ++client) {
    const std::span<uint32_t> all =
        std::span(records_).subspan(begins_[client], begins_[client + 1] - begins_[client]);
    // Of everybody, so that nothing depends on who has more than `most`.
    random.Shuffle(all);
    const size_t left = std::min<uint64_t>(all.size(), most);
    std::sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(left));
    std::copy_n(all.begin(), left, records_.begin() + kept);
    begins_[client] = kept;
    kept += static_cast<uint32_t>(left);
  }
  begins_.back() = kept;
  records_.resize(kept);
  records_.shrink_to_fit();
}

absl::StatusOr<PartitionSpec> ParsePartition(std::string_view text) {
  auto fault = [&](const std::string& why) {
    return absl::InvalidArgumentError(
        absl::StrCat("partition \"", Printable(text, kMaxShownBytes), "\": ", why,
                     " (iid, contiguous, dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN or "
                     "file:PATH)"));
  };
  if (text == "iid") return IidPartition{};
  if (text == "contiguous") return ContiguousPartition{};
  if (text.starts_with("by:") && text.size() > 3) return ByPartition{std::string(text.substr(3))};
  if (text.starts_with("file:") && text.size() > 5) {
    return FilePartition{std::string(text.substr(5))};
  }
  const size_t colon = text.find(':');
  std::string_view kind = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const absl::string_view number(value.data(), value.size());
  if (kind == "dirichlet" || kind == "quantity") {
    double alpha = 0;
    if (!absl::SimpleAtod(number, &alpha) || !(alpha >= kMinAlpha && alpha <= kMaxAlpha)) {
      return fault(absl::StrCat("ALPHA must be a number from ", kMinAlpha, " to ", kMaxAlpha));
    }
    if (kind == "quantity") return QuantityPartition{alpha};
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
  if (kind == "by" || kind == "file") {
    return fault(absl::StrCat(kind == "by" ? "COLUMN" : "PATH", " is missing"));
  }
  return fault("unknown kind");
}

std::string PartitionToString(const PartitionSpec& spec) {
  if (const auto* dirichlet = std::get_if<DirichletPartition>(&spec)) {
    return absl::StrCat("dirichlet:", dirichlet->alpha);
  }
  if (const auto* quantity = std::get_if<QuantityPartition>(&spec)) {
    return absl::StrCat("quantity:", quantity->alpha);
  }
  if (const auto* shards = std::get_if<ShardPartition>(&spec)) {
    return absl::StrCat("shards:", shards->per_client);
  }
  if (const auto* by = std::get_if<ByPartition>(&spec)) return absl::StrCat("by:", by->column);
  if (const auto* file = std::get_if<FilePartition>(&spec))
    return absl::StrCat("file:", file->path);
  if (std::holds_alternative<ContiguousPartition>(spec)) return "contiguous";
  return "iid";
}

absl::StatusOr<Partition> SplitRecords(const SplitRequest& request) {
  if (request.labels.empty()) {
    return absl::InvalidArgumentError("there is no record to split: every client needs one");
  }
  Partition partition;
  if (std::holds_alternative<ByPartition>(request.spec)) {
    DURE_ASSIGN_OR_RETURN(partition, SplitByValues(request));
  } else if (std::holds_alternative<FilePartition>(request.spec)) {
    DURE_ASSIGN_OR_RETURN(partition, SplitByFile(request));
  } else {
    DURE_ASSIGN_OR_RETURN(partition, SplitAtRandom(request));
  }
  if (request.most_records > 0) partition.KeepAtMost(request.most_records, request.seed);
  return partition;
}

}  // namespace dure
