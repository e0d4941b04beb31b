// A federation in a folder, ready to run: keys, certificates, initial weights, a store with the
// members enrolled, and a node for each. Not thread-safe.
#ifndef DURE_CLI_BENCH_FIXTURE_H_
#define DURE_CLI_BENCH_FIXTURE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/service/node.h"
#include "coordinator/service/federation_folder.h"

namespace dure::bench {

struct FixtureOptions {
  std::string folder;
  uint32_t features = 0, classes = 0;  // of a logistic regression: d = (features + 1) classes
  uint32_t members = 10;               // enrolled
  uint32_t cohort = 10;
  uint32_t rounds = 20;
  bool noiseless = false;
  bool plain = false;  // local training without privacy and without secure aggregation
  bool paused = false;  // the run begins when the organiser says so
  uint32_t deadline_seconds = 600;
  bool nodes = true;  // a node for each member; else its key and certificate alone
};

struct LoadIdentity {
  SigningKey key;
  std::string certificate;  // DER
};
// Of a member of a fixture without nodes.
absl::StatusOr<LoadIdentity> ReadLoadIdentity(const std::string& folder, uint32_t member);

absl::Status MakeFixture(const FixtureOptions& options);

// The coordinator's folder and a member's, for Start of their services. A federation without noise
// is a file with noise and a marker beside it: no file can ask for it.
absl::StatusOr<FederationFolder> ReadFixtureFederation(const std::string& folder);
absl::StatusOr<Node> ReadFixtureNode(const std::string& folder, uint32_t member);
std::string FixtureFederationFolder(const std::string& folder);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_FIXTURE_H_
