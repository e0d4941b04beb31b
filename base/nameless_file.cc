#include "base/nameless_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace dure {

absl::StatusOr<NamelessFile> NamelessFile::Create(const std::string& folder) {
  FileDescriptor file(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid()) {
    // A file system that does not know such files: one whose name is taken away at once.
    std::string name = folder + "/.nameless-XXXXXX";
    file = FileDescriptor(mkostemp(name.data(), O_CLOEXEC));
    if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot make a file in ", folder));
    unlink(name.c_str());
  }
  return NamelessFile(std::move(file), folder);
}

absl::Status NamelessFile::Append(std::span<const uint8_t> bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = pwrite(file_.get(), bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(size_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      return ErrnoStatus(wrote < 0 ? errno : EIO, absl::StrCat("cannot write to ", folder_));
    }
    done += static_cast<size_t>(wrote);
  }
  size_ += bytes.size();
  return absl::OkStatus();
}

absl::Status NamelessFile::Read(uint64_t offset, std::span<uint8_t> out) const {
  DURE_CHECK(offset <= size_ && out.size() <= size_ - offset);
  for (size_t done = 0; done < out.size();) {
    const ssize_t got =
        pread(file_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return ErrnoStatus(got < 0 ? errno : EIO, absl::StrCat("cannot read back from ", folder_));
    }
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace dure
