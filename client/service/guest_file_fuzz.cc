// NODE/guest.json is written by people, too: what is read must be written and read back to the
// same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "client/service/guest_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (absl::StatusOr<dure::GuestFile> file = dure::ParseGuestFile(text, "guest.json"); file.ok()) {
    const std::string written = dure::GuestFileText(*file);
    absl::StatusOr<dure::GuestFile> again = dure::ParseGuestFile(written, "guest.json");
    DURE_CHECK(again.ok());
    DURE_CHECK(again->limits == file->limits);
    DURE_CHECK(dure::GuestFileText(*again) == written);
  }
  if (absl::StatusOr<dure::Hours> hours = dure::Hours::Parse(text); hours.ok()) {
    DURE_CHECK(*dure::Hours::Parse(hours->text()) == *hours);
  }
  return 0;
}
