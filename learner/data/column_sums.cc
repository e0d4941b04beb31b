#include "learner/data/column_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/printable.h"
#include "base/status_macros.h"

namespace dure {
namespace {

// Of a numeric column, before its bars: present, x, x^2.
constexpr uint64_t kMoments = 3;
// What a record adds to the squared norm by a numeric column: 1, x^2, x^4 and its bar.
constexpr uint64_t kNumericNormSq = 4;
// Smallest variance of x that is told apart from none: a deviation of a 1024th of the range.
constexpr double kLeastVariance = 0x1p-20;
// Of x where nothing is known: uniform over the range.
constexpr double kMiddle = 0.5;
constexpr double kUniformVariance = 1.0 / 12;

absl::Status NeedsRange(const std::optional<ValueRange>& range, const std::string& name,
                        const char* what) {
  if (range) return absl::OkStatus();
  const std::string shown = Printable(name, 60);
  return absl::FailedPreconditionError(
      absl::StrCat(what, " \"", shown,
                   "\" has no range, and statistics of numbers need public bounds: add "
                   "\"range LOW HIGH\" to it in the schema (dure data schema --range ",
                   shown, ":LOW:HIGH)"));
}

// `root`^2 is not below `square`.
double RootUp(uint64_t square) {
  const double root = std::sqrt(static_cast<double>(square));
  return root * (1 + 0x1p-40);
}

void PutLittle(double value, std::string* out) {
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int i = 0; i < 8; ++i) out->push_back(static_cast<char>(bits >> (8 * i)));
}

double GetLittle(std::string_view bytes) {
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return std::bit_cast<double>(bits);
}

double Share(double part, double whole) {
  return whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 0;
}

}  // namespace

uint64_t ColumnSums::SizeOf(ColumnKind kind, size_t words) const {
  switch (kind) {
    case ColumnKind::kNumeric:
      return kMoments + bins_;
    case ColumnKind::kCategorical:
      return words;
    case ColumnKind::kIgnored:
      break;
  }
  return 0;
}

absl::StatusOr<ColumnSums> ColumnSums::Create(Schema schema, uint32_t bins) {
  DURE_RETURN_IF_ERROR(CheckSchema(schema));
  if (bins < 1 || bins > kMaxBins) {
    return absl::InvalidArgumentError(
        absl::StrCat("statistics.bins = ", bins, " is outside 1 to ", kMaxBins));
  }
  ColumnSums sums(std::move(schema), bins);
  uint64_t norm_sq = 1;
  sums.size_ = 1;
  for (const SchemaColumn& column : sums.schema_.columns) {
    if (column.kind == ColumnKind::kNumeric) {
      DURE_RETURN_IF_ERROR(NeedsRange(column.range, column.name, "column"));
    }
    sums.size_ += sums.SizeOf(column.kind, column.categories.size());
    norm_sq += column.kind == ColumnKind::kNumeric       ? kNumericNormSq
               : column.kind == ColumnKind::kCategorical ? 1
                                                         : 0;
  }
  const SchemaLabel& label = sums.schema_.label;
  if (label.numeric) DURE_RETURN_IF_ERROR(NeedsRange(label.range, label.name, "the label"));
  sums.size_ += label.numeric ? kMoments + bins : label.classes.size();
  norm_sq += label.numeric ? kNumericNormSq : 1;
  sums.norm_ = RootUp(norm_sq);
  if (sums.size_ > kMaxColumnSums) {
    return absl::ResourceExhaustedError(absl::StrCat("the statistics have ", sums.size_,
                                                     " numbers, limit ", kMaxColumnSums,
                                                     ": lower statistics.bins, or ignore columns"));
  }
  return sums;
}

// Adds what one number of a record says to kMoments + bins_ sums.
void ColumnSums::AddValue(const ValueRange& range, double value, int grid_log2,
                          int64_t* out) const {
  const double x = std::clamp((value - range.low) / (range.high - range.low), 0.0, 1.0);
  const int64_t one = int64_t{1} << grid_log2;
  out[0] += one;
  out[1] += static_cast<int64_t>(std::ldexp(x, grid_log2));
  out[2] += static_cast<int64_t>(std::ldexp(x * x, grid_log2));
  out[kMoments + std::min<uint64_t>(bins_ - 1, static_cast<uint64_t>(x * bins_))] += one;
}

