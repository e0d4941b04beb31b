// Federated statistics: which numbers a record adds to the sums of every column, and what the sums
// say of the columns (docs/statistics.md). A record adds numbers from 0 to 1:
//
//   1                                              records
//   numeric column    1, x, x^2, one bar's 1       x = (value - low) / (high - low) within 0 to 1
//   categorical column    one category's 1
//   the label             as a categorical or a numeric column
//
// and nothing where its value is missing. So its vector has a known largest L2 norm, whatever it
// holds: what noise is calibrated on. Sums are of integers, in units of 2^-grid: the order of the
// records does not matter. Thread-safe: values and pure functions.
#ifndef DURE_LEARNER_DATA_COLUMN_SUMS_H_
#define DURE_LEARNER_DATA_COLUMN_SUMS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/data/schema.h"
#include "learner/data/table.h"

namespace dure {

inline constexpr uint32_t kMaxBins = 100;
// Most numbers in the sums of one federation.
inline constexpr uint64_t kMaxColumnSums = uint64_t{1} << 20;
// Finest grid of a sum: with kMaxDatasetRecords records it stays below 2^62.
inline constexpr int kMaxSumsGridLog2 = 38;

// What a numeric column's values become: (value - mean) / deviation.
struct Standard {
  double mean = 0;
  double deviation = 1;

  friend bool operator==(const Standard&, const Standard&) = default;
};
// One for each numeric column of a schema, in its order.
using Standardisation = std::vector<Standard>;

// What the sums say of one column. With noise, counts are what is nearest to the noised number that
// can be: not below 0, shares from 0 to 1.
struct ColumnStatistics {
  std::string name;
  ColumnKind kind = ColumnKind::kNumeric;
  double present = 0;       // records that have a value
  double missing_rate = 0;  // share of the records that have none
  // Numeric, in the column's own unit.
  std::optional<ValueRange> range;
  double mean = 0;
  double deviation = 0;   // not below the range / 1024, nor below what the noise would hide
  double mean_error = 0;  // standard deviation of the noise in `mean`
  std::vector<double> bars;
  // Categorical.
  std::vector<std::string> categories;
  std::vector<double> counts;
};

struct FederatedStatistics {
  double records = 0;
  double noise = 0;                       // standard deviation of the noise in each count; 0: exact
  std::vector<ColumnStatistics> columns;  // of the schema, without those ignored
  ColumnStatistics label;
};

class ColumnSums {
 public:
  // FailedPrecondition, naming the column and the remedy, if a numeric column or label has no
  // range; ResourceExhausted above kMaxColumnSums.
  static absl::StatusOr<ColumnSums> Create(Schema schema, uint32_t bins);

  // How many numbers the sums have.
  uint64_t size() const { return size_; }
  // The largest L2 norm of what one record adds, rounded up.
  double norm() const { return norm_; }
  const Schema& schema() const { return schema_; }

  // Sums over all records of `table`, which was read by schema() (DURE_CHECK on its columns):
  // size() integers in units of 2^-grid_log2, cut off below. Precondition: 0 <= grid_log2 <=
  // kMaxSumsGridLog2.
  std::vector<int64_t> Add(const Table& table, int grid_log2) const;

  // What opened sums, size() numbers of which 1 is one record, mean. `noise` is their standard
  // deviation by the noise, 0 without.
  FederatedStatistics Read(std::span<const double> sums, double noise) const;

  // How numeric columns are standardised by `statistics`, which Read gave.
  static Standardisation StandardisationOf(const FederatedStatistics& statistics);

 private:
  ColumnSums(Schema schema, uint32_t bins) : schema_(std::move(schema)), bins_(bins) {}
  uint64_t SizeOf(ColumnKind kind, size_t words) const;
  void AddValue(const ValueRange& range, double value, int grid_log2, int64_t* out) const;
  ColumnStatistics ReadNumeric(const ValueRange& range, std::span<const double> sums,
                               const FederatedStatistics& all) const;

  Schema schema_;
  uint32_t bins_;
  uint64_t size_ = 0;
  double norm_ = 0;
};

// `schema` with `standards`, one for each of its numeric columns (DURE_CHECK), in the place of what
// it states.
Schema StandardisedBy(Schema schema, const Standardisation& standards);
// Where nothing is known yet: the middle of each range, and its width.
Standardisation StandardisationOfRanges(const Schema& schema);

// 16 bytes for each numeric column: mean and deviation, binary64, little-endian.
std::string StandardisationToBytes(const Standardisation& standards);
// InvalidArgument unless there are as many as numeric columns of `schema`, which have ranges, each
// mean is in the range and each deviation above 0 and not above its width.
absl::StatusOr<Standardisation> StandardisationFromBytes(std::string_view bytes,
                                                         const Schema& schema);

// Most numbers that the sums of any schema with `features` features, a label of `classes` classes
// (1: a number, or two) and `bins` bars can have, and the largest norm: for accounts that are made
// before the schema is known.
struct ColumnSumsBound {
  uint64_t sums = 0;
  double norm = 0;
};
ColumnSumsBound BoundOfColumnSums(uint64_t features, uint32_t classes, uint32_t bins);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_COLUMN_SUMS_H_
