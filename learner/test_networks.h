// For tests: networks with every kind of layer, and with the sizes that are easily got wrong.
#ifndef DURE_LEARNER_TEST_NETWORKS_H_
#define DURE_LEARNER_TEST_NETWORKS_H_

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "learner/architecture.h"
#include "learner/data/dataset.h"

namespace dure {

inline Architecture TestNetwork(const std::string& name, const std::vector<uint32_t>& shape,
                                std::vector<Layer> layers,
                                Loss loss = ModelSection::CROSS_ENTROPY) {
  Architecture architecture = ArchitectureOfLayers(name, shape, std::move(layers)).value();
  architecture.loss = loss;
  return architecture;
}

inline std::vector<Architecture> TestNetworks() {
  using Conv = Conv2dLayer;
  using Linear = LinearLayer;
  using Pool = MaxPoolLayer;
  return {
      TestNetwork("linear", {7}, {Linear{"a", 3}}),
      TestNetwork("two_classes", {33}, {Linear{"a", 17}, TanhLayer{}, Linear{"b", 1}},
                  ModelSection::BCE_WITH_LOGITS),
      TestNetwork("number", {5}, {Linear{"a", 40}, ReluLayer{}, Linear{"b", 1}}, ModelSection::MSE),
      TestNetwork("wide", {1024},
                  {Linear{"a", 47}, ReluLayer{}, Linear{"b", 1024}, ReluLayer{}, Linear{"c", 10}}),
      TestNetwork("of_pictures", {3, 5, 4}, {Linear{"a", 20}, TanhLayer{}, Linear{"b", 6}}),
      TestNetwork("mcmahan", {1, 13, 11},
                  {Conv{"a", 18, 5, 1, 2}, ReluLayer{}, Pool{2, 2}, Conv{"b", 33, 5, 1, 2},
                   ReluLayer{}, Pool{2, 2}, Linear{"c", 21}, ReluLayer{}, Linear{"d", 10}}),
      TestNetwork("strided", {2, 17, 20},
                  {Conv{"a", 16, 8, 2, 3}, TanhLayer{}, Pool{2, 1}, Conv{"b", 20, 4, 2, 0},
                   TanhLayer{}, Pool{2, 1}, Linear{"c", 9}, TanhLayer{}, Linear{"d", 5}}),
      TestNetwork("deep", {3, 12, 15},
                  {Conv{"a", 5, 3, 1, 1}, ReluLayer{}, Conv{"b", 17, 3, 1, 0}, ReluLayer{},
                   Conv{"c", 32, 3, 3, 2}, TanhLayer{}, Conv{"d", 6, 1, 1, 1}, Linear{"e", 4}}),
      TestNetwork("late", {4, 9, 9},
                  {TanhLayer{}, Pool{2, 1}, ReluLayer{}, Conv{"a", 24, 3, 1, 1}, TanhLayer{},
                   ReluLayer{}, Pool{3, 2}, Conv{"b", 16, 2, 1, 1}, Pool{3, 1}, Linear{"c", 3}}),
      TestNetwork("only_convolutions", {1, 6, 6},
                  {Conv{"a", 40, 3, 2, 0}, ReluLayer{}, Conv{"b", 7, 2, 1, 0}}),
  };
}

// Records that the network can learn from: bytes, or floats around 0.
inline Dataset TestRecords(const Architecture& architecture, uint32_t count, bool floats) {
  std::mt19937 random(11);
  Dataset data{.shape = architecture.shape};
  const uint64_t size = data.record_size() * count;
  for (uint64_t i = 0; i < size; ++i) {
    if (floats) {
      data.numbers.push_back(static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
    } else {
      data.features.push_back(static_cast<uint8_t>(random()));
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t classes =
        architecture.loss == ModelSection::CROSS_ENTROPY ? architecture.classes : 2;
    data.labels.push_back(static_cast<float>(random() % classes));
  }
  return data;
}

}  // namespace dure

#endif  // DURE_LEARNER_TEST_NETWORKS_H_
