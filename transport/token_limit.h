// Wrong secrets of invitations, counted for each address and in all: two token buckets (RFC 2697
// has the idea), so that nobody can try many, or fill the log with them. A secret has 256 bits and
// is not found by trying; this keeps the noise down. Pure. Not thread-safe.
#ifndef DURE_TRANSPORT_TOKEN_LIMIT_H_
#define DURE_TRANSPORT_TOKEN_LIMIT_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dure {

class TokenLimit {
 public:
  // Wrong ones that an address may send at once, and how often one more.
  static constexpr double kBurst = 10;
  static constexpr absl::Duration kOneMore = absl::Seconds(30);
  // All addresses together.
  static constexpr double kBurstInAll = 1000;
  static constexpr absl::Duration kOneMoreInAll = absl::Milliseconds(100);
  // Addresses that are remembered. One more, and the one that has been quiet for longest is not.
  static constexpr size_t kMostAddresses = 4096;

  // ResourceExhausted, with the time to wait, if the address, or everybody, has sent too many.
  // Right or wrong: the answer does not tell.
  absl::Status Check(const std::string& address, absl::Time now);
  // The secret that came from there was wrong.
  void Failed(const std::string& address, absl::Time now);

  size_t addresses() const { return addresses_.size(); }

 private:
  struct Bucket {
    double used = 0;    // what has not run out yet
    absl::Time newest;  // when `used` was right
  };
  // A clock that goes back only stops the bucket from running out.
  static void RunOut(Bucket* bucket, absl::Duration one_more, absl::Time now);

  std::map<std::string, Bucket> addresses_;
  Bucket all_;
};

// The part of gRPC's "ipv4:192.0.2.7:51324" or "ipv6:%5B2001:db8::7%5D:51324" by which an address
// is counted: without the port, and of IPv6 the first 64 bits, of which one person has many.
std::string HostForLimit(std::string_view peer);

}  // namespace dure

#endif  // DURE_TRANSPORT_TOKEN_LIMIT_H_
