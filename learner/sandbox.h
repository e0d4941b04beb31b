// What the trainer gives up after its libraries are loaded and before it sees a model or data:
// network, files, other programs and processes, and more memory than it needs. Linux only. The
// promises are kept by no_new_privs, seccomp (an allow list, on every thread) and resource limits.
// Behind them is a second line where the system has it, by other means: namespaces of its own, in
// which there is no network, and Landlock, under which there are no files (IsSpareLayer).
#ifndef DURE_LEARNER_SANDBOX_H_
#define DURE_LEARNER_SANDBOX_H_

#include <cstdint>
#include <vector>

#include "learner/trainer_channel.h"

namespace dure {

// Builds for tests with a sanitizer have no memory limit, because its shadow memory is terabytes
// that would count, and may make pipes, by which it asks whether memory is there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

struct SandboxOptions {
  // RLIMIT_DATA, private memory that can be written, where the process has no limit of it yet.
  uint64_t memory_bytes = uint64_t{8} << 30;
  uint64_t descriptors = 32;                  // RLIMIT_NOFILE
};

// Applies every layer that this system allows, for the whole process and for good, then tries what
// must now fail; the report says which layers hold. Descriptors that are open stay usable.
std::vector<SandboxLayer> EnterSandbox(const SandboxOptions& options);

}  // namespace dure

#endif  // DURE_LEARNER_SANDBOX_H_
