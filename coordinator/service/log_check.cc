#include "coordinator/service/log_check.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr uint64_t kMaxLogBytes = uint64_t{1} << 30;
constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
// The last bit says in which order the words are that the checksum adds up.
constexpr uint32_t kMagic = 0x377f0682;
constexpr uint32_t kMinPageBytes = 512, kMaxPageBytes = 65536;
// Fewer may be one that was under way when the machine stopped.
constexpr int kLostTransactions = 2;

uint32_t BigEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  }
  return value;
}

struct Checksum {
  uint32_t first = 0, second = 0;

  // `bytes` is a multiple of eight.
  void Add(std::string_view bytes, bool big_endian_words) {
    for (size_t i = 0; i < bytes.size(); i += 8) {
      uint32_t word[2] = {BigEndian(bytes, i), BigEndian(bytes, i + 4)};
      for (uint32_t& w : word) w = big_endian_words ? w : __builtin_bswap32(w);
      first += word[0] + second;
      second += word[1] + first;
    }
  }
  bool IsAt(std::string_view bytes, size_t at) const {
    return first == BigEndian(bytes, at) && second == BigEndian(bytes, at + 4);
  }
};

}  // namespace

absl::Status CheckLogBytes(std::string_view log) {
  if (log.size() < kHeaderBytes) return absl::OkStatus();
  std::string_view header = log.substr(0, kHeaderBytes);
  // Nothing has been written into it yet.
  if (std::all_of(header.begin(), header.end(), [](char c) { return c == 0; })) {
    return absl::OkStatus();
  }
  const bool big_endian_words = (BigEndian(header, 0) & 1) != 0;
  const uint32_t page_bytes = BigEndian(header, 8);
  Checksum sum;
  sum.Add(header.substr(0, kFrameHeaderBytes), big_endian_words);
  if ((BigEndian(header, 0) & ~1u) != kMagic || !sum.IsAt(header, kFrameHeaderBytes) ||
      page_bytes < kMinPageBytes || page_bytes > kMaxPageBytes ||
      !std::has_single_bit(page_bytes)) {
    return absl::DataLossError("its header is damaged");
  }
  const std::string_view salts = header.substr(16, 8);
  const size_t frame_bytes = kFrameHeaderBytes + page_bytes;
  bool damaged = false;
  int transactions_after = 0;
  for (size_t at = kHeaderBytes; at + frame_bytes <= log.size(); at += frame_bytes) {
    std::string_view frame = log.substr(at, frame_bytes);
    // Frames of another salt are left from before the log began again.
    const bool ours = frame.substr(8, 8) == salts;
    if (!damaged) {
      sum.Add(frame.substr(0, 8), big_endian_words);
      sum.Add(frame.substr(kFrameHeaderBytes), big_endian_words);
      damaged = !ours || !sum.IsAt(frame, 16);
    }
    // A size of the database, rather than 0, marks the last frame of a transaction.
    if (damaged && ours && BigEndian(frame, 4) != 0) ++transactions_after;
  }
  if (transactions_after < kLostTransactions) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(transactions_after, " transactions follow a part that is damaged"));
}

absl::Status CheckLogFile(const std::string& path) {
  absl::StatusOr<std::string> log = ReadFile(path, kMaxLogBytes);
  if (absl::IsNotFound(log.status())) return absl::OkStatus();
  DURE_RETURN_IF_ERROR(log.status());
  absl::Status status = CheckLogBytes(*log);
  if (status.ok()) return status;
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: ", status.message(), "; restore the folder from a backup"));
}

}  // namespace dure
