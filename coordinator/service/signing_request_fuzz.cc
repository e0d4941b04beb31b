// The reader of requests that travel to the enrolment CA's machine.
#include <string>
#include <string_view>

#include "base/check.h"
#include "coordinator/service/signing_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto request = dure::DecodeSigningRequest(text);
  if (!request.ok()) return 0;
  // What was read can be written and read again.
  const auto again = dure::DecodeSigningRequest(dure::EncodeSigningRequest(*request));
  DURE_CHECK(again.ok() &&
             dure::EncodeSigningRequest(*again) == dure::EncodeSigningRequest(*request));
  return 0;
}
