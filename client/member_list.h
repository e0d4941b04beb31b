// A member's own list of who takes part (docs/secure-aggregation.md section 1.1), agreed on out of
// band: with it, organisation and revocation come from here and not from the coordinator. A text
// file, docs/formats/member-list.md. Thread-safe: values and pure functions.
#ifndef DURE_CLIENT_MEMBER_LIST_H_
#define DURE_CLIENT_MEMBER_LIST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "privacy/secagg/identity.h"

namespace dure {

inline constexpr size_t kMaxListedMembers = 4096;
inline constexpr uint64_t kMaxMemberListBytes = uint64_t{1} << 20;

struct ListedMember {
  secagg::MemberId id{};
  std::string name;
  std::string organisation;  // may be empty
  bool revoked = false;

  friend bool operator==(const ListedMember&, const ListedMember&) = default;
};

// By ascending id, each once.
using MemberList = std::vector<ListedMember>;

// The file's bytes; lines by ascending id, whatever the order of `list`.
std::string EncodeMemberList(const MemberList& list);
// InvalidArgument, with the line, its fault and the limit. Lines may be in any order, comments and
// empty lines among them.
absl::StatusOr<MemberList> DecodeMemberList(std::string_view text);

// What members compare with each other: SHA-256 of EncodeMemberList, in hexadecimal.
std::string MemberListDigest(const MemberList& list);

// How many of the list are not revoked.
size_t CountActive(const MemberList& list);
// The one with that id; nullptr if there is none.
const ListedMember* FindListed(const MemberList& list, const secagg::MemberId& id);

// What `after` changes, a line each, for people: "added clinic-3 (3cefc94e) of City Hospital".
std::vector<std::string> MemberListChanges(const MemberList& before, const MemberList& after);

}  // namespace dure

#endif  // DURE_CLIENT_MEMBER_LIST_H_
