// Keeps the libraries that this room uses from writing to standard error.
#ifndef DURE_TRANSPORT_QUIET_H_
#define DURE_TRANSPORT_QUIET_H_

namespace dure {

// Sends the logs of gRPC and of protobuf to LogDebug: what a peer or a pasted text does wrong comes
// back as a status, in words for people. Once a process; later calls do nothing. Thread-safe.
void QuietLibraries();

}  // namespace dure

#endif  // DURE_TRANSPORT_QUIET_H_
