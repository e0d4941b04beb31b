// How a long-running program of ours keeps memory. Call before any thread is started.
#ifndef DURE_CLI_MEMORY_H_
#define DURE_CLI_MEMORY_H_

namespace dure::cli {

// Lets the memory of models and uploads go back to the system as soon as it is freed: left to
// itself, the allocator keeps as much as ever was in use, for each thread apart, and gRPC for each
// connection.
void GiveMemoryBack();

}  // namespace dure::cli

#endif  // DURE_CLI_MEMORY_H_
