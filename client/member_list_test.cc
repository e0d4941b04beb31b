#include "client/member_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

secagg::MemberId Id(uint8_t byte) {
  secagg::MemberId id;
  id.fill(byte);
  return id;
}

MemberList Three() {
  return {{.id = Id(1), .name = "clinic-1", .organisation = "City Hospital"},
          {.id = Id(2), .name = "clinic-2", .organisation = ""},
          {.id = Id(0xab), .name = "clinic-3", .organisation = "Île, \"B\"", .revoked = true}};
}

void IsRefused(const std::string& text, const std::string& words) {
  const absl::Status status = DecodeMemberList(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

std::string Line(const std::string& fields) {
  return absl::StrCat("# dure members 1\n", fields, "\n");
}

TEST(MemberListTest, AListIsReadBackAsWritten) {
  auto read = DecodeMemberList(EncodeMemberList(Three()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Three());
  EXPECT_EQ(CountActive(*read), 2u);
  EXPECT_EQ(FindListed(*read, Id(2))->name, "clinic-2");
  EXPECT_EQ(FindListed(*read, Id(3)), nullptr);
}

// The bytes are the format (docs/formats/member-list.md), and members compare their digest.
TEST(MemberListTest, TheBytesOfAList) {
  EXPECT_EQ(EncodeMemberList({Three()[2], Three()[0]}),
            "# dure members 1\n"
            "# client id, name, organisation, member or revoked; tabs between them\n"
            "0101010101010101010101010101010101010101010101010101010101010101\tclinic-1\t"
            "City Hospital\tmember\n"
            "abababababababababababababababababababababababababababababababab\tclinic-3\t"
            "Île, \"B\"\trevoked\n");
  EXPECT_EQ(MemberListDigest({}),
            "3d8c492e031e23432f627e2cf434d3fa1398e6a29f62efd871b33db21fab6e99");
}

TEST(MemberListTest, OrderCommentsAndLineEndsDoNotCount) {
  const std::string id = std::string(62, '0');
  auto read = DecodeMemberList(absl::StrCat("# dure members 1\r\n\n", id,
                                            "02\tb\t\tmember\r\n# x\n", id, "01\ta\tX\trevoked"));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].name, "a");
  EXPECT_TRUE((*read)[0].revoked);
  EXPECT_EQ((*read)[1].organisation, "");
}

TEST(MemberListTest, WhatIsNoListIsRefusedWithItsLine) {
  const std::string id(64, 'a');
  IsRefused("", "line 1: a list of members begins with \"# dure members 1\"");
  IsRefused("# dure members 2\n", "line 1");
  IsRefused(Line("x"), "line 2: 1 fields instead of 4");
  IsRefused(Line(absl::StrCat(id, "\ta\tb\tmember\tmore")), "5 fields");
  IsRefused(Line(absl::StrCat(std::string(64, 'A'), "\ta\tb\tmember")), "client id must be 64");
  IsRefused(Line(absl::StrCat(id.substr(1), "\ta\tb\tmember")), "client id must be 64");
  IsRefused(Line(absl::StrCat(id, "\t\tb\tmember")), "line 2");
  IsRefused(Line(absl::StrCat(id, "\ta b\tb\tmember")), "line 2");
  IsRefused(Line(absl::StrCat(id, "\ta\t", std::string(65, 'x'), "\tmember")), "organisation");
  IsRefused(Line(absl::StrCat(id, "\ta\tb\tgone")), "must be member or revoked");
  const std::string line = absl::StrCat(id, "\ta\tb\tmember");
  IsRefused(Line(absl::StrCat(line, "\n", line)), "a second member with the name a");
  IsRefused(Line(absl::StrCat(line, "\n", id, "\tc\tb\tmember")), "is there twice");
  IsRefused(std::string(kMaxMemberListBytes + 1, '#'), "limit 1048576");
}

TEST(MemberListTest, ThereIsALimitOfMembers) {
  std::string text = "# dure members 1\n";
  for (size_t i = 0; i < kMaxListedMembers; ++i) {
    absl::StrAppend(&text, absl::Hex(i, absl::kZeroPad16), std::string(48, '0'), "\tm", i,
                    "\t\tmember\n");
  }
  EXPECT_EQ(DecodeMemberList(text)->size(), kMaxListedMembers);
  IsRefused(absl::StrCat(text, std::string(64, 'f'), "\tmore\t\tmember\n"),
            "line 4098: more than 4096 members");
}

TEST(MemberListTest, ChangesAreNamed) {
  MemberList after = Three();
  after.erase(after.begin());
  after[0].organisation = "Lake Hospital";
  after[1].revoked = false;
  after.insert(after.begin(), {.id = Id(0), .name = "clinic-4", .organisation = "Z"});
  EXPECT_THAT(
      MemberListChanges(Three(), after),
      ElementsAre("removed clinic-1 (01010101) of City Hospital", "added clinic-4 (00000000) of Z",
                  "changed clinic-2 (02020202) to clinic-2 (02020202) of Lake Hospital",
                  HasSubstr("not revoked any more: clinic-3 (abababab)")));
  EXPECT_THAT(MemberListChanges(Three(), Three()), IsEmpty());
  EXPECT_EQ(MemberListChanges({}, Three()).size(), 3u);
}

}  // namespace
}  // namespace dure
