// Who may have a connection before anybody knows who it is. gRPC admits every connection that the
// system accepts, and lets each have a handshake, buffers and a minute without a call; this stands
// in front of it: connections of strangers are limited in number, in all and for each address, and
// in time. Those of whom a call has shown a certificate or an invitation are counted no more.
// Thread-safe.
#ifndef DURE_TRANSPORT_DOORKEEPER_H_
#define DURE_TRANSPORT_DOORKEEPER_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "transport/address.h"
#include "transport/limits.h"

namespace dure {

class Doorkeeper {
 public:
  struct Options {
    // Above this, new connections wait in the system's queue until others are known or gone.
    size_t strangers = kMaxStrangers;
    // Above this, those of the same address are closed at once. Of loopback addresses there may be
    // as many as in all: whoever is on this machine can do worse.
    size_t strangers_of_address = kMaxStrangersOfAddress;
    bool limit_loopback = false;
    // A stranger is cut off after this time.
    absl::Duration patience = kStrangerPatience;
  };

  // Takes the address; nobody is let in yet. Errors as ExplainListenFault.
  static absl::StatusOr<std::unique_ptr<Doorkeeper>> Open(const Address& address,
                                                          const Options& options);
  ~Doorkeeper() { Stop(); }

  int port() const { return port_; }

  // Lets connections in from now on: `admit` gets each, on this class's thread.
  void Begin(std::function<void(FileDescriptor)> admit);
  // The connection from `peer`, "192.0.2.7:51324", is no stranger's.
  void Known(const std::string& peer);
  // Lets nobody in any more. Later calls do nothing.
  void Stop();

  // How many strangers there are now, and how many were turned away; for tests and displays.
  size_t strangers();
  size_t turned_away();

 private:
  struct Stranger {
    FileDescriptor connection;  // another descriptor of it
    std::string address;        // without the port
    absl::Time until;
  };
  using Strangers = std::map<std::string, Stranger>;  // by peer

  explicit Doorkeeper(const Options& options) : options_(options) {}
  absl::Status Listen(const Address& address);
  void Run();
  void Accept(int listening);
  void Forget(Strangers::iterator stranger);
  void DropTheLate(absl::Time now);
  // Looks at the listening sockets while there is room.
  void WatchDoor();
  void Wake();

  const Options options_;
  int port_ = 0;
  std::vector<FileDescriptor> listening_;
  FileDescriptor events_;  // epoll
  FileDescriptor wake_;    // eventfd
  std::function<void(FileDescriptor)> admit_;

  std::mutex mutex_;
  bool stopping_ = false;
  bool open_ = false;  // the listening sockets are watched
  Strangers strangers_;
  std::map<int, std::string> peer_of_;  // by descriptor
  std::map<std::string, size_t> of_address_;
  size_t turned_away_ = 0;
  std::thread thread_;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_DOORKEEPER_H_
