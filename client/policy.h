// A member's own limits. The coordinator cannot lower them: what it offers is derived again here
// and compared. What the limits are called and how they are written is in client/policy_keys.h, the
// file that holds them in client/service/policy_file.h. Thread-safe: values and pure functions.
#ifndef DURE_CLIENT_POLICY_H_
#define DURE_CLIENT_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/member_list.h"
#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

// Every limit, with the value that is safe where nobody has agreed to anything else.
struct Policy {
  // Fingerprints of the enrolment CA's certificate and of the coordinator's key, as pinned when
  // joining; empty: not compared.
  std::string ca;
  std::string coordinator_key;

  // Who else takes part.
  uint32_t min_cohort = 3;            // fewest members in a round
  uint32_t min_sum = 3;               // fewest inputs in a sum that this member helps to open
  uint32_t assume_corrupt = 1;        // corrupt members that a round must withstand, at least
  uint32_t max_per_organisation = 0;  // most members of one organisation in a round; 0: no limit
  // The digest of the list of members, and the list: a round may have nobody else, and
  // organisation and revocation are those of the list. "" and absent: who is a member, the
  // enrolment CA says.
  std::string members;
  std::optional<MemberList> member_list;

  // What is protected, and how well. `record` accepts the units record and client, `client` only
  // client, `none` everything.
  PrivacySection::Unit privacy_unit = PrivacySection::RECORD;
  double min_noise_multiplier = 1;
  double max_clip_norm = 1;

  // How much is spent: in this federation, and on the registered data by all federations.
  double max_epsilon = 8;
  double max_delta = 1e-5;
  double total_epsilon = 8;
  double total_delta = 1e-5;
  uint32_t max_rounds = 1000;
  uint32_t max_attempts = 1126;

  // Whether sums over the data are taken besides training: statistics of the columns, and what
  // models do on the held-out records. A member that refuses them takes part in the rounds.
  bool allow_statistics = false;
  bool allow_evaluation = false;

  // What is run, and how. Models are named by ModelDigest, in hexadecimal; none: no model.
  std::vector<std::string> allowed_models;
  bool require_secure_aggregation = true;
  bool require_sandbox = false;

  friend bool operator==(const Policy&, const Policy&) = default;
};

// What a member agrees to by approving `spec`: its limits are those of the federation file, where
// the file says anything about them, and the safe ones elsewhere. The total over all federations is
// at least what this one may spend, so that approved terms can be kept.
Policy PolicyOf(const FederationSpec& spec);

// The digest of a model, in hexadecimal: that of a spec in which only section [model] is set
// (docs/formats/spec-digest.md).
std::string ModelDigest(const ModelSection& model);

// What epsilon would be with the attempt that is offered.
struct Spending {
  double epsilon = 0;        // in this federation, at its delta
  double total_epsilon = 0;  // on the registered data, by all federations, at policy.total_delta
};

// A limit that an offer or terms pass.
struct PolicyFault {
  std::string key;
  // Naming the limit, its value and what was offered: PermissionDenied for a limit of the terms,
  // ResourceExhausted for a budget.
  absl::Status status;
};

// Every limit that `spec`, with the terms derived from it for one attempt, passes.
std::vector<PolicyFault> FaultsOfTerms(const Policy& policy, const FederationSpec& spec,
                                       const RoundTerms& terms);

// The first limit that the terms or the spending pass; OK if there is none. The text about the
// total over all federations has no numbers: the coordinator reads it.
absl::Status CheckPolicy(const Policy& policy, const FederationSpec& spec, const RoundTerms& terms,
                         const Spending& spending);

// The same for a charge that came too late.
absl::Status BudgetOfDataSpent();

// FailedPrecondition, with both numbers, if `records` in `folder` are none, or more than the
// federation's public bound on one member's.
absl::Status CheckRecordCount(const FederationSpec& spec, uint64_t records,
                              const std::string& folder);

}  // namespace dure

#endif  // DURE_CLIENT_POLICY_H_
