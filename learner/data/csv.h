// Records of a CSV file (RFC 4180), one after the other, parsed in place in the buffer they were
// read into: fields in quotes with line breaks, delimiters and doubled quotes in them; LF or CRLF;
// a UTF-8 byte order mark; a delimiter of choice; empty lines are passed over. Not thread-safe.
#ifndef DURE_LEARNER_DATA_CSV_H_
#define DURE_LEARNER_DATA_CSV_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/data/schema.h"

namespace dure {

inline constexpr size_t kMaxCsvRecordBytes = size_t{1} << 20;
// Columns of a record, the label and what is ignored included.
inline constexpr size_t kMaxCsvFields = 2 * kMaxColumns;

class CsvReader {
 public:
  // Fills part of a buffer and says how much; 0 at the end.
  using Source = std::function<absl::StatusOr<size_t>(std::span<char>)>;

  // `name` is for messages. Reads `fd`, which is borrowed, from offset 0; the descriptor's own
  // offset is neither used nor moved.
  CsvReader(int fd, std::string name, char delimiter);
  // Reads borrowed `bytes`, at most `chunk` of them at a time.
  CsvReader(std::string_view bytes, size_t chunk, std::string name, char delimiter);

  // Goes to the next record; false at the end. InvalidArgument, with "NAME:LINE: what, the remedy",
  // for what is not CSV; ResourceExhausted for a record above kMaxCsvRecordBytes or kMaxCsvFields.
  absl::StatusOr<bool> Next();
  // The fields of that record, without their quotes. Valid until Next().
  std::span<const std::string_view> fields() const { return fields_; }
  // The line that field `index` of the record begins in, from 1.
  uint64_t LineOf(size_t index) const;
  const std::string& name() const { return name_; }
  // InvalidArgument "NAME:LINE: column INDEX + 1 ("column"): why".
  absl::Status Fault(size_t index, std::string_view column, std::string_view why) const;

 private:
  enum class Scan { kRecord, kMore, kFault };

  CsvReader(Source source, std::string name, char delimiter);
  absl::Status Fill();
  absl::Status SkipMark();
  Scan ScanRecord();
  Scan ScanQuoted(size_t* at);
  Scan ScanPlain(size_t* at);
  Scan ScanLineEnd(size_t* at);
  void AddField(size_t begin, size_t end, bool doubled);
  Scan Refuse(size_t at, std::string why);
  void UndoubleQuotes();

  Source source_;
  std::string name_;
  char delimiter_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // what of the buffer has been read and not yet handed out
  bool at_end_ = false;         // the source has no more
  bool started_ = false;
  uint64_t line_ = 1;         // of begin_
  uint64_t record_line_ = 1;  // of the current record
  std::vector<std::string_view> fields_;
  std::vector<size_t> doubled_;  // fields with doubled quotes in them
  absl::Status fault_;
};

// What a file's size says of how many records it can hold, without parsing it.
struct CsvSize {
  uint64_t bytes = 0;
  uint64_t line_feeds = 0;
};
absl::StatusOr<CsvSize> MeasureCsv(int fd, std::string_view name);

// `text` as a person would type it in a message: cut, and without control characters.
std::string Excerpt(std::string_view text);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_CSV_H_
