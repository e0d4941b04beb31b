#include "coordinator/service/tar_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint64_t kLargestOctal = (uint64_t{1} << 33) - 1;
constexpr size_t kZeroBlocksAtTheEnd = 2;
// Where fields are, and how long (POSIX.1-1988, section 10.1.1).
struct Field {
  size_t at, size;
};
constexpr Field kName = {0, 100}, kMode = {100, 8}, kUser = {108, 8}, kGroup = {116, 8},
                kSize = {124, 12}, kTime = {136, 12}, kChecksum = {148, 8}, kType = {156, 1},
                kMagic = {257, 8};

absl::Status CheckName(std::string_view name) {
  if (name.empty() || name.size() > kMaxTarNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a file's name in an archive has 1 to ",
                                                   kMaxTarNameBytes, " bytes, not ", name.size(),
                                                   ": ", std::string(name.substr(0, 120))));
  }
  for (const char c : name) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("a file's name in an archive has a control character");
    }
  }
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(name.data(), name.size()), '/')) {
    if (part.empty() || part == "." || part == "..") {
      return absl::InvalidArgumentError(
          "a file's name in an archive leads out of its folder, or nowhere");
    }
  }
  return absl::OkStatus();
}

void PutOctal(std::string* block, Field field, uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", static_cast<int>(field.size - 1),
                static_cast<unsigned long long>(value));
  std::memcpy(block->data() + field.at, text, field.size - 1);
}

// Digits, then spaces and zeros. Nothing for anything else.
std::optional<uint64_t> Octal(std::string_view text) {
  uint64_t value = 0;
  size_t at = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '7') {
    value = value * 8 + static_cast<uint64_t>(text[at++] - '0');  // at most 11 digits
  }
  if (at == 0) return std::nullopt;
  while (at < text.size() && (text[at] == ' ' || text[at] == '\0')) ++at;
  return at == text.size() ? std::optional(value) : std::nullopt;
}

std::optional<uint64_t> SizeIn(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) != 0x80) return Octal(text);
  uint64_t value = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | static_cast<unsigned char>(text[i]);
  }
  return value;
}

uint32_t Checksum(std::string_view block) {
  uint32_t sum = 0;
  for (size_t i = 0; i < kTarBlockBytes; ++i) {
    const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.size;
    sum += own ? uint32_t{' '} : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::string_view In(std::string_view block, Field field) {
  return block.substr(field.at, field.size);
}

uint64_t PaddingOf(uint64_t size) {
  return (kTarBlockBytes - size % kTarBlockBytes) % kTarBlockBytes;
}

}  // namespace

absl::StatusOr<std::string> EncodeTarHeader(const TarEntry& entry) {
  DURE_RETURN_IF_ERROR(CheckName(entry.name));
  std::string block(kTarBlockBytes, '\0');
  std::memcpy(block.data(), entry.name.data(), entry.name.size());
  PutOctal(&block, kMode, entry.mode & 0777);
  PutOctal(&block, kUser, 0);
  PutOctal(&block, kGroup, 0);
  if (entry.size <= kLargestOctal) {
    PutOctal(&block, kSize, entry.size);
  } else {
    block[kSize.at] = static_cast<char>(0x80);
    for (size_t i = 0; i < 8; ++i) {
      block[kSize.at + kSize.size - 1 - i] = static_cast<char>(entry.size >> (8 * i));
    }
  }
  PutOctal(&block, kTime, 0);
  block[kType.at] = '0';
  std::memcpy(block.data() + kMagic.at,
              "ustar\0"
              "00",
              kMagic.size);
  char sum[8];
  std::snprintf(sum, sizeof(sum), "%06o", Checksum(block));
  std::memcpy(block.data() + kChecksum.at, sum, 7);
  block[kChecksum.at + 7] = ' ';
  return block;
}

absl::StatusOr<std::optional<TarEntry>> DecodeTarHeader(std::string_view block) {
  if (block.size() != kTarBlockBytes) return absl::InvalidArgumentError("no block of an archive");
  if (block.find_first_not_of('\0') == std::string_view::npos) return std::optional<TarEntry>();
  if (Octal(In(block, kChecksum)) != Checksum(block)) {
    return absl::InvalidArgumentError("a header's checksum is wrong");
  }
  if (In(block, kMagic) != std::string_view("ustar\0"
                                            "00",
                                            kMagic.size)) {
    return absl::InvalidArgumentError("a header is not of the kind \"ustar\"");
  }
  if (block[kType.at] != '0') {
    return absl::InvalidArgumentError("it has something else than plain files");
  }
  if (block.substr(kMagic.at + kMagic.size).find_first_not_of('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("a header has fields that no backup has");
  }
  const std::string_view name = In(block, kName);
  const size_t length = std::min(name.find('\0'), name.size());
  TarEntry entry{.name = std::string(name.substr(0, length))};
  DURE_RETURN_IF_ERROR(CheckName(entry.name));
  const std::optional<uint64_t> mode = Octal(In(block, kMode)), size = SizeIn(In(block, kSize));
  if (!mode || *mode > 0777 || !size || *size > kMaxTarFileBytes) {
    return absl::InvalidArgumentError("a header has no mode or no size");
  }
  entry.mode = static_cast<mode_t>(*mode);
  entry.size = *size;
  return std::optional(std::move(entry));
}

absl::StatusOr<TarWriter> TarWriter::Create(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, 0600));
  return TarWriter(std::move(file));
}

