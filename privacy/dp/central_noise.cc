#include "privacy/dp/central_noise.h"

#include <vector>

#include "base/status_macros.h"
#include "privacy/dp/blocks.h"
#include "privacy/dp/discrete_gaussian.h"

namespace dure::dp {

absl::Status AddCentralNoise(uint64_t sigma2, AesCtrRandom& random, int threads,
                             std::span<int64_t> sum) {
  DURE_ASSIGN_OR_RETURN(const DiscreteGaussian gaussian, DiscreteGaussian::Create(sigma2));
  const BlockSeeds seeds(CountBlocks(sum.size()), random);
  ForEachBlock(sum.size(), threads, [&](const Block& block) {
    AesCtrRandom stream = seeds.RandomOf(block);
    const std::span<int64_t> part = sum.subspan(block.first, block.size);
    std::vector<int64_t> noise(part.size());
    gaussian.Fill(stream, noise);
    for (size_t i = 0; i < part.size(); ++i) part[i] += noise[i];
    WipeBytes({reinterpret_cast<uint8_t*>(noise.data()), noise.size() * sizeof(noise[0])});
  });
  return absl::OkStatus();
}

}  // namespace dure::dp