std::vector<int64_t> ColumnSums::Add(const Table& table, int grid_log2) const {
  DURE_CHECK(grid_log2 >= 0 && grid_log2 <= kMaxSumsGridLog2);
  std::vector<int64_t> sums(size_);
  const int64_t one = int64_t{1} << grid_log2;
  sums[0] = static_cast<int64_t>(table.records()) * one;
  uint64_t at = 1;
  size_t used = 0;
  const size_t width = table.used.size();
  for (size_t i = 0; i < schema_.columns.size(); ++i) {
    const SchemaColumn& column = schema_.columns[i];
    if (column.kind == ColumnKind::kIgnored) continue;
    DURE_CHECK(used < width && table.used[used] == i);
    for (uint64_t record = 0; record < table.records(); ++record) {
      const float value = table.values[record * width + used];
      if (std::isnan(value)) continue;
      if (column.kind == ColumnKind::kNumeric) {
        AddValue(*column.range, value, grid_log2, &sums[at]);
      } else {
        DURE_CHECK(value >= 0 && value < static_cast<float>(column.categories.size()));
        sums[at + static_cast<uint64_t>(value)] += one;
      }
    }
    at += SizeOf(column.kind, column.categories.size());
    ++used;
  }
  const SchemaLabel& label = schema_.label;
  for (const float value : table.labels) {
    if (label.numeric) {
      AddValue(*label.range, value, grid_log2, &sums[at]);
    } else {
      DURE_CHECK(value >= 0 && value < static_cast<float>(label.classes.size()));
      sums[at + static_cast<uint64_t>(value)] += one;
    }
  }
  return sums;
}

ColumnStatistics ColumnSums::ReadNumeric(const ValueRange& range, std::span<const double> sums,
                                         const FederatedStatistics& all) const {
  ColumnStatistics column{.kind = ColumnKind::kNumeric, .range = range};
  const double width = range.high - range.low;
  const double present = sums[0];
  column.present = std::max(0.0, present);
  column.missing_rate = Share(all.records - column.present, all.records);
  double mean = kMiddle, variance = kUniformVariance, error = kMiddle;
  // With fewer records than the noise may make up, nothing is known.
  if (present >= 1 && present > 2 * all.noise) {
    mean = std::clamp(sums[1] / present, 0.0, 1.0);
    error = all.noise * std::sqrt(1 + mean * mean) / present;
    // By the noise of x^2, of x and of the number of records: d(m2 - m1^2).
    const double of_count = 2 * mean * mean - sums[2] / present;
    const double hidden =
        all.noise * std::sqrt(1 + 4 * mean * mean + of_count * of_count) / present;
    variance = std::max({sums[2] / present - mean * mean, hidden, kLeastVariance});
    variance = std::min(variance, kMiddle * kMiddle);  // no more within 0 to 1
  }
  column.mean = range.low + mean * width;
  column.deviation = std::sqrt(variance) * width;
  column.mean_error = error * width;
  for (uint32_t bar = 0; bar < bins_; ++bar) {
    column.bars.push_back(std::max(0.0, sums[kMoments + bar]));
  }
  return column;
}

