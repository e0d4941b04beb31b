#include "simulation/streams.h"

#include "crypto/digest.h"

namespace dure::simulation {

AesCtrRandom::Seed StreamSeed(uint64_t seed, std::string_view purpose, StreamKey key) {
  return Transcript("simulation")
      .AddU64(seed)
      .Add(purpose)
      .AddU32(key.attempt)
      .AddU32(key.client)
      .Hash();
}

}  // namespace dure::simulation
