#include "learner/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kLimit = 1 << 20;

std::string Gzip(const std::string& plain) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, plain.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Sample() {
  return EncodeIdx(std::vector<uint32_t>{2, 2, 3},
                   std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255});
}

void ExpectFault(const std::string& bytes, absl::StatusCode code, const std::string& text) {
  auto array = DecodeIdx(bytes, "x.idx", kLimit);
  ASSERT_FALSE(array.ok()) << text;
  EXPECT_EQ(array.status().code(), code) << array.status();
  EXPECT_THAT(std::string(array.status().message()), HasSubstr("x.idx"));
  EXPECT_THAT(std::string(array.status().message()), HasSubstr(text));
}

TEST(IdxTest, HeaderIsThatOfTheFormat) {
  EXPECT_EQ(EncodeIdx(std::vector<uint32_t>{258}, std::vector<uint8_t>(258)).substr(0, 8),
            std::string("\0\0\x08\x01\0\0\x01\x02", 8));
}

TEST(IdxTest, PlainAndGzipReadTheSame) {
  for (const std::string& bytes : {Sample(), Gzip(Sample())}) {
    auto array = DecodeIdx(bytes, "x.idx", kLimit);
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_THAT(array->dims, ElementsAre(2, 2, 3));
    EXPECT_THAT(array->bytes, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255));
  }
}

TEST(IdxTest, NoRecordIsAnEmptyArray) {
  auto array = DecodeIdx(EncodeIdx(std::vector<uint32_t>{0, 28, 28}, {}), "x.idx", kLimit);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_TRUE(array->bytes.empty());
}

TEST(IdxTest, WrongMagicTypeOrDimensionsAreRefused) {
  using enum absl::StatusCode;
  ExpectFault("", kInvalidArgument, "two zero bytes");
  ExpectFault("PNG and more", kInvalidArgument, "two zero bytes");
  ExpectFault(std::string("\0\0\x0d\x01\0\0\0\x01\x07", 9), kInvalidArgument, "type 0d");
  ExpectFault(std::string("\0\0\x08\0", 4), kInvalidArgument, "0 dimensions (1 to 4)");
  ExpectFault(std::string("\0\0\x08\x05", 4), kInvalidArgument, "5 dimensions (1 to 4)");
  ExpectFault(std::string("\0\0\x08\x01\0\0", 6), kInvalidArgument, "cut short in its header");
  ExpectFault(EncodeIdx(std::vector<uint32_t>{2, 0}, {}), kInvalidArgument, "dimension 2 is 0");
}

TEST(IdxTest, CutOrPaddedFilesAreRefusedWithTheNumbers) {
  const std::string whole = Sample();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeIdx(whole.substr(0, size), "x.idx", kLimit).ok()) << size;
  }
  using enum absl::StatusCode;
  ExpectFault(whole.substr(0, whole.size() - 3), kInvalidArgument, "says 12 bytes, it has 9");
  ExpectFault(whole + "x", kInvalidArgument, "bytes after the 12");
}

TEST(IdxTest, DamagedGzipIsRefused) {
  const std::string whole = Gzip(Sample());
  using enum absl::StatusCode;
  ExpectFault(whole.substr(0, whole.size() - 4), kInvalidArgument, "cut short");
  ExpectFault(whole + "x", kInvalidArgument, "after the gzip data");
  std::string damaged = whole;
  damaged[whole.size() - 8] ^= 1;  // the checksum
  ExpectFault(damaged, kInvalidArgument, "not sound gzip");
}

TEST(IdxTest, SizesAboveTheLimitAreRefusedBeforeMemoryIsTaken) {
  using enum absl::StatusCode;
  ExpectFault(std::string("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16),
              kResourceExhausted, "limit 1048576");
  ExpectFault(EncodeIdx(std::vector<uint32_t>{kLimit + 1}, {}), kResourceExhausted,
              "1048577 bytes");
}

}  // namespace
}  // namespace dure
