#include "learner/data/csv.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kExcerptBytes = 40;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

CsvReader::Source DescriptorSource(int fd, const std::string& name) {
  return [fd, name, offset = off_t{0}](std::span<char> out) mutable -> absl::StatusOr<size_t> {
    for (;;) {
      const ssize_t got = pread(fd, out.data(), out.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", name));
      offset += got;
      return static_cast<size_t>(got);
    }
  };
}

CsvReader::Source MemorySource(std::string_view bytes, size_t chunk) {
  return [bytes, chunk](std::span<char> out) mutable -> absl::StatusOr<size_t> {
    const size_t got = std::min({out.size(), bytes.size(), chunk});
    if (got > 0) std::memcpy(out.data(), bytes.data(), got);
    bytes.remove_prefix(got);
    return got;
  };
}

uint64_t LineFeeds(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

std::string Excerpt(std::string_view text) {
  if (text.size() <= kExcerptBytes) return Printable(text, kExcerptBytes);
  return Printable(text.substr(0, kExcerptBytes), kExcerptBytes) + "...";
}

CsvReader::CsvReader(Source source, std::string name, char delimiter)
    : source_(std::move(source)), name_(std::move(name)), delimiter_(delimiter) {}

CsvReader::CsvReader(int fd, std::string name, char delimiter)
    : CsvReader(DescriptorSource(fd, name), name, delimiter) {}

CsvReader::CsvReader(std::string_view bytes, size_t chunk, std::string name, char delimiter)
    : CsvReader(MemorySource(bytes, std::max<size_t>(chunk, 1)), std::move(name), delimiter) {}

// Room for the largest record, and for as much again as is read at once, so that most records are
// never moved.
absl::Status CsvReader::Fill() {
  if (buffer_.empty()) buffer_.resize(kMaxCsvRecordBytes + kChunkBytes);
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ >= kMaxCsvRecordBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        name_, ":", line_, ": the record that begins here is longer than ", kMaxCsvRecordBytes,
        " bytes, the limit: is a quote not closed, or the delimiter another one?"));
  }
  DURE_ASSIGN_OR_RETURN(const size_t got, source_(std::span(buffer_).subspan(end_)));
  at_end_ = got == 0;
  end_ += got;
  return absl::OkStatus();
}

