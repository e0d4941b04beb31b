#include "learner/data/idx.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 16;
// Memory taken on the word of a header alone; beyond it, only as bytes arrive.
constexpr uint64_t kMaxReserveBytes = uint64_t{64} << 20;
constexpr uint8_t kUnsignedByte = 8;

// Fills part of a buffer and says how much; 0 at the end.
using Source = std::function<absl::StatusOr<size_t>(std::span<uint8_t>)>;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

Source DescriptorSource(int fd, std::string_view name) {
  return [fd, name, offset = off_t{0}](std::span<uint8_t> out) mutable -> absl::StatusOr<size_t> {
    for (;;) {
      ssize_t got = pread(fd, out.data(), out.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", View(name)));
      offset += got;
      return static_cast<size_t>(got);
    }
  };
}

Source MemorySource(std::string_view bytes) {
  return [bytes](std::span<uint8_t> out) mutable -> absl::StatusOr<size_t> {
    size_t got = std::min(out.size(), bytes.size());
    if (got > 0) std::memcpy(out.data(), bytes.data(), got);
    bytes.remove_prefix(got);
    return got;
  };
}

// Inflates a single gzip member that is everything `compressed` holds.
class GzipReader {
 public:
  GzipReader(Source compressed, std::string_view name)
      : compressed_(std::move(compressed)), name_(name) {
    // 15 window bits, 16 added: gzip header and trailer.
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~GzipReader() {
    if (ready_) inflateEnd(&stream_);
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  absl::StatusOr<size_t> Read(std::span<uint8_t> out) {
    if (!ready_) {
      return absl::ResourceExhaustedError(absl::StrCat(View(name_), ": no memory to inflate it"));
    }
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    while (!ended_ && stream_.avail_out > 0) {
      if (stream_.avail_in == 0) {
        DURE_ASSIGN_OR_RETURN(size_t got, compressed_(buffer_));
        if (got == 0) return absl::InvalidArgumentError(absl::StrCat(View(name_), " is cut short"));
        stream_.next_in = buffer_.data();
        stream_.avail_in = static_cast<uInt>(got);
      }
      int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        DURE_RETURN_IF_ERROR(ExpectEnd());
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return absl::InvalidArgumentError(
            absl::StrCat(View(name_), " is not sound gzip data",
                         stream_.msg ? absl::StrCat(": ", stream_.msg) : ""));
      }
    }
    return out.size() - stream_.avail_out;
  }

 private:
  absl::Status ExpectEnd() {
    ended_ = true;
    size_t more = stream_.avail_in;
    if (more == 0) {
      DURE_ASSIGN_OR_RETURN(more, compressed_(buffer_));
    }
    if (more == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(View(name_), ": bytes after the gzip data"));
  }

  Source compressed_;
  std::string_view name_;
  std::array<uint8_t, kChunkBytes> buffer_;
  z_stream stream_ = {};
  bool ready_ = false;
  bool ended_ = false;
};

// As many bytes as `out` holds, fewer only at the end.
absl::StatusOr<size_t> ReadFully(const Source& source, std::span<uint8_t> out) {
  size_t done = 0;
  while (done < out.size()) {
    DURE_ASSIGN_OR_RETURN(size_t got, source(out.subspan(done)));
    if (got == 0) break;
    done += got;
  }
  return done;
}

absl::StatusOr<std::vector<uint32_t>> ReadDims(const Source& source, std::string_view name) {
  std::array<uint8_t, 4> word;
  DURE_ASSIGN_OR_RETURN(size_t got, ReadFully(source, word));
  if (got < word.size() || word[0] != 0 || word[1] != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(name), " is not an IDX file: it must begin with two zero bytes"));
  }
  if (word[2] != kUnsignedByte) {
    return absl::InvalidArgumentError(absl::StrCat(View(name), ": IDX type ",
                                                   absl::Hex(word[2], absl::kZeroPad2),
                                                   " (only 08, unsigned bytes, can be read)"));
  }
  if (word[3] < 1 || word[3] > kMaxIdxDimensions) {
    return absl::InvalidArgumentError(absl::StrCat(View(name), ": ", static_cast<int>(word[3]),
                                                   " dimensions (1 to ", kMaxIdxDimensions, ")"));
  }
  std::vector<uint32_t> dims(word[3]);
  for (size_t i = 0; i < dims.size(); ++i) {
    DURE_ASSIGN_OR_RETURN(got, ReadFully(source, word));
    if (got < word.size()) {
      return absl::InvalidArgumentError(absl::StrCat(View(name), " is cut short in its header"));
    }
    dims[i] = static_cast<uint32_t>(word[0]) << 24 | static_cast<uint32_t>(word[1]) << 16 |
              static_cast<uint32_t>(word[2]) << 8 | word[3];
    if (i > 0 && dims[i] == 0) {
      return absl::InvalidArgumentError(absl::StrCat(View(name), ": dimension ", i + 1, " is 0"));
    }
  }
  return dims;
}

