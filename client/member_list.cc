#include "client/member_list.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/x509.h"

namespace dure {
namespace {

constexpr char kHeader[] = "# dure members 1";
constexpr char kColumns[] = "# client id, name, organisation, member or revoked; tabs between them";
constexpr char kMember[] = "member";
constexpr char kRevoked[] = "revoked";
constexpr size_t kFields = 4;
constexpr size_t kIdDigits = 2 * sizeof(secagg::MemberId);

bool ById(const ListedMember& a, const ListedMember& b) { return a.id < b.id; }

// The id in lower-case hexadecimal digits.
bool ReadId(absl::string_view text, secagg::MemberId* id) {
  if (text.size() != kIdDigits ||
      text.find_first_not_of("0123456789abcdef") != absl::string_view::npos) {
    return false;
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::copy(bytes.begin(), bytes.end(), id->begin());
  return true;
}

absl::StatusOr<ListedMember> ReadLine(absl::string_view line) {
  const std::vector<std::string> fields = absl::StrSplit(line, '\t');
  if (fields.size() != kFields) {
    return absl::InvalidArgumentError(
        absl::StrCat(fields.size(), " fields instead of ", kFields, " with tabs between them"));
  }
  ListedMember member{.name = fields[1], .organisation = fields[2]};
  if (!ReadId(fields[0], &member.id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the client id must be ", kIdDigits, " digits 0-9 and a-f"));
  }
  DURE_RETURN_IF_ERROR(CheckMemberName(member.name));
  DURE_RETURN_IF_ERROR(CheckOrganisation("organisation", member.organisation));
  member.revoked = fields[3] == kRevoked;
  if (!member.revoked && fields[3] != kMember) {
    return absl::InvalidArgumentError("the last field must be member or revoked");
  }
  return member;
}

std::string Describe(const ListedMember& member) {
  std::string text =
      absl::StrCat(Printable(member.name), " (", ToHex(ByteView(member.id).first(4)), ")");
  if (!member.organisation.empty()) absl::StrAppend(&text, " of ", Printable(member.organisation));
  return text;
}

}  // namespace

std::string EncodeMemberList(const MemberList& list) {
  MemberList sorted = list;
  std::sort(sorted.begin(), sorted.end(), ById);
  std::string text = absl::StrCat(kHeader, "\n", kColumns, "\n");
  for (const ListedMember& member : sorted) {
    absl::StrAppend(&text, ToHex(member.id), "\t", member.name, "\t", member.organisation, "\t",
                    member.revoked ? kRevoked : kMember, "\n");
  }
  return text;
}

absl::StatusOr<MemberList> DecodeMemberList(std::string_view text) {
  if (text.size() > kMaxMemberListBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a list of members of ", text.size(), " bytes, limit ", kMaxMemberListBytes));
  }
  MemberList list;
  std::set<std::string> names;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    auto wrong = [&](absl::string_view why) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", why));
    };
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (number == 1 && line != kHeader) {
      return wrong(absl::StrCat("a list of members begins with \"", kHeader, "\""));
    }
    if (line.empty() || line.front() == '#') continue;
    absl::StatusOr<ListedMember> member = ReadLine(line);
    if (!member.ok()) return wrong(member.status().message());
    if (list.size() == kMaxListedMembers) {
      return wrong(absl::StrCat("more than ", kMaxListedMembers, " members"));
    }
    if (!names.insert(member->name).second) {
      return wrong(absl::StrCat("a second member with the name ", member->name));
    }
    list.push_back(*std::move(member));
  }
  std::sort(list.begin(), list.end(), ById);
  const auto twice = std::adjacent_find(list.begin(), list.end(),
                                        [](const auto& a, const auto& b) { return a.id == b.id; });
  if (twice != list.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the client id ", ToHex(twice->id), " is there twice"));
  }
  return list;
}

std::string MemberListDigest(const MemberList& list) {
  return ToHex(Sha256(AsBytes(EncodeMemberList(list))));
}

size_t CountActive(const MemberList& list) {
  return static_cast<size_t>(
      std::count_if(list.begin(), list.end(), [](const auto& member) { return !member.revoked; }));
}

const ListedMember* FindListed(const MemberList& list, const secagg::MemberId& id) {
  auto found = std::lower_bound(list.begin(), list.end(), ListedMember{.id = id}, ById);
  return found == list.end() || found->id != id ? nullptr : &*found;
}

std::vector<std::string> MemberListChanges(const MemberList& before, const MemberList& after) {
  std::vector<std::string> changes;
  for (const ListedMember& member : before) {
    if (FindListed(after, member.id) == nullptr) {
      changes.push_back(absl::StrCat("removed ", Describe(member)));
    }
  }
  for (const ListedMember& member : after) {
    const ListedMember* was = FindListed(before, member.id);
    if (was == nullptr) {
      changes.push_back(
          absl::StrCat("added ", Describe(member), member.revoked ? ", revoked" : ""));
      continue;
    }
    if (was->name != member.name || was->organisation != member.organisation) {
      changes.push_back(absl::StrCat("changed ", Describe(*was), " to ", Describe(member)));
    }
    if (was->revoked != member.revoked) {
      changes.push_back(
          absl::StrCat(member.revoked ? "revoked " : "not revoked any more: ", Describe(member)));
    }
  }
  return changes;
}

}  // namespace dure
