#include "coordinator/service/private_file.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "crypto/aes_ctr.h"

namespace dure {
namespace {

constexpr size_t kKeyBytes = 48;
constexpr size_t kBufferBytes = 64 << 10;

}  // namespace

absl::StatusOr<std::shared_ptr<PrivateFile>> PrivateFile::Create(const std::string& folder,
                                                                 Random& random) {
  DURE_ASSIGN_OR_RETURN(NamelessFile file, NamelessFile::Create(folder));
  SecretBytes key(kKeyBytes);
  random.Fill(key.mutable_view());
  return std::shared_ptr<PrivateFile>(new PrivateFile(std::move(file), std::move(key)));
}

void PrivateFile::Apply(uint64_t offset, std::span<uint8_t> bytes) const {
  AesCtr stream(key_.view(), offset / AesCtr::kBlockBytes);
  std::array<uint8_t, AesCtr::kBlockBytes> before;
  stream.Generate(std::span(before).first(offset % AesCtr::kBlockBytes));
  stream.Apply(bytes);
}

absl::Status PrivateFile::Append(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> buffer(std::min(bytes.size(), kBufferBytes));
  while (!bytes.empty()) {
    const auto part = std::span(buffer).first(std::min(bytes.size(), buffer.size()));
    std::copy_n(bytes.begin(), part.size(), part.begin());
    Apply(size(), part);
    DURE_RETURN_IF_ERROR(file_.Append(part));
    bytes = bytes.subspan(part.size());
  }
  return absl::OkStatus();
}

absl::Status PrivateFile::Read(uint64_t offset, std::span<uint8_t> out) const {
  DURE_RETURN_IF_ERROR(file_.Read(offset, out));
  Apply(offset, out);
  return absl::OkStatus();
}

}  // namespace dure
