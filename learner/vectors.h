// Vectors of 16 floats by GCC's extensions, which split them into what the target has. For
// learner/*kernels.cc only: a function marked DURE_INLINE is one body for all instruction sets,
// inlined into functions that differ in their target alone.
#ifndef DURE_LEARNER_VECTORS_H_
#define DURE_LEARNER_VECTORS_H_

#include <cstdint>
#include <cstring>

#define DURE_INLINE [[gnu::always_inline]] inline

namespace dure::kernels {

using Vec [[gnu::vector_size(64), gnu::may_alias]] = float;
using IntVec [[gnu::vector_size(64), gnu::may_alias]] = int32_t;

// Unaligned loads and stores; memcpy of a constant size is one instruction a vector.
DURE_INLINE void Load(Vec* v, const float* from) { std::memcpy(v, from, sizeof(Vec)); }
DURE_INLINE void Load(IntVec* v, const int32_t* from) { std::memcpy(v, from, sizeof(IntVec)); }
DURE_INLINE void Store(float* to, const Vec& v) { std::memcpy(to, &v, sizeof(Vec)); }
DURE_INLINE void Store(int32_t* to, const IntVec& v) { std::memcpy(to, &v, sizeof(IntVec)); }

}  // namespace dure::kernels

#endif  // DURE_LEARNER_VECTORS_H_
