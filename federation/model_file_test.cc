#include "federation/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace dure {
namespace {

using ::testing::HasSubstr;

// A file of the given header and data.
std::string File(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(uint64_t{header.size()} >> (8 * i));
  return length + header + data;
}

std::string ErrorOf(const std::string& bytes) {
  absl::StatusOr<ModelFile> model = DecodeSafetensors(bytes, "m.safetensors");
  if (model.ok()) return "no error";
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), ::testing::StartsWith("m.safetensors: "));
  return std::string(model.status().message());
}

ModelFile Small() {
  return {.manifest = {{{"fc.weight", {1, 2}}, {"fc.bias", {1}}}},
          .params = {1.0f, -2.5f, 0.0f},
          .metadata = {{"round", "7"}}};
}

// The bytes that the format's own library writes for this model, but for the order of the header's
// keys: 8 bytes of length, the header padded with spaces to a multiple of 8, the numbers.
TEST(ModelFileTest, GoldenBytes) {
  const std::string header = R"({"__metadata__":{"round":"7"},)"
                             R"("fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                             R"("fc.bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";
  std::string padded = header;
  while (padded.size() % 8 != 0) padded += ' ';
  const std::string bytes = EncodeSafetensors(Small());
  EXPECT_EQ(bytes,
            File(padded, std::string("\x00\x00\x80\x3f\x00\x00\x20\xc0\x00\x00\x00\x00", 12)));
  EXPECT_EQ(padded.size(), 160u);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\xa0\0\0\0\0\0\0\0", 8));
}

TEST(ModelFileTest, ReadsWhatItWrites) {
  absl::StatusOr<ModelFile> model = DecodeSafetensors(EncodeSafetensors(Small()), "m.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->manifest, Small().manifest);
  EXPECT_EQ(model->params, Small().params);
  EXPECT_EQ(model->metadata, Small().metadata);
}

TEST(ModelFileTest, EmptyModelsAreFiles) {
  absl::StatusOr<ModelFile> model = DecodeSafetensors(EncodeSafetensors({}), "m.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(model->params.empty());
}

TEST(ModelFileTest, TensorsComeInTheOrderOfTheirOffsets) {
  const std::string data(12, '\0');
  absl::StatusOr<ModelFile> model =
      DecodeSafetensors(File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},)"
                             R"("b":{"shape":[],"data_offsets":[0,4],"dtype":"F32"}}  )",
                             data),
                        "m.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->manifest, (ParamManifest{{{"b", {}}, {"a", {2}}}}));
}