FederatedStatistics ColumnSums::Read(std::span<const double> sums, double noise) const {
  DURE_CHECK(sums.size() == size_);
  FederatedStatistics all{.records = std::max(0.0, sums[0]), .noise = noise};
  uint64_t at = 1;
  const auto read = [&](ColumnKind kind, const std::string& name, const auto& range,
                        const std::vector<std::string>& words) {
    const auto own = sums.subspan(at, SizeOf(kind, words.size()));
    at += own.size();
    ColumnStatistics column;
    if (kind == ColumnKind::kNumeric) {
      column = ReadNumeric(*range, own, all);
    } else {
      column.kind = kind;
      column.categories = words;
      double present = 0;
      for (const double count : own) {
        present += count;
        column.counts.push_back(std::max(0.0, count));
      }
      column.present = std::max(0.0, present);
      column.missing_rate = Share(all.records - column.present, all.records);
    }
    column.name = name;
    return column;
  };
  for (const SchemaColumn& column : schema_.columns) {
    if (column.kind == ColumnKind::kIgnored) continue;
    all.columns.push_back(read(column.kind, column.name, column.range, column.categories));
  }
  const SchemaLabel& label = schema_.label;
  all.label = read(label.numeric ? ColumnKind::kNumeric : ColumnKind::kCategorical, label.name,
                   label.range, label.classes);
  return all;
}

Standardisation ColumnSums::StandardisationOf(const FederatedStatistics& statistics) {
  Standardisation standards;
  for (const ColumnStatistics& column : statistics.columns) {
    if (column.kind != ColumnKind::kNumeric) continue;
    standards.push_back({.mean = column.mean, .deviation = column.deviation});
  }
  return standards;
}

Schema StandardisedBy(Schema schema, const Standardisation& standards) {
  size_t next = 0;
  for (SchemaColumn& column : schema.columns) {
    if (column.kind != ColumnKind::kNumeric) continue;
    DURE_CHECK(next < standards.size());
    column.mean = standards[next].mean;
    column.deviation = standards[next].deviation;
    ++next;
  }
  DURE_CHECK(next == standards.size());
  return schema;
}

Standardisation StandardisationOfRanges(const Schema& schema) {
  Standardisation standards;
  for (const SchemaColumn& column : schema.columns) {
    if (column.kind != ColumnKind::kNumeric) continue;
    const ValueRange range = column.range.value_or(ValueRange{.low = -1, .high = 1});
    const double width = range.high - range.low;
    standards.push_back({.mean = range.low + kMiddle * width, .deviation = width});
  }
  return standards;
}

std::string StandardisationToBytes(const Standardisation& standards) {
  std::string bytes;
  for (const Standard& standard : standards) {
    PutLittle(standard.mean, &bytes);
    PutLittle(standard.deviation, &bytes);
  }
  return bytes;
}

absl::StatusOr<Standardisation> StandardisationFromBytes(std::string_view bytes,
                                                         const Schema& schema) {
  constexpr size_t kBytes = 16;
  Standardisation standards;
  size_t at = 0;
  for (const SchemaColumn& column : schema.columns) {
    if (column.kind != ColumnKind::kNumeric) continue;
    if (at + kBytes > bytes.size()) break;
    const Standard standard{.mean = GetLittle(bytes.substr(at)),
                            .deviation = GetLittle(bytes.substr(at + kBytes / 2))};
    at += kBytes;
    if (!column.range || !(standard.mean >= column.range->low) ||
        !(standard.mean <= column.range->high) || !(standard.deviation > 0) ||
        !(standard.deviation <= column.range->high - column.range->low)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "column \"", Printable(column.name, 60), "\" would be standardised by ", standard.mean,
          " and ", standard.deviation, ", which no statistics of values in its range give"));
    }
    standards.push_back(standard);
  }
  const auto numeric = static_cast<size_t>(std::count_if(
      schema.columns.begin(), schema.columns.end(),
      [](const SchemaColumn& column) { return column.kind == ColumnKind::kNumeric; }));
  if (standards.size() != numeric || at != bytes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("a standardisation of ", bytes.size(),
                                                   " bytes, and ", numeric,
                                                   " numeric columns need ", numeric * kBytes));
  }
  return standards;
}

ColumnSumsBound BoundOfColumnSums(uint64_t features, uint32_t classes, uint32_t bins) {
  const uint64_t numeric = kMoments + bins;
  const uint64_t label = std::max<uint64_t>({numeric, classes, 2});
  return {.sums = 1 + features * numeric + label,
          .norm = RootUp(1 + (features + 1) * kNumericNormSq)};
}

}  // namespace dure