absl::StatusOr<IdxArray> ReadArray(const Source& source, std::string_view name,
                                   uint64_t max_bytes) {
  IdxArray array;
  DURE_ASSIGN_OR_RETURN(array.dims, ReadDims(source, name));
  uint64_t total = 1;
  for (uint32_t dim : array.dims) {
    if (__builtin_mul_overflow(total, dim, &total) || total > max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          View(name), ": ", absl::StrJoin(array.dims, " x "), " bytes, limit ", max_bytes));
    }
  }
  array.bytes.reserve(std::min(total, kMaxReserveBytes));
  while (array.bytes.size() < total) {
    size_t done = array.bytes.size();
    array.bytes.resize(std::min<uint64_t>(total, done + kChunkBytes));
    DURE_ASSIGN_OR_RETURN(size_t got, ReadFully(source, std::span(array.bytes).subspan(done)));
    if (done + got < array.bytes.size()) {
      return absl::InvalidArgumentError(absl::StrCat(View(name), " is cut short: its header says ",
                                                     total, " bytes, it has ", done + got));
    }
  }
  uint8_t extra;
  DURE_ASSIGN_OR_RETURN(size_t more, source(std::span(&extra, 1)));
  if (more > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(name), " has bytes after the ", total, " that its header says"));
  }
  return array;
}

absl::StatusOr<IdxArray> ReadPlainOrGzip(const std::function<Source()>& open, std::string_view name,
                                         uint64_t max_bytes) {
  std::array<uint8_t, 2> magic;
  DURE_ASSIGN_OR_RETURN(size_t got, ReadFully(open(), magic));
  if (got < magic.size() || magic[0] != 0x1f || magic[1] != 0x8b) {
    return ReadArray(open(), name, max_bytes);
  }
  auto gzip = std::make_unique<GzipReader>(open(), name);
  return ReadArray([&gzip](std::span<uint8_t> out) { return gzip->Read(out); }, name, max_bytes);
}

}  // namespace

absl::StatusOr<IdxArray> ReadIdx(int fd, std::string_view name, uint64_t max_bytes) {
  return ReadPlainOrGzip([&] { return DescriptorSource(fd, name); }, name, max_bytes);
}

absl::StatusOr<IdxArray> DecodeIdx(std::string_view bytes, std::string_view name,
                                   uint64_t max_bytes) {
  return ReadPlainOrGzip([&] { return MemorySource(bytes); }, name, max_bytes);
}

std::string EncodeIdx(std::span<const uint32_t> dims, std::span<const uint8_t> bytes) {
  std::string out = {0, 0, static_cast<char>(kUnsignedByte), static_cast<char>(dims.size())};
  out.reserve(out.size() + 4 * dims.size() + bytes.size());
  for (uint32_t dim : dims) {
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(dim >> shift));
  }
  out.append(bytes.begin(), bytes.end());
  return out;
}

}  // namespace dure
