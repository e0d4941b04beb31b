#include "cli/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace dure::cli {
namespace {

// Blocks of this size and more come from the system one by one. Setting it also keeps the allocator
// from raising it whenever such a block is freed (mallopt(3)).
constexpr int kOwnBlockBytes = 1 << 20;
// One pool of smaller blocks: what one thread has freed another can use. With a pool for each
// thread, what gRPC reads a message into is there once for each.
constexpr int kPools = 1;
// From here on, blocks are asked for in huge pages: models and uploads come and go every round, and
// taking them page by page would be most of the work of the round.
constexpr size_t kHugeBlockBytes = size_t{4} << 20;

// Left to itself, gRPC keeps a buffer for each connection that is as long as what came in one go:
// megabytes, when models travel. Without this it reads kReadChunkBytes (transport/server.cc) at a
// time into one that is freed. What is in the environment already stays.
constexpr char kGrpcExperiments[] = "-tcp_read_chunks";

// Advice only: where the system has no huge pages to give, nothing changes.
[[maybe_unused]] void AskForHugePages(void* block, size_t size) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + size) / page * page;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace

void GiveMemoryBack() {
  setenv("GRPC_EXPERIMENTS", kGrpcExperiments, /*overwrite=*/0);
  mallopt(M_MMAP_THRESHOLD, kOwnBlockBytes);
  mallopt(M_ARENA_MAX, kPools);
}

}  // namespace dure::cli

// The program's own operator new ([replacement.functions]): the library's, with huge pages for
// large blocks. The array and nothrow forms call these. A sanitizer brings its own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t size) {
  for (;;) {
    if (void* block = std::malloc(size == 0 ? 1 : size)) {
      if (size >= dure::cli::kHugeBlockBytes) dure::cli::AskForHugePages(block, size);
      return block;
    }
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
#endif
