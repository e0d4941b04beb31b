// What a split is like: how many records clients have, and how their labels differ. Thread-safe:
// pure functions.
#ifndef DURE_LEARNER_DATA_PARTITION_STATISTICS_H_
#define DURE_LEARNER_DATA_PARTITION_STATISTICS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "learner/data/partition.h"

namespace dure {

struct Spread {
  uint64_t least = 0;
  double median = 0;
  uint64_t most = 0;
};

struct PartitionStatistics {
  uint32_t clients = 0;
  uint64_t records = 0;
  Spread sizes;  // records a client
  // Where labels are classes:
  Spread labels;               // different ones a client
  std::vector<double> shares;  // of each class among the records of all clients
  // The mean over clients of the total-variation distance between the labels of a client and those
  // of all, 0 to 1: 0 if everybody has the same mixture.
  double label_skew = 0;
};

// `labels` of all records of the dataset; `classes` 0: they are no classes.
PartitionStatistics StatisticsOf(const Partition& partition, std::span<const float> labels,
                                 uint64_t classes);

// Clients with from <= records <= to.
struct SizeBar {
  uint64_t from = 0;
  uint64_t to = 0;
  uint64_t clients = 0;
};
// At most `bars` of them, equally wide, without the empty range beyond the ends.
std::vector<SizeBar> SizeHistogram(const Partition& partition, uint32_t bars);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_PARTITION_STATISTICS_H_