absl::Status CsvReader::SkipMark() {
  while (end_ - begin_ < 3 && !at_end_) DURE_RETURN_IF_ERROR(Fill());
  const std::string_view start(buffer_.data(), end_);
  if (start.starts_with("\xEF\xBB\xBF")) begin_ = 3;
  if (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF")) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ":1: this is UTF-16: save the file as UTF-8"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CsvReader::Next() {
  if (!std::exchange(started_, true)) DURE_RETURN_IF_ERROR(SkipMark());
  for (;;) {
    switch (ScanRecord()) {
      case Scan::kRecord:
        if (fields_.empty()) return false;
        UndoubleQuotes();
        return true;
      case Scan::kMore:
        DURE_RETURN_IF_ERROR(Fill());
        break;
      case Scan::kFault:
        return fault_;
    }
  }
}

// From begin_ on. kMore if the record does not end in the buffer: it is looked at again from its
// start then, and nothing in the buffer has been changed.
CsvReader::Scan CsvReader::ScanRecord() {
  fields_.clear();
  doubled_.clear();
  // Empty lines.
  for (size_t at = begin_; at < end_; begin_ = at) {
    if (buffer_[at] == '\r' && at + 1 < end_ && buffer_[at + 1] == '\n') ++at;
    if (buffer_[at] != '\n') break;
    ++at;
    ++line_;
  }
  if (begin_ == end_) return at_end_ ? Scan::kRecord : Scan::kMore;
  size_t at = begin_;
  for (;;) {
    if (at == end_ && !at_end_) return Scan::kMore;
    const Scan field = at < end_ && buffer_[at] == '"' ? ScanQuoted(&at) : ScanPlain(&at);
    if (field != Scan::kRecord) return field;
    if (fields_.size() > kMaxCsvFields) {
      fault_ = absl::ResourceExhaustedError(
          absl::StrCat(name_, ":", line_, ": more than ", kMaxCsvFields, " fields, the limit"));
      return Scan::kFault;
    }
    if (at < end_ && buffer_[at] == delimiter_) {
      ++at;
      continue;
    }
    const Scan end = ScanLineEnd(&at);
    if (end != Scan::kRecord) return end;
    break;
  }
  record_line_ = line_;
  line_ += LineFeeds({buffer_.data() + begin_, at - begin_});
  begin_ = at;
  return Scan::kRecord;
}

CsvReader::Scan CsvReader::ScanQuoted(size_t* at) {
  const size_t begin = *at + 1;
  bool doubled = false;
  for (size_t from = begin;;) {
    const void* found =
        from < end_ ? std::memchr(buffer_.data() + from, '"', end_ - from) : nullptr;
    if (found == nullptr) {
      if (!at_end_) return Scan::kMore;
      return Refuse(*at, "a quote opens here and is never closed");
    }
    const size_t quote = static_cast<size_t>(static_cast<const char*>(found) - buffer_.data());
    if (quote + 1 == end_ && !at_end_) return Scan::kMore;
    if (quote + 1 < end_ && buffer_[quote + 1] == '"') {
      doubled = true;
      from = quote + 2;
      continue;
    }
    *at = quote + 1;
    if (*at < end_ && buffer_[*at] != delimiter_ && buffer_[*at] != '\n' && buffer_[*at] != '\r') {
      return Refuse(*at, "text after a closing quote: a quote inside a field is written twice");
    }
    AddField(begin, quote, doubled);
    return Scan::kRecord;
  }
}

CsvReader::Scan CsvReader::ScanPlain(size_t* at) {
  const char* const text = buffer_.data();
  const size_t begin = *at;
  size_t p = begin;
  while (p < end_) {
    const char c = text[p];
    if (c == delimiter_ || c == '\n' || c == '\r') break;
    if (c == '"') {
      return Refuse(p,
                    "a quote inside a field without quotes: put the field in quotes and write "
                    "those inside twice");
    }
    if (c == '\0') return Refuse(p, "a zero byte: this is no text; save the file as UTF-8");
    ++p;
  }
  if (p == end_ && !at_end_) return Scan::kMore;
  AddField(begin, p, false);
  *at = p;
  return Scan::kRecord;
}

// At the end of a record's last field.
CsvReader::Scan CsvReader::ScanLineEnd(size_t* at) {
  if (*at == end_) return at_end_ ? Scan::kRecord : Scan::kMore;
  if (buffer_[*at] == '\r') {
    if (*at + 1 == end_ && !at_end_) return Scan::kMore;
    if (*at + 1 == end_ || buffer_[*at + 1] != '\n') {
      return Refuse(*at, "a carriage return without a line feed: end lines with LF or CRLF");
    }
    ++*at;
  }
  ++*at;
  return Scan::kRecord;
}

void CsvReader::AddField(size_t begin, size_t end, bool doubled) {
  if (doubled) doubled_.push_back(fields_.size());
  fields_.emplace_back(buffer_.data() + begin, end - begin);
}

CsvReader::Scan CsvReader::Refuse(size_t at, std::string why) {
  const uint64_t line = line_ + LineFeeds({buffer_.data() + begin_, at - begin_});
  fault_ = absl::InvalidArgumentError(
      absl::StrCat(name_, ":", line, ": column ", fields_.size() + 1, ": ", why));
  return Scan::kFault;
}

void CsvReader::UndoubleQuotes() {
  for (size_t index : doubled_) {
    const size_t offset = static_cast<size_t>(fields_[index].data() - buffer_.data());
    char* const begin = buffer_.data() + offset;
    const char* const end = begin + fields_[index].size();
    char* out = begin;
    for (const char* in = begin; in < end; ++in) {
      *out++ = *in;
      if (*in == '"') ++in;
    }
    fields_[index] = {begin, static_cast<size_t>(out - begin)};
  }
}

uint64_t CsvReader::LineOf(size_t index) const {
  uint64_t line = record_line_;
  for (size_t i = 0; i < index && i < fields_.size(); ++i) line += LineFeeds(fields_[i]);
  return line;
}

absl::Status CsvReader::Fault(size_t index, std::string_view column, std::string_view why) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ":", LineOf(index), ": column ", index + 1,
                                                 " (\"", Excerpt(column), "\"): ", View(why)));
}

absl::StatusOr<CsvSize> MeasureCsv(int fd, std::string_view name) {
  auto source = DescriptorSource(fd, std::string(name));
  std::vector<char> buffer(kChunkBytes);
  CsvSize size;
  for (;;) {
    DURE_ASSIGN_OR_RETURN(const size_t got, source(buffer));
    if (got == 0) return size;
    size.bytes += got;
    size.line_feeds += LineFeeds({buffer.data(), got});
  }
}

}  // namespace dure
