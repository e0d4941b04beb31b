// What every use of gRPC in this process needs first.
#ifndef DURE_TRANSPORT_GRPC_SETUP_H_
#define DURE_TRANSPORT_GRPC_SETUP_H_

namespace dure {

// Sends gRPC's own log, which nobody asked for, to LogDebug. Once a process; later calls return at
// once. Thread-safe.
void SetUpGrpc();

}  // namespace dure

#endif  // DURE_TRANSPORT_GRPC_SETUP_H_
