#include "cli/partition_show.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "learner/data/dataset.h"
#include "learner/data/partition.h"
#include "learner/data/partition_statistics.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

constexpr uint32_t kBars = 8;
constexpr double kBarColumns = 40;
constexpr size_t kMostColumns = 56;  // of clients
constexpr size_t kMostRows = 16;     // of labels
constexpr size_t kNameColumns = 9;

// Labels, and what they are.
struct Labels {
  DataFiles files;
  std::optional<Schema> schema;
  std::vector<float> values;
  std::vector<std::string> names;  // of classes; none if labels are numbers to predict
};

absl::Status NoRecords(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   " is cut into records by a model or a trainer: its split is known when a "
                   "simulation begins"));
}

absl::StatusOr<Labels> ReadLabels(const PartitionView& view) {
  Labels labels;
  if (IsTableFile(view.path) && view.table.label.empty() && view.table.schema.empty() &&
      absl::EndsWithIgnoreCase(view.path, ".txt")) {
    return NoRecords(view.path);
  }
  DURE_ASSIGN_OR_RETURN(std::optional<Table> table, TableAt(view.path, view.table));
  if (IsTableFile(view.path)) {
    labels.files.images_path = view.path;
    labels.files.kind = DataKind::kTable;
    labels.files.images = FileDescriptor(open(view.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!labels.files.images.valid()) {
      return ErrnoStatus(errno, absl::StrCat("cannot open ", view.path));
    }
  } else {
    DURE_ASSIGN_OR_RETURN(labels.files, OpenDataFolder(view.path));
  }
  if (table) {
    labels.values = std::move(table->labels);
    labels.names = table->schema.label.classes;
    labels.schema = std::move(table->schema);
    return labels;
  }
  if (IsText(labels.files) || !OpaqueInWords(labels.files).empty()) {
    return NoRecords(labels.files.images_path);
  }
  DURE_ASSIGN_OR_RETURN(Dataset data, ReadDataset(labels.files));
  const size_t classes = data.LabelCounts().size();
  for (size_t label = 0; label < classes; ++label) {
    labels.names.push_back(absl::StrCat(label));
  }
  labels.values = std::move(data.labels);
  return labels;
}

std::string MedianText(double median) {
  return median == std::floor(median) ? absl::StrFormat("%.0f", median)
                                      : absl::StrFormat("%.1f", median);
}

// A bar of eighths of a character.
std::string Bar(double share) {
  const char* const kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<size_t>(std::lround(share * kBarColumns * 8));
  std::string bar;
  for (size_t i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  return bar.empty() && share > 0 ? "▏" : bar;
}

const char* Shade(double share) {
  if (share <= 0) return " ";
  return share < 0.05 ? "·" : share < 0.25 ? "░" : share < 0.5 ? "▒" : share < 0.75 ? "▓" : "█";
}

void PrintSizes(const Partition& partition) {
  const std::vector<SizeBar> bars = SizeHistogram(partition, kBars);
  uint64_t most = 1;
  for (const SizeBar& bar : bars) most = std::max(most, bar.clients);
  const auto width = static_cast<int>(absl::StrCat(bars.back().to).size());
  absl::PrintF("\n  records of a client%*s\n", width + 7, "clients");
  for (const SizeBar& bar : bars) {
    const std::string range = bar.from == bar.to
                                  ? absl::StrFormat("%*d", 2 * width + 3, bar.from)
                                  : absl::StrFormat("%*d - %*d", width, bar.from, width, bar.to);
    const std::string drawn = Bar(static_cast<double>(bar.clients) / static_cast<double>(most));
    absl::PrintF("  %*s %*d%s%s\n", 12 + width, range, 13, bar.clients, drawn.empty() ? "" : "  ",
                 drawn);
  }
}

// `text` filled up to kNameColumns characters.
std::string Padded(std::string text) {
  const auto characters = static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
  if (characters < kNameColumns) text.append(kNameColumns - characters, ' ');
  return text;
}

// Where part i of `parts` of `count` begins.
size_t Begin(size_t count, size_t parts, size_t i) { return count * i / parts; }

void PrintLabels(const Partition& partition, const Labels& labels,
                 const PartitionStatistics& statistics) {
  const size_t rows = std::min(labels.names.size(), kMostRows);
  const size_t columns = std::min<size_t>(partition.clients(), kMostColumns);
  std::vector<std::vector<double>> shares(rows, std::vector<double>(columns));
  std::vector<size_t> row_of(labels.names.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t label = Begin(row_of.size(), rows, row);
         label < Begin(row_of.size(), rows, row + 1); ++label) {
      row_of[label] = row;
    }
  }
  for (size_t column = 0; column < columns; ++column) {
    const auto records =
        partition.Of(static_cast<uint32_t>(Begin(partition.clients(), columns, column)));
    for (const uint32_t record : records) {
      shares[row_of[static_cast<size_t>(labels.values[record])]][column] +=
          1 / static_cast<double>(records.size());
    }
  }
  const std::string shown = columns < partition.clients()
                                ? absl::StrCat(columns, " clients, evenly spaced")
                                : "a column for each";
  absl::PrintF("\n  %s  share of a client's records; %s\n", Padded("label"), shown);
  for (size_t row = 0; row < rows; ++row) {
    const size_t first = Begin(row_of.size(), rows, row), end = Begin(row_of.size(), rows, row + 1);
    double overall = 0;
    for (size_t label = first; label < end; ++label) overall += statistics.shares[label];
    std::string name = Printable(labels.names[first], kNameColumns);
    if (end - first > 1) name = absl::StrCat("no. ", first, "-", end - 1);
    std::string cells;
    for (const double share : shares[row]) cells += Shade(share);
    absl::PrintF("  %s  |%s| %4.1f %%\n", Padded(name), cells, 100 * overall);
  }
  const std::string last = absl::StrCat(Begin(partition.clients(), columns, columns - 1));
  const size_t gap = columns > last.size() + 1 ? columns - last.size() - 1 : 1;
  absl::PrintF("  %s   0%s%s\n", Padded("client"), std::string(columns > 1 ? gap : 0, ' '),
               columns > 1 ? last : "");
  std::printf(
      "  \"·\" below 5 %%, \"░\" below 25 %%, \"▒\" below 50 %%, \"▓\" below 75 %%, \"█\" more\n");
}

void PrintJson(const PartitionView& view, const Partition& partition, const std::string& how,
               const PartitionStatistics& statistics) {
  const auto spread = [](const Spread& of) {
    return json{{"least", of.least}, {"median", of.median}, {"most", of.most}};
  };
  json bars = json::array();
  for (const SizeBar& bar : SizeHistogram(partition, kBars)) {
    bars.push_back({{"from", bar.from}, {"to", bar.to}, {"clients", bar.clients}});
  }
  json object = {{"path", view.path},
                 {"partition", how},
                 {"seed", view.seed},
                 {"clients", statistics.clients},
                 {"records", statistics.records},
                 {"records_a_client", spread(statistics.sizes)},
                 {"histogram", bars}};
  if (!statistics.shares.empty()) {
    object["labels_a_client"] = spread(statistics.labels);
    object["label_shares"] = statistics.shares;
    object["label_skew"] = statistics.label_skew;
  }
  std::printf("%s\n", object.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

}  // namespace

absl::Status ShowPartition(const PartitionView& view) {
  DURE_ASSIGN_OR_RETURN(PartitionSpec spec, ParsePartition(view.how.empty() ? "iid" : view.how));
  const bool counted =
      std::holds_alternative<ByPartition>(spec) || std::holds_alternative<FilePartition>(spec);
  if (view.clients == 0 && !counted) {
    return absl::InvalidArgumentError(
        absl::StrCat("a split by ", view.how,
                     " needs --clients N: only by:COLUMN and file:PATH say "
                     "by themselves how many clients there are"));
  }
  DURE_ASSIGN_OR_RETURN(const Labels labels, ReadLabels(view));
  DURE_ASSIGN_OR_RETURN(const Partition partition,
                        PartitionLabels(labels.files, labels.schema ? &*labels.schema : nullptr,
                                        labels.values, labels.names.size(),
                                        {.clients = view.clients,
                                         .spec = spec,
                                         .seed = view.seed,
                                         .most_records = view.records,
                                         .most_clients = kMaxSimulatedClients}));
  const PartitionStatistics statistics =
      StatisticsOf(partition, labels.values, labels.names.size());
  const std::string how = PartitionToString(spec);
  if (view.as_json) {
    PrintJson(view, partition, how, statistics);
    return absl::OkStatus();
  }
  absl::PrintF("%s\n  split    %s among %d clients, seed %d\n", view.path, Printable(how),
               statistics.clients, view.seed);
  absl::PrintF("  records  %d in all; a client has %d to %d, median %s\n", statistics.records,
               statistics.sizes.least, statistics.sizes.most, MedianText(statistics.sizes.median));
  if (statistics.shares.empty()) {
    PrintSizes(partition);
    return absl::OkStatus();
  }
  absl::PrintF("  labels   a client has %d to %d of %d, median %s\n", statistics.labels.least,
               statistics.labels.most, statistics.shares.size(),
               MedianText(statistics.labels.median));
  absl::PrintF(
      "  skew     %.3f: how far a client's labels are from those of all, on average;\n"
      "           0 everybody has the same mixture, 1 none of the others' labels\n",
      statistics.label_skew);
  PrintSizes(partition);
  PrintLabels(partition, labels, statistics);
  return absl::OkStatus();
}

}  // namespace dure::cli
