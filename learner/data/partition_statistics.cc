#include "learner/data/partition_statistics.h"

#include <algorithm>
#include <map>

namespace dure {
namespace {

// Sorts `values`.
Spread SpreadOf(std::vector<uint64_t> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median = values.size() % 2 == 1 ? static_cast<double>(values[half])
                                               : static_cast<double>(values[half - 1]) / 2 +
                                                     static_cast<double>(values[half]) / 2;
  return {.least = values.front(), .median = median, .most = values.back()};
}

std::vector<uint64_t> Sizes(const Partition& partition) {
  std::vector<uint64_t> sizes(partition.clients());
  for (uint32_t i = 0; i < partition.clients(); ++i) sizes[i] = partition.Of(i).size();
  return sizes;
}

}  // namespace

PartitionStatistics StatisticsOf(const Partition& partition, std::span<const float> labels,
                                 uint64_t classes) {
  PartitionStatistics statistics{.clients = partition.clients(), .records = partition.records()};
  if (partition.clients() == 0) return statistics;
  statistics.sizes = SpreadOf(Sizes(partition));
  if (classes == 0 || partition.records() == 0) return statistics;
  const auto label_of = [&](uint32_t record) { return static_cast<size_t>(labels[record]); };
  statistics.shares.resize(classes);
  for (uint32_t client = 0; client < partition.clients(); ++client) {
    for (const uint32_t record : partition.Of(client)) statistics.shares[label_of(record)] += 1;
  }
  for (double& share : statistics.shares) share /= static_cast<double>(partition.records());
  std::vector<uint64_t> different(partition.clients());
  double skew = 0;
  std::map<size_t, uint64_t> counts;
  for (uint32_t client = 0; client < partition.clients(); ++client) {
    counts.clear();
    const std::span<const uint32_t> records = partition.Of(client);
    for (const uint32_t record : records) ++counts[label_of(record)];
    different[client] = counts.size();
    // Half the sum of all differences is the sum of those above 0: of labels that are there.
    for (const auto& [label, count] : counts) {
      const double share = static_cast<double>(count) / static_cast<double>(records.size());
      skew += std::max(0.0, share - statistics.shares[label]);
    }
  }
  statistics.labels = SpreadOf(std::move(different));
  statistics.label_skew = skew / partition.clients();
  return statistics;
}

std::vector<SizeBar> SizeHistogram(const Partition& partition, uint32_t bars) {
  const std::vector<uint64_t> sizes = Sizes(partition);
  if (sizes.empty() || bars == 0) return {};
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  const uint64_t width = (*most - *least) / bars + 1;
  std::vector<SizeBar> histogram;
  for (uint64_t from = *least; from <= *most; from += width) {
    histogram.push_back({.from = from, .to = std::min(from + width - 1, *most)});
  }
  for (const uint64_t size : sizes) ++histogram[(size - *least) / width].clients;
  return histogram;
}

}  // namespace dure
