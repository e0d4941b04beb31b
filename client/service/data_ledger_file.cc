#include "client/service/data_ledger_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr int kCountDigits = 20;
// How many data sets one may have taken the place of.
constexpr size_t kMaxSources = 1000;
// Others hold the lock for the length of an fsync.
constexpr absl::Duration kLockPatience = absl::Seconds(10);
constexpr absl::Duration kLockPoll = absl::Milliseconds(2);
constexpr char kNoFurtherPart[] =
    "; this member takes no part, because what was spent on its data is not known: restore the "
    "file from a backup that is not older";

std::string FolderOf(const std::string& root, const Digest& identity) {
  return absl::StrCat(root, "/", ToHex(identity));
}
std::string CountPath(const std::string& path) { return absl::StrCat(path, ".count"); }
std::string ByPath(const std::string& root, const std::string& path) {
  return absl::StrCat(root, "/by-path/", ToHex(Sha256(AsBytes(path))));
}

absl::Status Unknown(const std::string& path, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(path, why, kNoFurtherPart));
}

// How many entries there were at least; 0 if nobody has written it down.
absl::StatusOr<uint64_t> ReadCount(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(CountPath(path), kCountDigits + 1);
  if (absl::IsNotFound(text.status())) return 0;
  DURE_RETURN_IF_ERROR(text.status());
  uint64_t count = 0;
  if (!text->empty() && !absl::SimpleAtoi(*text, &count)) {
    return Unknown(CountPath(path), " is no number");
  }
  return count;
}

absl::Status WriteCount(const std::string& path, uint64_t entries) {
  const std::string count = CountPath(path);
  FileDescriptor fd(open(count.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", count));
  const std::string text = absl::StrFormat("%0*d", kCountDigits, entries);
  errno = ENOSPC;
  if (pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", count));
  }
  return absl::OkStatus();
}

const char* Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

// What is in a file from `offset` on.
absl::StatusOr<std::string> ReadFrom(const std::string& path, uint64_t offset) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return Unknown(path, " is missing");
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > kMaxDataLedgerBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": ", size, " bytes, the limit is ", kMaxDataLedgerBytes));
  }
  if (size < offset) return Unknown(path, " has become shorter");
  std::string text(size - offset, '\0');
  size_t got = 0;
  while (got < text.size()) {
    const ssize_t more =
        pread(fd.get(), text.data() + got, text.size() - got, static_cast<off_t>(offset + got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (more == 0) break;
    got += static_cast<size_t>(more);
  }
  text.resize(got);
  return text;
}

}  // namespace

absl::StatusOr<std::string> DataLedgersFolder() {
  if (const char* folder = Variable("DURE_DATA_LEDGERS")) {
    if (*folder == '/') return std::string(folder);
    return absl::FailedPreconditionError(absl::StrCat(
        "DURE_DATA_LEDGERS is ", folder,
        ": it must be an absolute path, or every folder would have ledgers of its own"));
  }
  // A relative one does not count (XDG Base Directory Specification).
  if (const char* data = Variable("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return absl::StrCat(data, "/dure/data-ledgers");
  }
  if (const char* home = Variable("HOME")) {
    return absl::StrCat(home, "/.local/share/dure/data-ledgers");
  }
  return absl::FailedPreconditionError(
      "there is no place for the ledgers of data sets: set DURE_DATA_LEDGERS to a folder");
}

std::string DataLedgerPath(const std::string& root, const Digest& identity) {
  return FolderOf(root, identity) + "/ledger";
}

absl::Status DataLedgerFile::Register(const std::string& root, const Digest& identity,
                                      const std::string& path) {
  DURE_RETURN_IF_ERROR(MakeFolder(root, 0700));
  DURE_RETURN_IF_ERROR(MakeFolder(root + "/by-path", 0700));
  DURE_RETURN_IF_ERROR(MakeFolder(FolderOf(root, identity), 0700));
  const std::string ledger = DataLedgerPath(root, identity);
  DURE_ASSIGN_OR_RETURN(const uint64_t count, ReadCount(ledger));
  if (count == 0 && FileIsMissing(ledger)) DURE_RETURN_IF_ERROR(WriteFileAtomic(ledger, "", 0600));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<DataLedgerFile> file, Open(root, identity, Digest{}));

  const std::string by_path = ByPath(root, path);
  const std::string written = ToHex(identity) + "\n";
  absl::StatusOr<std::string> before = ReadFile(by_path, written.size());
  if (before.ok() && *before == written) return absl::OkStatus();
  if (before.ok()) {
    FormerData former;
    before->resize(before->empty() ? 0 : before->size() - 1);
    if (!ReadLedgerDigest(*before, &former.identity)) {
      return Unknown(by_path, " is damaged: it does not name the data that was at this path");
    }
    const bool known =
        std::any_of(file->sources_.begin(), file->sources_.end(),
                    [&](const Source& source) { return source.identity == former.identity; });
    if (!known) {
      DURE_ASSIGN_OR_RETURN(FileLock lock, file->Lock());
      DURE_RETURN_IF_ERROR(file->Refresh());
      DURE_RETURN_IF_ERROR(file->Append(former));
    }
  } else if (!absl::IsNotFound(before.status())) {
    return before.status();
  }
  return WriteFileAtomic(by_path, written, 0600);
}

