// Files as torch.save of Python writes them: learner's reader and LibTorch's own writer share the
// format; tests/golden/torch has two that Python wrote.
#include "learner/tensor_data_torch.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include "base/file.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Save(const c10::IValue& value) {
  const std::vector<char> bytes = torch::jit::pickle_save(value);
  return {bytes.begin(), bytes.end()};
}

std::string Pair(const at::Tensor& records, const at::Tensor& labels) {
  return Save(c10::ivalue::Tuple::create({records, labels}));
}

void ExpectRefused(const std::string& bytes, const std::string& text) {
  auto data = ReadTensors(bytes, "records.pt", ModelSection::CROSS_ENTROPY);
  EXPECT_EQ(data.status().code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(data.status().message()), HasSubstr(text));
}

TEST(TensorDataTest, WhatPythonWrote) {
  const std::string folder = DURE_SOURCE_DIR "/tests/golden/torch/";
  auto data = ReadTensors(ReadFile(folder + "tuple.pt", 1 << 16).value(), "tuple.pt",
                          ModelSection::CROSS_ENTROPY);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(2));
  EXPECT_THAT(data->numbers, ElementsAre(0.5f, 1.5f, -2, 4, 8, 16));
  EXPECT_THAT(data->labels, ElementsAre(0, 2, 1));
  data = ReadTensors(ReadFile(folder + "dict.pt", 1 << 16).value(), "dict.pt", ModelSection::MSE);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(1, 2, 2));
  EXPECT_THAT(data->features, ElementsAre(0, 1, 2, 3, 4, 5, 6, 255));
  EXPECT_THAT(data->labels, ElementsAre(0.25f, -3));
}

TEST(TensorDataTest, TokensNeedNoLabels) {
  auto data =
      ReadTensors(Save(at::full({2, 5}, 7, at::kLong)), "records.pt", ModelSection::NEXT_TOKEN);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->numbers, std::vector<float>(10, 7));
  EXPECT_EQ(data->labels, std::vector<float>(2, 0));
}

TEST(TensorDataTest, AnythingElseIsRefusedWithWhatIsNeeded) {
  const at::Tensor labels = at::zeros({2}, at::kLong);
  ExpectRefused(Save(at::ones({2, 3})), "a tuple (records, labels)");
  ExpectRefused(Pair(at::ones({2, 3}, at::kDouble), labels), "its records are float64");
  ExpectRefused(Pair(at::ones({2, 3}), at::zeros({2}, at::kDouble)), "its labels are float64");
  ExpectRefused(Pair(at::ones({2}), labels), "its records have the shape [2]");
  ExpectRefused(Pair(at::ones({3, 3}), labels), "3 records and labels of the shape [2]");
  ExpectRefused(Pair(at::full({2, 3}, NAN), labels), "is not finite");
  ExpectRefused(Pair(at::full({2, 3}, int64_t{1} << 40, at::kLong), labels), "up to 16777216");
  ExpectRefused(Pair(at::zeros({2, 0}), labels), "a side of 0");
  ExpectRefused("PK\x03\x04 and no more", "no file of torch.save");
  ExpectRefused("", "no file of torch.save");
  const std::string good = Pair(at::ones({2, 3}), labels);
  for (size_t cut = 1; cut < good.size(); cut += 97) {
    EXPECT_FALSE(ReadTensors(good.substr(0, cut), "r.pt", ModelSection::CROSS_ENTROPY).ok());
  }
}

}  // namespace
}  // namespace dure
