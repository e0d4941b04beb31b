// Training on whole mini-batches against LibTorch: every kind of layer and loss by its autograd,
// and some steps of SGD by a plain loop.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <variant>
#include <vector>

#include "learner/batch_sgd.h"
#include "learner/epochs.h"
#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "learner/plain_loop_torch.h"
#include "learner/test_networks.h"
#include "learner/torch_models.h"

namespace dure {
namespace {

using kernels::Then;
using kernels::TileKernels;

class BatchTorchTest : public ::testing::TestWithParam<int> {
 protected:
  BatchTorchTest()
      : architecture_(TestNetworks()[static_cast<size_t>(GetParam())]),
        params_(InitialWeights(architecture_.manifest, 3)),
        data_(TestRecords(architecture_, kBatchChunk, /*floats=*/GetParam() % 2 == 0)) {}

  float Largest(const std::vector<float>& values) const {
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::abs(value));
    return largest;
  }

  Architecture architecture_;
  std::vector<float> params_;
  Dataset data_;
};

TEST_P(BatchTorchTest, GradientsAgreeWithAutograd) {
  const std::unique_ptr<TrainableModel> torch_model = MakeTorchModel(architecture_);
  torch_model->SetParams(params_);
  const auto workspace = torch_model->MakeWorkspace();
  for (const TileKernels* tile_kernels : kernels::TileKernelsHere()) {
    const BatchNetwork network(architecture_, *tile_kernels);
    const size_t size = network.layout().size();
    AlignedFloats packed(size), sum(size);
    network.layout().Pack(*tile_kernels, params_, packed.data());
    BatchScratch scratch;
    for (const size_t count : {size_t{1}, size_t{3}, size_t{17}, kBatchChunk}) {
      std::vector<uint32_t> records(count);
      std::iota(records.begin(), records.end(), 0u);
      std::vector<float> want(params_.size()), got(params_.size());
      torch_model->AddDirections(data_, records, want, *workspace);
      ASSERT_EQ(torch_model->trouble(), "");
      network.Backpropagate(packed.data(), data_, records, {.then = Then::kStore, .to = sum.data()},
                            scratch);
      network.layout().Unpack(*tile_kernels, sum.data(), got);
      const float tolerance = 2e-5f * Largest(want);
      ASSERT_GT(tolerance, 0);
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], tolerance)
            << tile_kernels->name << ", " << count << " records, at " << i;
      }
    }
  }
}

// Five steps: batches of all ten records, so that their order says nothing.
TEST_P(BatchTorchTest, StepsOfSgdAgreeWithAPlainLoop) {
  constexpr double kRate = 0.05;
  std::vector<uint32_t> records(10);
  std::iota(records.begin(), records.end(), 5u);
  Network network(architecture_);
  EpochTraining training(&network, 1);
  std::vector<float> got(params_.size());
  ASSERT_TRUE(training
                  .Run(DataView(data_, records), params_,
                       {.epochs = 5, .batch_size = 10, .learning_rate = kRate}, got)
                  .ok());
  const PlainLoop loop(architecture_, data_);
  std::vector<uint32_t> five_times;
  for (int i = 0; i < 5; ++i) five_times.insert(five_times.end(), records.begin(), records.end());
  std::vector<float> want(params_.size());
  const absl::Status done = loop.Train(five_times, 10, kRate, params_, want);
  ASSERT_TRUE(done.ok()) << done;
  const float tolerance = 1e-4f * Largest(want);
  ASSERT_GT(tolerance, 0);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << i;
}

// Those that end with a row of numbers, as LibTorch's losses take it.
std::vector<int> EndingWithARow() {
  std::vector<int> networks;
  for (size_t i = 0; i < TestNetworks().size(); ++i) {
    if (std::holds_alternative<LinearLayer>(TestNetworks()[i].layers.back())) {
      networks.push_back(static_cast<int>(i));
    }
  }
  return networks;
}

INSTANTIATE_TEST_SUITE_P(Networks, BatchTorchTest, ::testing::ValuesIn(EndingWithARow()),
                         [](const auto& info) {
                           return TestNetworks()[static_cast<size_t>(info.param)].name;
                         });

}  // namespace
}  // namespace dure
