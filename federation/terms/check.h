// What `dure check` says about a federation file before anything runs: does it
// work, what does it cost, what does it promise and what not. Thread-safe: pure
// functions.
#ifndef DURE_FEDERATION_TERMS_CHECK_H_
#define DURE_FEDERATION_TERMS_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "federation/terms/reach.h"
#include "federation/terms/schedule.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

// How much noise one round carries: norms of the mean update, in the units of
// clip_norm.
struct RoundNoise {
  double noise = 0;   // expected norm of the noise, if everybody stays
  double update = 0;  // the largest norm without it that honest data of typical
                      // size can cause
  double ratio() const { return noise / update; }
};

struct CheckReport {
  std::string name;
  Digest spec_digest{};
  std::string architecture;           // "cnn"
  uint64_t parameters = 0;            // of the whole model
  uint64_t model_bytes = 0;           // 4 times that
  std::vector<std::string> personal;  // names of the parameters that stay with each member
  bool members_known = false;  // false: no cohort is set, the numbers are for `minimum` members
  RoundTerms terms;
  LocalSection local;
  ServerSection server;
  EvaluationSection evaluation;
  RateSchedule local_schedule;  // of modes epochs and dp_sgd
  RateSchedule server_schedule;

  // Bytes of one finished round for one member (docs/secure-aggregation.md
  // section 3).
  uint64_t bytes_up = 0;
  uint64_t bytes_down = 0;
  // The same without communication.quantization_bits, and without download = fp16.
  uint64_t bytes_up_automatic = 0;
  uint64_t bytes_down_fp32 = 0;
  // Bits of the largest number of an update without communication.quantization_bits; and by how
  // much its rounding makes the noise larger than it would be then.
  uint32_t bits_automatic = 0;
  double rounding_noise = 1;

  // epsilon once that many rounds have taken one attempt each. None with unit
  // none.
  struct Cost {
    uint32_t rounds = 0;
    double epsilon = 0;
  };
  uint32_t rounds = 0;
  std::vector<Cost> costs;          // after the first round and each quarter; the last
                                    // is the whole run
  double epsilon_all_attempts = 0;  // after affordable_attempts
  double max_epsilon = 0;
  // Sums besides the rounds (federation/terms/sums_terms.h): whether statistics are taken, how many
  // models members measure, and what each of the two alone costs without a retry.
  bool statistics = false;
  uint32_t evaluations = 0;
  double epsilon_statistics = 0;
  double epsilon_evaluations = 0;
  uint32_t affordable_attempts = 0;  // before max_epsilon or max_attempts stops the run

  // Standard deviation of the noise in the opened sum over that of the
  // accounting, if everybody stays: sqrt(invited / h). At least 1; the
  // accounting is for the worst case.
  double noise_excess = 1;
  // epsilon of the whole run if only a member's own noise protects it: what
  // remains where the coordinator also runs the enrolment CA or enrols members
  // that it made up (section 2.3). Absent where the coordinator is trusted,
  // where there is no noise, and with dp_sgd, whose noise is the member's own.
  std::optional<double> epsilon_own_noise;

  RoundNoise round_noise;      // zeros with unit none
  std::vector<Reach> reaches;  // what would reach some epsilons, ascending; none with unit none

  // What honesty demands to say beside the numbers, one sentence or two each,
  // the most important first: what the settings get wrong, what they cost, what
  // never holds.
  std::vector<std::string> warnings;
};

struct CheckOptions {
  // Say what would reach this epsilon; 0: what would reach some usual ones and
  // max_epsilon.
  double target_epsilon = 0;
};

// `spec` as ParseFederation returns it. FailedPrecondition, with the numbers
// and the remedy, for what cannot work: an input that the architecture refuses,
// a threshold that cannot be met, a budget that is spent before the last round.
// InvalidArgument for a target that is negative, infinite or no number, or that
// unit none cannot have.
absl::StatusOr<CheckReport> CheckFederation(const FederationSpec& spec,
                                            const CheckOptions& options = {});

// For people: about 40 lines of at most 79 columns, ending in a newline.
std::string CheckToText(const CheckReport& report);

// One JSON object, without a newline. An epsilon that is infinite, or that unit
// none does not have, is null.
std::string CheckToJson(const CheckReport& report);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_CHECK_H_
