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

}  // namespace

absl::Status LedgerFile::Create(const std::string& path) { return WriteFileAtomic(path, "", 0600); }

absl::StatusOr<LedgerFile> LedgerFile::Open(const std::string& path) {
  if (!FileExists(path)) {
    return absl::DataLossError(absl::StrCat(path, " is missing", kNoFurtherPart));
  }
  DURE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxLedgerBytes));
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  LedgerFile file(path, std::move(fd));
  size_t begin = 0;
  for (size_t line = 1; begin < text.size(); ++line) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    absl::StatusOr<LedgerEntry> entry =
        DecodeLedgerEntry(std::string_view(text).substr(begin, end - begin));
    absl::Status status = entry.ok() ? file.ledger_.Add(*entry) : entry.status();
    if (!status.ok()) {
      return absl::DataLossError(
          absl::StrCat(path, ":", line, ": ", status.message(), kNoFurtherPart));
    }
    begin = end + 1;
    ++file.entries_;
  }
  DURE_RETURN_IF_ERROR(file.OpenCount());
  if (begin < text.size() &&
      (ftruncate(file.fd_.get(), static_cast<off_t>(begin)) != 0 || fsync(file.fd_.get()) != 0)) {
    return ErrnoStatus(errno, absl::StrCat("cannot mend ", path));
  }
  return file;
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
