// The machine's limit for what travels: bare gRPC streams of 1 MiB messages over mutual TLS, ten
// at once, both ends on this machine and each a process.
#ifndef DURE_CLI_BENCH_STREAM_LIMIT_H_
#define DURE_CLI_BENCH_STREAM_LIMIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/bench/figure.h"

namespace dure::bench {

struct StreamRates {
  double up = 0, down = 0;  // bytes a second, to and from the server
};

// `folder` has a fixture, whose certificates are used.
absl::StatusOr<StreamRates> MeasureStreams(const Settings& settings, const std::string& folder);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_STREAM_LIMIT_H_
