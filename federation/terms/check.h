// What `dure check` says about a federation file before anything runs: does it work, what does it
// cost, what does it promise and what not. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_CHECK_H_
#define DURE_FEDERATION_TERMS_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

struct CheckReport {
  std::string name;
  Digest spec_digest{};
  std::string architecture;    // "cnn"
  uint64_t model_bytes = 0;    // 4 d
  bool members_known = false;  // false: no cohort is set, the numbers are for `minimum` members
  RoundTerms terms;

  // Bytes of one finished round for one member (docs/secure-aggregation.md section 3).
  uint64_t bytes_up = 0;
  uint64_t bytes_down = 0;

  // epsilon once that many rounds have taken one attempt each.
  struct Cost {
    uint32_t rounds = 0;
    double epsilon = 0;
  };
  uint32_t rounds = 0;
  std::vector<Cost> quarters;  // after each quarter of the run; the last entry is the whole run
  double epsilon_all_attempts = 0;  // after affordable_attempts
  double max_epsilon = 0;
  uint32_t affordable_attempts = 0;  // before max_epsilon or max_attempts stops the run

  // Standard deviation of the noise in the opened sum over that of the accounting, if everybody
  // stays: sqrt(invited / h). At least 1; the accounting is for the worst case.
  double noise_excess = 1;
  // epsilon of the whole run if only a member's own noise protects it: what remains where the
  // coordinator also runs the enrolment CA or enrols members that it made up (section 2.3).
  double epsilon_own_noise = 0;

  // What honesty demands to say beside the numbers, one sentence or two each.
  std::vector<std::string> warnings;
};

// `spec` as ParseFederation returns it. FailedPrecondition, with the numbers and the remedy, for
// what cannot work: an input that the architecture refuses, a threshold that cannot be met, a
// budget that is spent before the last round.
absl::StatusOr<CheckReport> CheckFederation(const FederationSpec& spec);

// For people: about 30 lines of at most 90 columns, ending in a newline.
std::string CheckToText(const CheckReport& report);

// One JSON object, without a newline.
std::string CheckToJson(const CheckReport& report);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_CHECK_H_