TEST(ModelFileTest, BadHeadersAreErrors) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("0 bytes: too short"));
  EXPECT_THAT(ErrorOf(std::string(7, '\0')), HasSubstr("too short"));
  EXPECT_THAT(ErrorOf(std::string(8, '\0')), HasSubstr("a header of 0 bytes"));
  EXPECT_THAT(ErrorOf(std::string(8, '\xff')), HasSubstr("a header of 18446744073709551615 bytes"));
  EXPECT_THAT(ErrorOf(File("{}", "").substr(0, 9)),
              HasSubstr("a header of 2 bytes, in a file of 9"));
  EXPECT_THAT(ErrorOf(File(std::string(kMaxModelHeaderBytes + 1, ' '), "")),
              HasSubstr("limit 1048576"));
  EXPECT_THAT(ErrorOf(File("[]", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(File(" {}", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(File("{\"a\":", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(File("{} x", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(File("{\"\xff\":1}", "")), HasSubstr("not JSON"));
  EXPECT_THAT(
      ErrorOf(File("{\"a\":" + std::string(10000, '[') + std::string(10000, ']') + "}", "")),
      HasSubstr("nested too deeply"));
}

TEST(ModelFileTest, NamesMayComeOnce) {
  const std::string tensor = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_THAT(ErrorOf(File("{\"a\":" + tensor + ",\"a\":" + tensor + "}", std::string(4, '\0'))),
              HasSubstr("\"a\" twice"));
}

TEST(ModelFileTest, BadTensorsAreErrors) {
  const std::string data(8, '\0');
  auto error = [&](const std::string& tensor) {
    return ErrorOf(File("{\"a\":" + tensor + "}", data));
  };
  EXPECT_THAT(error("1"), HasSubstr("must have dtype, shape and data_offsets"));
  EXPECT_THAT(error(R"({"dtype":"F32","shape":[2]})"), HasSubstr("must have dtype"));
  EXPECT_THAT(error(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})"),
              HasSubstr("must have dtype"));
  EXPECT_THAT(error(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})"),
              HasSubstr("has dtype \"F64\"; only F32 is read"));
  EXPECT_THAT(error(R"({"dtype":7,"shape":[1],"data_offsets":[0,8]})"), HasSubstr("only F32"));
  EXPECT_THAT(error(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), HasSubstr("a list"));
  EXPECT_THAT(error(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})"),
              HasSubstr("at most 8"));
  for (const char* shape : {"[0]", "[-2]", "[2.0]", "[\"2\"]", "[1e99]", "[18446744073709551615,2]",
                            "[4294967296,4294967296]"}) {
    EXPECT_THAT(
        error(std::string(R"({"dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,8]})"),
        HasSubstr("1 to 2147483648 elements"))
        << shape;
  }
  for (const char* offsets : {"[0]", "[0,8,8]", "[-1,7]", "8", "[0,\"8\"]", "[0,8.0]"}) {
    EXPECT_THAT(error(std::string(R"({"dtype":"F32","shape":[2],"data_offsets":)") + offsets + "}"),
                HasSubstr("two integers"))
        << offsets;
  }
  EXPECT_THAT(error(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
              HasSubstr("has 2 elements, but its offsets are 0 and 4"));
  EXPECT_THAT(error(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), HasSubstr("offsets"));
  EXPECT_THAT(ErrorOf(File("{\"\":{}}", "")), HasSubstr("a name must have 1 to 256 bytes"));
  EXPECT_THAT(ErrorOf(File("{\"" + std::string(257, 'a') + "\":{}}", "")),
              HasSubstr("a name must have 1 to 256 bytes"));
}

TEST(ModelFileTest, OffsetsMustCoverTheData) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[OFFSETS]}})";
  auto error = [&](const std::string& offsets, size_t bytes) {
    std::string text = header;
    return ErrorOf(File(text.replace(text.find("OFFSETS"), 7, offsets), std::string(bytes, '\0')));
  };
  EXPECT_EQ(error("4,8", 8), "no error");
  EXPECT_THAT(error("8,12", 12), HasSubstr("begins at 8, but the one before it ends at 4"));
  EXPECT_THAT(error("0,4", 8), HasSubstr("begins at 0, but the one before it ends at 4"));
  EXPECT_THAT(error("4,8", 9), HasSubstr("end at byte 8 of the data, which has 9"));
  EXPECT_THAT(error("4,8", 7), HasSubstr("end at byte 8 of the data, which has 7"));
}

TEST(ModelFileTest, MetadataIsText) {
  EXPECT_THAT(ErrorOf(File(R"({"__metadata__":1})", "")), HasSubstr("must be an object"));
  EXPECT_THAT(ErrorOf(File(R"({"__metadata__":{"a":1}})", "")), HasSubstr("must be a text"));
}

TEST(ModelFileTest, TooManyTensorsAreRefused) {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxModelTensors; ++i) header += "\"" + std::to_string(i) + "\":0,";
  header.back() = '}';
  EXPECT_THAT(ErrorOf(File(header, "")), HasSubstr("10001 tensors, limit 10000"));
}

TEST(ModelFileTest, ValuesMustBeFinite) {
  ModelFile model = Small();
  model.params[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(ErrorOf(EncodeSafetensors(model)), HasSubstr("parameter 1 of 3 is not a finite"));
}

TEST(ModelFileTest, ParamsAsBytes) {
  const std::vector<float> params = {1.0f, -0.0f, 1e-45f};
  const std::string bytes = ParamsToBytes(params);
  EXPECT_EQ(bytes, std::string("\x00\x00\x80\x3f\x00\x00\x00\x80\x01\x00\x00\x00", 12));
  absl::StatusOr<std::vector<float>> again = ParamsFromBytes(bytes, 3);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, params);
  EXPECT_TRUE(ParamsFromBytes("", 0).ok());
}

TEST(ModelFileTest, ParamsOfTheWrongSizeOrNotFiniteAreErrors) {
  for (uint64_t dim : {uint64_t{0}, uint64_t{2}, uint64_t{4}, uint64_t{1} << 62, UINT64_MAX}) {
    EXPECT_EQ(ParamsFromBytes(std::string(12, '\0'), dim).status().code(),
              absl::StatusCode::kInvalidArgument)
        << dim;
  }
  EXPECT_EQ(ParamsFromBytes(std::string("\x00\x00\x80\x7f", 4), 1).status().message(),
            "parameter 0 of 1 is not a finite number");
}

}  // namespace
}  // namespace dure
