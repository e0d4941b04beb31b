#include "cli/memory.h"

#include <malloc.h>

namespace dure::cli {
namespace {

// Blocks of this size and more come from the system one by one. Setting it also keeps the allocator
// from raising it whenever such a block is freed (mallopt(3)).
constexpr int kOwnBlockBytes = 1 << 20;
// Pools of smaller blocks: enough that threads seldom wait for each other.
constexpr int kPools = 2;

}  // namespace

void GiveMemoryBack() {
  mallopt(M_MMAP_THRESHOLD, kOwnBlockBytes);
  mallopt(M_ARENA_MAX, kPools);
}

}  // namespace dure::cli
