#include "client/service/ledger_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {

absl::Status LedgerFile::Create(const std::string& path) {
  return WriteFileAtomic(path, "", 0600);
}

absl::StatusOr<LedgerFile> LedgerFile::Open(const std::string& path) {
  if (!FileExists(path)) {
    return absl::DataLossError(absl::StrCat(
        path, " is missing; this member takes no further part, because what it has spent is not "
        "known: restore the file, or leave the federation"));
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
      return absl::DataLossError(absl::StrCat(
          path, ":", line, ": ", status.message(),
          "; this member takes no further part, because what it has spent is not known: restore "
          "the file, or leave the federation"));
    }
    begin = end + 1;
  }
  if (begin < text.size() &&
      (ftruncate(file.fd_.get(), static_cast<off_t>(begin)) != 0 || fsync(file.fd_.get()) != 0)) {
    return ErrnoStatus(errno, absl::StrCat("cannot mend ", path));
  }
  return file;
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
  return absl::OkStatus();
}

}  // namespace dure
