// Any bytes as a list of members: refused, or a list that is written and read back the same.
#include "base/check.h"
#include "client/member_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<dure::MemberList> list = dure::DecodeMemberList(text);
  if (!list.ok()) return 0;
  const std::string written = dure::EncodeMemberList(*list);
  absl::StatusOr<dure::MemberList> again = dure::DecodeMemberList(written);
  DURE_CHECK(again.ok() && *again == *list);
  DURE_CHECK(dure::MemberListChanges(*list, *again).empty());
  return 0;
}
