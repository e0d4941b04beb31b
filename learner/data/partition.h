// Splits one dataset among clients, for demonstrations and simulations: every record goes to
// exactly one client, every client gets at least one record, and the same seed gives the same
// split on every machine. Not for private data: a seed is no secret here. Thread-safe.
#ifndef DURE_LEARNER_DATA_PARTITION_H_
#define DURE_LEARNER_DATA_PARTITION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "learner/data/schema.h"

namespace dure {

inline constexpr uint32_t kMaxPartitionClients = 10'000;

// Sizes equal within one, records at random.
struct IidPartition {};
// Label skew (Hsu, Qi and Brown 2019): the shares of each class over the clients are drawn from
// Dirichlet(alpha). Small alpha: each client sees few classes.
struct DirichletPartition {
  double alpha = 1.0;  // 1e-3 to 1e6
};
// Pathological skew (McMahan et al. 2017): records sorted by label, cut into clients * per_client
// shards of equal size within one, each client dealt `per_client` of them.
struct ShardPartition {
  uint32_t per_client = 2;
};
// Consecutive records, sizes equal within one; of a text, consecutive pieces of it.
struct ContiguousPartition {};
// Tables: all records with one value of a column go to one client; the values, sorted by their
// bytes, are dealt one after the other.
struct ByPartition {
  std::string column;
};
using PartitionSpec = std::variant<IidPartition, DirichletPartition, ShardPartition,
                                   ContiguousPartition, ByPartition>;

// "iid", "contiguous", "dirichlet:ALPHA", "shards:K" or "by:COLUMN". InvalidArgument with what is
// possible.
absl::StatusOr<PartitionSpec> ParsePartition(std::string_view text);
std::string PartitionToString(const PartitionSpec& spec);

// For each client its records, ascending. InvalidArgument if there are fewer records (or shards)
// than clients, no client, or more than kMaxPartitionClients, or for by:COLUMN.
absl::StatusOr<std::vector<std::vector<uint32_t>>> PartitionRecords(std::span<const float> labels,
                                                                    uint32_t clients,
                                                                    const PartitionSpec& spec,
                                                                    uint64_t seed);

struct PartitionRequest {
  std::string source;              // a data folder, or a CSV file or text
  std::optional<Schema> schema{};  // of a CSV file
  uint32_t clients = 0;            // 0 with by:COLUMN: one for each value
  PartitionSpec spec;
  uint64_t seed = 0;
  std::string out;  // made if it is not there; must hold no earlier partition
  std::function<bool()> stopped = [] { return false; };  // asked before each folder
};

struct PartitionReport {
  struct Folder {
    std::string path;
    uint64_t records = 0;                // of a text, bytes
    std::vector<uint64_t> label_counts;  // all of one length: the classes of the source; none of
                                         // a text, or where labels are numbers to predict
  };
  std::vector<Folder> members;
  std::vector<Folder> held_out;  // empty or one: the t10k part of the source, if it has one
};

// Writes out/member-01, member-02, … (as many digits as the last needs, at least two), each a data
// folder of its own, out/heldout if the source has a held-out part, and out/partition.json with
// what the report says. A table is split by its lines, each as it stands but for its quotes, a text
// (contiguous only) at line breaks, or between characters where there are too few. InvalidArgument
// for a way to split that the data cannot bear. AlreadyExists if out/member-01 or its like is
// there. Everything is written to out/.unfinished first, and a failure leaves nothing behind.
// Cancelled if it was stopped.
absl::StatusOr<PartitionReport> PartitionIntoFolders(const PartitionRequest& request);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_PARTITION_H_
