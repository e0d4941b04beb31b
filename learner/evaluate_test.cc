#include "learner/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "learner/initial_weights.h"
#include "learner/per_example.h"

namespace dure {
namespace {

TEST(EvaluateTest, MeansOverTheRecordsOnAnyNumberOfThreads) {
  Network network(MakeArchitecture("mlp", {6}, 3).value());
  network.SetParams(InitialWeights(network.manifest(), 1));
  Dataset data{.shape = {6}};
  std::mt19937 random(1);
  for (int i = 0; i < 50 * 6; ++i) data.features.push_back(static_cast<uint8_t>(random()));
  for (int i = 0; i < 50; ++i) data.labels.push_back(static_cast<float>(random() % 3));

  const auto workspace = network.MakeWorkspace();
  double loss = 0, right = 0;
  for (uint64_t i = 0; i < 50; ++i) {
    const Outcome outcome = Judge(network.loss(), network.Outputs(data.Record(i), *workspace),
                                  data.Record(i), data.labels[i]);
    loss += outcome.loss;
    right += outcome.predicted == data.labels[i];
  }
  for (int threads : {1, 2, 7, 99}) {
    const ModelMetrics result = EvaluateModel(network, data, threads);
    EXPECT_EQ(result.loss(), loss / 50);
    EXPECT_EQ(result.accuracy(), right / 50);
    EXPECT_EQ(result.records(), 50u);
  }
}

TEST(EvaluateTest, ADivergedModelHasALossThatIsNotFinite) {
  Network network(MakeArchitecture("logistic_regression", {2}, 2).value());
  network.SetParams(std::vector<float>(network.dim(), std::nanf("")));
  const Dataset data{.shape = {2}, .features = {1, 2}, .labels = {1}};
  EXPECT_FALSE(std::isfinite(EvaluateModel(network, data, 1).loss()));
}

}  // namespace
}  // namespace dure
