#include "learner/batch_sgd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "learner/test_networks.h"

namespace dure {
namespace {

using kernels::TileKernels;

constexpr uint32_t kRecords = 130;

// Steps taken in binary64 with directions of single records, by the kernels of learner/kernels.h.
class Reference {
 public:
  Reference(const Architecture& architecture, const std::vector<float>& params)
      : network_(architecture),
        began_(params.begin(), params.end()),
        now_(began_),
        workspace_(network_.MakeWorkspace()) {}

  void Step(const Dataset& data, std::span<const uint32_t> records, const BatchSteps::Rule& rule) {
    network_.SetParams(std::vector<float>(now_.begin(), now_.end()));
    std::vector<float> one(now_.size());
    std::vector<double> sum(now_.size());
    for (const uint32_t record : records) {
      network_.ToManifestOrder(
          network_.Direction(data.Record(record), data.labels[record], *workspace_),
          std::span(one));
      for (size_t i = 0; i < one.size(); ++i) sum[i] += one[i];
    }
    for (size_t i = 0; i < sum.size(); ++i) {
      const double correction = rule.correction.empty() ? 0 : rule.correction[i];
      now_[i] += rule.learning_rate * (sum[i] / static_cast<double>(records.size()) - correction -
                                       rule.proximal_mu * (now_[i] - began_[i]));
    }
  }
  const std::vector<double>& params() const { return now_; }

 private:
  Network network_;
  std::vector<double> began_, now_;
  std::unique_ptr<ModelWorkspace> workspace_;
};

std::vector<uint32_t> Batch(size_t size, uint32_t first) {
  std::vector<uint32_t> records(size);
  for (size_t i = 0; i < size; ++i) {
    records[i] = (first + 37 * static_cast<uint32_t>(i)) % kRecords;
  }
  return records;
}

std::vector<float> Correction(size_t size) {
  std::vector<float> correction(size);
  for (size_t i = 0; i < size; ++i) correction[i] = 0.01f * static_cast<float>(i % 7) - 0.03f;
  return correction;
}

class BatchSgdTest : public ::testing::TestWithParam<const TileKernels*> {
 protected:
  // The parameters after a step of each size of batch.
  static std::vector<float> After(BatchSgd& sgd, const Dataset& data,
                                  const std::vector<float>& params, const BatchSteps::Rule& rule,
                                  const std::vector<size_t>& batches) {
    sgd.Begin(params, rule);
    for (size_t step = 0; step < batches.size(); ++step) {
      sgd.Step(data, Batch(batches[step], static_cast<uint32_t>(step)));
    }
    std::vector<float> after(params.size());
    sgd.Params(after);
    return after;
  }
};

// One object, for every rule in turn, with batches of one chunk and of several.
TEST_P(BatchSgdTest, StepsFollowTheRule) {
  const std::vector<size_t> batches = {10, 1, 33, 3, 100};
  for (const Architecture& architecture : TestNetworks()) {
    const auto params = InitialWeights(architecture.manifest, 1);
    const Dataset data = TestRecords(architecture, kRecords, /*floats=*/false);
    const auto correction = Correction(params.size());
    BatchSgd sgd(architecture, 2, *GetParam());
    for (const BatchSteps::Rule& rule :
         {BatchSteps::Rule{.learning_rate = 0.05},
          BatchSteps::Rule{.learning_rate = 0.05, .proximal_mu = 0.8, .correction = correction},
          BatchSteps::Rule{.learning_rate = 0.05, .proximal_mu = 0.5},
          BatchSteps::Rule{.learning_rate = 0.02, .correction = correction}}) {
      Reference reference(architecture, params);
      for (size_t step = 0; step < batches.size(); ++step) {
        reference.Step(data, Batch(batches[step], static_cast<uint32_t>(step)), rule);
      }
      const auto after = After(sgd, data, params, rule, batches);
      for (size_t i = 0; i < after.size(); ++i) {
        ASSERT_NEAR(after[i], reference.params()[i], 2e-5)
            << architecture.name << " at " << i << ", mu " << rule.proximal_mu;
      }
    }
  }
}

TEST_P(BatchSgdTest, ThreadsChangeNoBit) {
  const std::vector<size_t> batches = {100, 33, 64, 10, 130};
  for (const Architecture& architecture : TestNetworks()) {
    const auto params = InitialWeights(architecture.manifest, 1);
    const Dataset data = TestRecords(architecture, kRecords, /*floats=*/true);
    for (const double mu : {0.0, 0.5}) {
      const BatchSteps::Rule rule = {.learning_rate = 0.05, .proximal_mu = mu};
      BatchSgd one(architecture, 1, *GetParam());
      const auto want = After(one, data, params, rule, batches);
      for (const int threads : {2, 3, 5}) {
        BatchSgd several(architecture, threads, *GetParam());
        EXPECT_EQ(After(several, data, params, rule, batches), want)
            << architecture.name << " on " << threads;
      }
    }
  }
}

// Neither what a member's model diverged to nor anything else of it reaches the next.
TEST_P(BatchSgdTest, EveryBeginningIsFresh) {
  const std::vector<size_t> batches = {5, 40, 9};
  for (const Architecture& architecture : TestNetworks()) {
    const auto params = InitialWeights(architecture.manifest, 1);
    const Dataset data = TestRecords(architecture, kRecords, /*floats=*/true);
    BatchSgd fresh(architecture, 2, *GetParam()), used(architecture, 2, *GetParam());
    const BatchSteps::Rule rule = {.learning_rate = 0.05};
    const auto want = After(fresh, data, params, rule, batches);
    const std::vector<float> bad(params.size(), std::numeric_limits<float>::infinity());
    for (const float value :
         After(used, data, bad, {.learning_rate = 1, .proximal_mu = 1}, {50, 33})) {
      EXPECT_FALSE(std::isfinite(value));
    }
    EXPECT_EQ(After(used, data, params, rule, batches), want) << architecture.name;
  }
}

// Of large pictures fewer go through at once, and a batch is the sum of its records all the same.
TEST_P(BatchSgdTest, LargePicturesTakeBoundedMemory) {
  const Architecture architecture = TestNetwork(
      "large", {1, 420, 420},
      {Conv2dLayer{"a", 16, 3, 1, 1}, ReluLayer{}, MaxPoolLayer{42, 42}, LinearLayer{"b", 3}});
  const BatchNetwork network(architecture, *GetParam());
  EXPECT_LT(network.most_records(), 3u);
  EXPECT_LE(network.layout().record_floats() * network.most_records(), kBatchFloats);
  const auto params = InitialWeights(architecture.manifest, 1);
  const Dataset data = TestRecords(architecture, 4, /*floats=*/false);
  const BatchSteps::Rule rule = {.learning_rate = 0.05};
  BatchSgd sgd(architecture, 3, *GetParam());
  Reference reference(architecture, params);
  std::vector<float> after(params.size());
  const std::vector<uint32_t> records = {0, 1, 2, 3};
  sgd.Begin(params, rule);
  sgd.Step(data, records);
  sgd.Params(after);
  reference.Step(data, records, rule);
  for (size_t i = 0; i < after.size(); ++i) {
    ASSERT_NEAR(after[i], reference.params()[i], 2e-5) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, BatchSgdTest,
                         ::testing::ValuesIn(kernels::TileKernelsHere()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace dure
