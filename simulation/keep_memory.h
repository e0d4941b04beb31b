// What a program that simulates tells its memory allocator. Thread-safe.
#ifndef DURE_SIMULATION_KEEP_MEMORY_H_
#define DURE_SIMULATION_KEEP_MEMORY_H_

#include <malloc.h>

namespace dure::simulation {

// A round takes and gives back the same memory as the one before: it stays with the process, which
// is spared the zeroing of fresh pages by the kernel.
inline void KeepMemory() {
  constexpr int kMost = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kMost);
  mallopt(M_TRIM_THRESHOLD, kMost);
}

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_KEEP_MEMORY_H_
