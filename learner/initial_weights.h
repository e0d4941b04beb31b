// The weights a run begins with: PyTorch's default initialisation, drawn from a stream of our own,
// so that a seed gives the same weights with every version of LibTorch. Uniform on
// +-1 / sqrt(fan-in) for weights and biases of convolutions and linear layers, on +-1 / sqrt(units)
// for recurrent ones; normal for embeddings; 1 and 0 for the weights and biases of normalisation.
// Thread-safe.
#ifndef DURE_LEARNER_INITIAL_WEIGHTS_H_
#define DURE_LEARNER_INITIAL_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "federation/manifest.h"

namespace dure {

// Values in the manifest's order; the stream is AES-256-CTR keyed with `seed` (little-endian in the
// first 8 bytes). The weights are public: a seed is no secret.
std::vector<float> InitialWeights(const ParamManifest& manifest, uint64_t seed);

}  // namespace dure

#endif  // DURE_LEARNER_INITIAL_WEIGHTS_H_
