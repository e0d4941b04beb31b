// Leaves the namespaces of this machine for empty ones: no network but a loopback that is down, no
// shared memory of others. A second line behind the sandbox (learner/sandbox.h), which looks
// whether it holds. Linux only.
#ifndef DURE_LEARNER_NAMESPACES_H_
#define DURE_LEARNER_NAMESPACES_H_

namespace dure {

// For this process and what it executes. What the system does not allow is left as it was. The
// process must have one thread, as after fork(). Async-signal-safe.
void LeaveNamespaces();

}  // namespace dure

#endif  // DURE_LEARNER_NAMESPACES_H_
