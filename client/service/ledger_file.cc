#include "client/service/ledger_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr int kCountDigits = 20;
constexpr char kNoFurtherPart[] =
    "; this member takes no further part, because what it has spent is not known: restore the "
    "file, or leave the federation";

std::string CountPath(const std::string& path) { return absl::StrCat(path, ".count"); }

struct Contents {
  Ledger ledger;
  uint64_t entries = 0;
  uint64_t bytes = 0;
  uint64_t whole_bytes = 0;  // without a last line that has no newline
};

absl::StatusOr<Contents> ReadContents(const std::string& path) {
  if (!FileExists(path)) {
    return absl::DataLossError(absl::StrCat(path, " is missing", kNoFurtherPart));
  }
  DURE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxLedgerBytes));
  Contents contents{.bytes = text.size()};
  size_t begin = 0;
  for (size_t line = 1; begin < text.size(); ++line) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    absl::StatusOr<LedgerEntry> entry =
        DecodeLedgerEntry(std::string_view(text).substr(begin, end - begin));
    const absl::Status status = entry.ok() ? contents.ledger.Add(*entry) : entry.status();
    if (!status.ok()) {
      return absl::DataLossError(
          absl::StrCat(path, ":", line, ": ", status.message(), kNoFurtherPart));
    }
    begin = end + 1;
    ++contents.entries;
  }
  contents.whole_bytes = begin;
  return contents;
}

}  // namespace

absl::Status LedgerFile::Create(const std::string& path) { return WriteFileAtomic(path, "", 0600); }

absl::StatusOr<LedgerFile> LedgerFile::Open(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(Contents contents, ReadContents(path));
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  LedgerFile file(path, std::move(fd));
  file.ledger_ = std::move(contents.ledger);
  file.entries_ = contents.entries;
  DURE_RETURN_IF_ERROR(file.OpenCount());
  if (contents.whole_bytes < contents.bytes &&
      (ftruncate(file.fd_.get(), static_cast<off_t>(contents.whole_bytes)) != 0 ||
       fsync(file.fd_.get()) != 0)) {
    return ErrnoStatus(errno, absl::StrCat("cannot mend ", path));
  }
  return file;
}

absl::StatusOr<Ledger> LedgerFile::Read(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(Contents contents, ReadContents(path));
  return std::move(contents.ledger);
}

absl::Status LedgerFile::OpenCount() {
  const std::string path = CountPath(path_);
  count_fd_ = FileDescriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!count_fd_.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  char text[kCountDigits] = {};
  const ssize_t got = pread(count_fd_.get(), text, sizeof(text), 0);
  if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  uint64_t written = 0;
  if (got > 0 && !absl::SimpleAtoi(absl::string_view(text, static_cast<size_t>(got)), &written)) {
    return absl::DataLossError(absl::StrCat(path, " is no number", kNoFurtherPart));
  }
  if (entries_ < written) {
    return absl::DataLossError(absl::StrCat(path_, " has ", entries_, " entries of at least ",
                                            written, " that were written", kNoFurtherPart));
  }
  return WriteCount();
}

absl::Status LedgerFile::WriteCount() {
  const std::string text = absl::StrFormat("%0*d", kCountDigits, entries_);
  errno = ENOSPC;
  if (pwrite(count_fd_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", CountPath(path_)));
  }
  return absl::OkStatus();
}

absl::Status LedgerFile::Append(const LedgerEntry& entry) {
  DURE_RETURN_IF_ERROR(broken_);
  DURE_RETURN_IF_ERROR(ledger_.Add(entry));
  std::string line = EncodeLedgerEntry(entry);
  errno = ENOSPC;  // what a short write means
  if (write(fd_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fdatasync(fd_.get()) != 0) {
    broken_ = ErrnoStatus(errno, absl::StrCat("cannot write the ledger ", path_));
    return broken_;
  }
  ++entries_;
  broken_ = WriteCount();
  return broken_;
}

}  // namespace dure