absl::StatusOr<std::unique_ptr<DataLedgerFile>> DataLedgerFile::Open(const std::string& root,
                                                                     const Digest& identity,
                                                                     const Digest& member) {
  auto file = std::unique_ptr<DataLedgerFile>(new DataLedgerFile(root, member));
  DURE_RETURN_IF_ERROR(file->AddSource(identity));
  return file;
}

absl::Status DataLedgerFile::AddSource(const Digest& identity) {
  for (const Source& source : sources_) {
    if (source.identity == identity) return absl::OkStatus();
  }
  if (sources_.size() == kMaxSources) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path(), " follows on more than ", kMaxSources, " other data sets"));
  }
  sources_.push_back(
      {.identity = identity, .path = DataLedgerPath(root_, identity), .check = identity});
  const size_t index = sources_.size() - 1;
  // First, because a ledger that grows meanwhile is no fault.
  DURE_ASSIGN_OR_RETURN(const uint64_t count, ReadCount(sources_[index].path));
  DURE_RETURN_IF_ERROR(ReadNew(index));
  const Source& source = sources_[index];
  if (source.entries >= count) return absl::OkStatus();
  return Unknown(source.path, absl::StrCat(" has ", source.entries, " entries of at least ", count,
                                           " that were written"));
}

// A last line without its newline is being written, or was when the machine stopped: left alone.
absl::Status DataLedgerFile::ReadNew(size_t index) {
  DURE_ASSIGN_OR_RETURN(const std::string text,
                        ReadFrom(sources_[index].path, sources_[index].offset));
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return absl::OkStatus();
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    absl::StatusOr<DataLine> read = DecodeDataLine(line, sources_[index].check);
    if (read.ok() && read->counter != sources_[index].entries + 1) {
      read = absl::DataLossError("its counter is not the next");
    }
    if (!read.ok()) {
      return Unknown(sources_[index].path,
                     absl::StrCat(":", sources_[index].entries + 1, ": ", read.status().message()));
    }
    sources_[index].check = read->check;
    sources_[index].offset += line.size() + 1;
    ++sources_[index].entries;
    DURE_RETURN_IF_ERROR(Take(index, read->entry));
  }
}

absl::Status DataLedgerFile::Take(size_t index, const DataEntry& entry) {
  if (const auto* former = std::get_if<FormerData>(&entry)) return AddSource(former->identity);
  const auto& charge = std::get<DataCharge>(entry);
  spent_.all.Add(charge.cost);
  Spender& spender = spenders_[charge.member];
  spender.federation = charge.name;
  ++spender.charges;
  if (charge.member != member_) return absl::OkStatus();
  spent_.own.Add(charge.cost);
  if (index == 0) own_charges_.push_back(charge.attempt);
  return absl::OkStatus();
}

absl::Status DataLedgerFile::Refresh() {
  // AddSource may make it longer.
  for (size_t index = 0; index < sources_.size(); ++index) DURE_RETURN_IF_ERROR(ReadNew(index));
  return absl::OkStatus();
}

absl::StatusOr<FileLock> DataLedgerFile::Lock() const {
  const std::string lock_path = FolderOf(root_, identity()) + "/lock";
  const absl::Time until = absl::Now() + kLockPatience;
  for (;;) {
    absl::StatusOr<FileLock> lock = FileLock::Acquire(lock_path);
    if (!absl::IsFailedPrecondition(lock.status()) || absl::Now() >= until) return lock;
    absl::SleepFor(kLockPoll);
  }
}

// With the lock held and everything read.
absl::Status DataLedgerFile::Append(const DataEntry& entry) {
  const Source source = sources_.front();  // others may be added behind it
  FileDescriptor fd(open(source.path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", source.path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read ", source.path));
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  // What somebody was writing when it died.
  if (size > source.offset && ftruncate(fd.get(), static_cast<off_t>(source.offset)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot mend ", source.path));
  }
  const std::string line = EncodeDataLine(source.entries + 1, source.check, entry);
  if (source.offset + line.size() > kMaxDataLedgerBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(source.path, " is full: the limit is ", kMaxDataLedgerBytes, " bytes"));
  }
  errno = ENOSPC;  // what a short write means
  if (write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fdatasync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", source.path));
  }
  DURE_RETURN_IF_ERROR(ReadNew(0));  // as everybody else will read it
  return WriteCount(source.path, sources_.front().entries);
}

absl::StatusOr<bool> DataLedgerFile::Charge(const DataCharge& charge,
                                            const std::function<bool(const DataSpent&)>& fits) {
  DURE_RETURN_IF_ERROR(broken_);
  auto charged = [&]() -> absl::StatusOr<bool> {
    DURE_ASSIGN_OR_RETURN(FileLock lock, Lock());
    DURE_RETURN_IF_ERROR(Refresh());
    if (!fits(spent_)) return false;
    DURE_RETURN_IF_ERROR(Append(charge));
    return true;
  }();
  broken_ = charged.status();
  return charged;
}

}  // namespace dure
