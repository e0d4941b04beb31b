// The reader of invitations, over any text and over base64url of any bytes.
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "transport/token.h"

namespace {

// What was read can be written and read again.
void Try(std::string_view text) {
  auto invitation = dure::DecodeToken(text);
  if (!invitation.ok()) return;
  auto written = dure::EncodeToken(*invitation);
  DURE_CHECK(written.ok());
  auto again = dure::DecodeToken(*written);
  DURE_CHECK(again.ok() && again->SerializeAsString() == invitation->SerializeAsString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  Try(input);
  std::string text(dure::kTokenPrefix);
  text += absl::WebSafeBase64Escape(absl::string_view(input.data(), input.size()));
  Try(text);
  return 0;
}
