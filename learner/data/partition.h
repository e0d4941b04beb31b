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

// Most clients with a folder each, and in memory.
inline constexpr uint32_t kMaxPartitionClients = 10'000;
inline constexpr uint32_t kMaxSimulatedClients = 1'000'000;
// Of file:PATH.
inline constexpr uint64_t kMaxPartitionFileBytes = uint64_t{256} << 20;

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
// Quantity skew (Li, Diao, Chen and He 2022): what clients have beyond one record each is shared
// out by Dirichlet(alpha), records at random.
struct QuantityPartition {
  double alpha = 1.0;  // 1e-3 to 1e6
};
// Tables: all records with one value of a column go to one client; the values, sorted by their
// bytes, are dealt one after the other.
struct ByPartition {
  std::string column;
};
// A file says which client has which record (docs/formats/data.md).
struct FilePartition {
  std::string path;
};
using PartitionSpec =
    std::variant<IidPartition, DirichletPartition, ShardPartition, ContiguousPartition,
                 QuantityPartition, ByPartition, FilePartition>;

// "iid", "contiguous", "dirichlet:ALPHA", "shards:K", "quantity:ALPHA", "by:COLUMN" or "file:PATH".
// InvalidArgument with what is possible.
absl::StatusOr<PartitionSpec> ParsePartition(std::string_view text);
std::string PartitionToString(const PartitionSpec& spec);

// Which client has which records: one array of record numbers, each client a range of it.
class Partition {
 public:
  Partition() : begins_{0} {}
  // Record i is that of client owners[i] < clients. Precondition (DURE_CHECK).
  Partition(std::span<const uint32_t> owners, uint32_t clients);

  uint32_t clients() const { return static_cast<uint32_t>(begins_.size() - 1); }
  // Of all clients together.
  uint64_t records() const { return records_.size(); }
  // The records of client < clients(), ascending.
  std::span<const uint32_t> Of(uint32_t client) const {
    return std::span(records_).subspan(begins_[client], begins_[client + 1] - begins_[client]);
  }
  uint64_t bytes() const {
    return records_.size() * sizeof(records_[0]) + begins_.size() * sizeof(begins_[0]);
  }

  // Leaves each client `most` of its records at random, the same and more for a larger `most`.
  void KeepAtMost(uint64_t most, uint64_t seed);

 private:
  std::vector<uint32_t> records_;
  std::vector<uint32_t> begins_;  // of each client's range, and where the last one ends
};

// The values of a column, each value once.
struct ColumnValues {
  std::vector<std::string> names;  // sorted by their bytes
  std::vector<uint32_t> of;        // record i has names[of[i]]
};

struct SplitRequest {
  std::span<const float> labels;  // one a record
  uint32_t clients = 0;           // 0 with by:COLUMN and file:PATH: as many as there are
  PartitionSpec spec;
  uint64_t seed = 0;
  uint64_t most_records = 0;  // of one client; 0: all
  uint32_t most_clients = kMaxPartitionClients;
  const ColumnValues* values = nullptr;  // with by:COLUMN
  std::span<const uint32_t> owners{};    // with file:PATH, of ReadOwners
};
// InvalidArgument, with the numbers, if there are fewer records (or shards, or values) than
// clients, no client, too many clients, or a client that would have no record.
absl::StatusOr<Partition> SplitRecords(const SplitRequest& request);

// What by:COLUMN needs: the values of a column of the table. InvalidArgument if `files` are no
// table, or it has no such column.
absl::StatusOr<ColumnValues> ReadColumnValues(const DataFiles& files, const Schema& schema,
                                              const std::string& column);
// What file:PATH needs: the client of each of `records` records. A file with a line for each
// record, the number of its client from 0, or a CSV file with the column `client`. InvalidArgument,
// with FILE:LINE, for anything else, and if there are more or fewer lines than records.
absl::StatusOr<std::vector<uint32_t>> ReadOwners(const std::string& path, uint64_t records);
absl::StatusOr<std::vector<uint32_t>> OwnersFromText(std::string_view text, std::string_view name,
                                                     uint64_t records);

// Splits what was read of `files` into `data`, whose labels are `classes` classes, or numbers if
// that is 0. `request.labels`, `values` and `owners` are filled in here. Errors as the three above;
// InvalidArgument also where labels are no classes and the way to split deals out classes.
absl::StatusOr<Partition> PartitionDataset(const DataFiles& files, const Dataset& data,
                                           uint64_t classes, SplitRequest request);
// The same of records whose labels are known; `schema` is that of a table, else null.
absl::StatusOr<Partition> PartitionLabels(const DataFiles& files, const Schema* schema,
                                          std::span<const float> labels, uint64_t classes,
                                          SplitRequest request);

struct PartitionRequest {
  std::string source;              // a data folder, or a CSV file or text
  std::optional<Schema> schema{};  // of a CSV file
  uint32_t clients = 0;            // 0 with by:COLUMN and file:PATH: as many as there are
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
