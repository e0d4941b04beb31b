// Any bytes as a line of a data set's ledger: refused, or exactly what would be written again. The
// first 32 bytes stand for the check of the line before; the check of this one is put right, so
// that what is behind it is reached, too.
#include <algorithm>

#include "base/check.h"
#include "client/data_ledger.h"

namespace {

void Check(std::string_view line, const dure::Digest& previous) {
  absl::StatusOr<dure::DataLine> read = dure::DecodeDataLine(line, previous);
  if (!read.ok()) return;
  DURE_CHECK(dure::EncodeDataLine(read->counter, previous, read->entry) ==
             std::string(line) + "\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::Digest previous{};
  if (size < previous.size()) return 0;
  std::copy(data, data + previous.size(), previous.begin());
  const std::string line(reinterpret_cast<const char*>(data) + previous.size(),
                         size - previous.size());
  Check(line, previous);
  const std::string mended =
      line + dure::ToHex(dure::Sha256(dure::AsBytes(dure::ToString(previous) + line)));
  Check(mended, previous);
  return 0;
}
