#include "learner/batch_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "learner/test_networks.h"

namespace dure {
namespace {

using kernels::Then;
using kernels::TileKernels;

class BatchNetworkTest : public ::testing::TestWithParam<std::pair<const TileKernels*, int>> {
 protected:
  BatchNetworkTest()
      : kernels_(*GetParam().first),
        architecture_(TestNetworks()[static_cast<size_t>(GetParam().second)]),
        network_(architecture_, kernels_),
        one_by_one_(architecture_),
        params_(InitialWeights(architecture_.manifest, 3)),
        packed_(network_.layout().size()) {
    // Biases too, or a wrong one would not be seen.
    for (size_t i = 0; i < params_.size(); i += 3) params_[i] += 0.03125f;
    one_by_one_.SetParams(params_);
    network_.layout().Pack(kernels_, params_, packed_.data());
    data_ = TestRecords(architecture_, kBatchChunk, /*floats=*/GetParam().second % 2 == 1);
  }

  std::vector<float> Unpacked(const float* packed) const {
    std::vector<float> values(params_.size());
    network_.layout().Unpack(kernels_, packed, values);
    return values;
  }

  const TileKernels& kernels_;
  Architecture architecture_;
  BatchNetwork network_;
  Network one_by_one_;
  std::vector<float> params_;
  AlignedFloats packed_;
  Dataset data_;
};

TEST_P(BatchNetworkTest, PackingLosesNothingAndAddsZeros) {
  EXPECT_EQ(Unpacked(packed_.data()), params_);
  // As many numbers as there are, and nothing else.
  const auto used = std::count_if(packed_.data(), packed_.data() + packed_.size(),
                                  [](float value) { return value != 0; });
  EXPECT_EQ(used,
            std::count_if(params_.begin(), params_.end(), [](float value) { return value != 0; }));
}

// The sum over a batch is that of the directions of its records, each computed by itself by the
// kernels of learner/kernels.h; what is too much in the packed sum is zero.
TEST_P(BatchNetworkTest, ABatchIsTheSumOfItsRecords) {
  BatchScratch scratch;
  const auto workspace = one_by_one_.MakeWorkspace();
  for (const size_t count : {size_t{1}, size_t{3}, size_t{10}, kBatchChunk, size_t{2}}) {
    std::vector<uint32_t> records(count);
    for (size_t i = 0; i < count; ++i)
      records[i] = static_cast<uint32_t>((7 * i + 3) % kBatchChunk);
    std::vector<float> want(params_.size()), one(params_.size());
    for (const uint32_t record : records) {
      one_by_one_.ToManifestOrder(
          one_by_one_.Direction(data_.Record(record), data_.labels[record], *workspace),
          std::span(one));
      for (size_t i = 0; i < one.size(); ++i) want[i] += one[i];
    }
    AlignedFloats sum(packed_.size());
    network_.Backpropagate(packed_.data(), data_, records, {.then = Then::kStore, .to = sum.data()},
                           scratch);
    const auto got = Unpacked(sum.data());
    const float largest = std::abs(*std::max_element(
        want.begin(), want.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
    ASSERT_GT(largest, 0);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], want[i], 2e-5f * largest) << i << " of " << count << " records";
    }
    const auto used =
        std::count_if(sum.data(), sum.data() + sum.size(), [](float value) { return value != 0; });
    EXPECT_EQ(used, std::count_if(got.begin(), got.end(), [](float value) { return value != 0; }));
    // Added to what is there, bit for bit.
    AlignedFloats twice(packed_.size());
    for (const Then then : {Then::kStore, Then::kAdd}) {
      network_.Backpropagate(packed_.data(), data_, records, {.then = then, .to = twice.data()},
                             scratch);
    }
    for (size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(twice.data()[i], 2 * sum.data()[i]);
  }
}

TEST_P(BatchNetworkTest, OutputsAreThoseOfEachRecord) {
  BatchScratch scratch;
  const auto workspace = one_by_one_.MakeWorkspace();
  std::vector<uint32_t> records(kBatchChunk);
  std::iota(records.begin(), records.end(), 0u);
  const float* outputs = network_.Outputs(packed_.data(), data_, records, scratch);
  for (const uint32_t record : records) {
    const auto want = one_by_one_.Outputs(data_.Record(record), *workspace);
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(outputs[record * network_.output_stride() + i], want[i],
                  1e-5 * (1 + std::abs(want[i])));
    }
  }
  // A record's outputs have the same bits whatever else goes through with it.
  std::vector<float> among(outputs + 5 * network_.output_stride(),
                           outputs + 5 * network_.output_stride() + architecture_.classes);
  const std::vector<uint32_t> alone = {5};
  BatchScratch other;
  const float* again = network_.Outputs(packed_.data(), data_, alone, other);
  EXPECT_EQ(std::vector<float>(again, again + architecture_.classes), among);
}

std::vector<std::pair<const TileKernels*, int>> AllOfThem() {
  std::vector<std::pair<const TileKernels*, int>> all;
  for (const TileKernels* tile_kernels : kernels::TileKernelsHere()) {
    for (size_t i = 0; i < TestNetworks().size(); ++i) {
      all.emplace_back(tile_kernels, static_cast<int>(i));
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Networks, BatchNetworkTest, ::testing::ValuesIn(AllOfThem()),
                         [](const auto& info) {
                           return std::string(info.param.first->name) + "_" +
                                  TestNetworks()[static_cast<size_t>(info.param.second)].name;
                         });

}  // namespace
}  // namespace dure
