// Compares the kernels of learner/kernels.h and learner/tile_kernels.h with LibTorch's autograd on
// this processor: a library or a compiler that chose code which the processor does not run as meant
// would otherwise go unseen. Thread-safe.
#ifndef DURE_LEARNER_KERNEL_CHECK_H_
#define DURE_LEARNER_KERNEL_CHECK_H_

#include "absl/status/status.h"
#include "learner/architecture.h"

namespace dure {

// Most difference between a coordinate of one gradient and the other, as a share of the largest.
inline constexpr float kKernelTolerance = 1e-4f;

// Computes the gradient of a made-up record at made-up weights in all these ways.
// FailedPrecondition, with the figures, if they differ by more than the tolerance; Internal if
// LibTorch fails.
absl::Status CheckKernels(const Architecture& architecture);

}  // namespace dure

#endif  // DURE_LEARNER_KERNEL_CHECK_H_
