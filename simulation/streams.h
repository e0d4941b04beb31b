// Where the randomness of a simulation comes from: streams that are a function of the run's seed,
// of what they are for, of the attempt and of the client, and of nothing else. So neither the
// number of threads, nor the number of processes, nor who is trained first changes a bit.
// Thread-safe: pure functions.
#ifndef DURE_SIMULATION_STREAMS_H_
#define DURE_SIMULATION_STREAMS_H_

#include <cstdint>
#include <string_view>

#include "crypto/random.h"

namespace dure::simulation {

// What a stream is keyed by besides the seed and its purpose; 0 where a purpose has no such number.
struct StreamKey {
  uint32_t attempt = 0;
  uint32_t client = 0;
};

AesCtrRandom::Seed StreamSeed(uint64_t seed, std::string_view purpose, StreamKey key = {});

inline AesCtrRandom StreamOf(uint64_t seed, std::string_view purpose, StreamKey key = {}) {
  return AesCtrRandom(StreamSeed(seed, purpose, key));
}

// Uniform on [0, 1), 53 bits.
inline double Uniform(AesCtrRandom& random) {
  return static_cast<double>(random.NextU64() >> 11) * 0x1p-53;
}

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_STREAMS_H_