absl::Status TarWriter::Pad(uint64_t size) { return file_.Add(std::string(PaddingOf(size), '\0')); }

absl::Status TarWriter::AddText(const std::string& name, mode_t mode, std::string_view contents) {
  DURE_ASSIGN_OR_RETURN(const std::string header,
                        EncodeTarHeader({.name = name, .mode = mode, .size = contents.size()}));
  DURE_RETURN_IF_ERROR(file_.Add(header));
  DURE_RETURN_IF_ERROR(file_.Add(contents));
  return Pad(contents.size());
}

absl::Status TarWriter::AddFile(const std::string& name, mode_t mode, const FileDescriptor& file,
                                const std::string& path) {
  struct stat info;
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  const auto size = static_cast<uint64_t>(info.st_size);
  DURE_ASSIGN_OR_RETURN(const std::string header,
                        EncodeTarHeader({.name = name, .mode = mode, .size = size}));
  DURE_RETURN_IF_ERROR(file_.Add(header));
  std::string buffer(std::min<uint64_t>(kPieceBytes, size), '\0');
  for (uint64_t done = 0; done < size;) {
    const ssize_t got =
        read(file.get(), buffer.data(), std::min<uint64_t>(buffer.size(), size - done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) return absl::DataLossError(absl::StrCat(path, " became shorter: try again"));
    DURE_RETURN_IF_ERROR(file_.Add(std::string_view(buffer).substr(0, static_cast<size_t>(got))));
    done += static_cast<uint64_t>(got);
  }
  return Pad(size);
}

absl::Status TarWriter::Finish() {
  DURE_RETURN_IF_ERROR(file_.Add(std::string(kZeroBlocksAtTheEnd * kTarBlockBytes, '\0')));
  return file_.Commit();
}

absl::StatusOr<TarReader> TarReader::Open(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info;
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is no plain file"));
  }
  return TarReader(std::move(file), path);
}

absl::Status TarReader::ReadAll(char* to, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t got = read(file_.get(), to + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path_));
    if (got == 0) {
      return absl::DataLossError(absl::StrCat(path_, " ends too early: take another backup"));
    }
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TarEntry>> TarReader::Next() {
  DURE_RETURN_IF_ERROR(Read([](std::string_view) { return absl::OkStatus(); }));
  char block[kTarBlockBytes];
  DURE_RETURN_IF_ERROR(ReadAll(block, sizeof(block)));
  absl::StatusOr<std::optional<TarEntry>> entry =
      DecodeTarHeader(std::string_view(block, sizeof(block)));
  if (!entry.ok()) {
    return absl::DataLossError(
        absl::StrCat(path_, " is no backup, or is damaged: ", entry.status().message()));
  }
  if (*entry) {
    left_ = (*entry)->size;
    padding_ = PaddingOf(left_);
  }
  return entry;
}

absl::Status TarReader::Read(const std::function<absl::Status(std::string_view)>& piece) {
  std::string buffer(std::min<uint64_t>(kPieceBytes, std::max<uint64_t>(left_, padding_)), '\0');
  while (left_ > 0) {
    const size_t size = std::min<uint64_t>(buffer.size(), left_);
    DURE_RETURN_IF_ERROR(ReadAll(buffer.data(), size));
    left_ -= size;
    DURE_RETURN_IF_ERROR(piece(std::string_view(buffer).substr(0, size)));
  }
  char ignored[kTarBlockBytes];
  const size_t padding = std::exchange(padding_, 0);
  return ReadAll(ignored, padding);
}

}  // namespace dure
