#include "cli/memory.h"

#include <malloc.h>

#include <cstdlib>

namespace dure::cli {
namespace {

// Blocks of this size and more come from the system one by one. Setting it also keeps the allocator
// from raising it whenever such a block is freed (mallopt(3)).
constexpr int kOwnBlockBytes = 1 << 20;
// Pools of smaller blocks: enough that threads seldom wait for each other.
constexpr int kPools = 2;

// Left to itself, gRPC keeps a buffer for each connection that is as long as what came in one go:
// megabytes, when models travel. Without this it reads kReadChunkBytes (transport/server.cc) at a
// time into one that is freed. What is in the environment already stays.
constexpr char kGrpcExperiments[] = "-tcp_read_chunks";

}  // namespace

void GiveMemoryBack() {
  setenv("GRPC_EXPERIMENTS", kGrpcExperiments, /*overwrite=*/0);
  mallopt(M_MMAP_THRESHOLD, kOwnBlockBytes);
  mallopt(M_ARENA_MAX, kPools);
}

}  // namespace dure::cli
