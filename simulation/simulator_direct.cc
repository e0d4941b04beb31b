// Simulator: an attempt whose sums are made without a message. Whether the protocol would have come
// to its end with those who stayed is decided by its own rules (privacy/secagg/thresholds.h).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"
#include "simulation/direct_round.h"
#include "simulation/simulator.h"

namespace dure::simulation {
namespace {

std::string TooFew(uint64_t count, uint64_t of, std::string_view what, uint64_t needed) {
  return absl::StrCat(count, " of ", of, " members sent ", std::string(what), "; at least ", needed,
                      " are needed");
}

// Members of a group, and how many of them got how far.
struct GroupCount {
  uint32_t members = 0;
  uint32_t inputs = 0;
  uint32_t stayed = 0;  // of those, until the sum is opened
};

}  // namespace

absl::Status Simulator::RunDirect(const OfferedAttempt& offered, const std::vector<Part>& parts) {
  DirectRound* const direct = attempt_->direct;
  absl::StatusOr<round::Closed> closed = OpenDirectly(offered, parts);
  const absl::Time end = EndOf(parts);
  if (closed.ok()) {
    direct->End(end, *std::move(closed));
  } else if (absl::IsAborted(closed.status())) {
    direct->End(end, round::Failed{std::string(closed.status().message())});
  } else {
    return closed.status();
  }
  now_ = end;
  Step(run::Tick{});
  return absl::OkStatus();
}

// Aborted, with the numbers, where the protocol would not have given a sum.
absl::StatusOr<round::Closed> Simulator::OpenDirectly(const OfferedAttempt& offered,
                                                      const std::vector<Part>& parts) {
  const RoundTerms& terms = offered.terms;
  std::vector<size_t> answering;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].answers) answering.push_back(i);
  }
  uint32_t groups = 1;
  std::vector<uint32_t> group_of(parts.size());
  std::optional<secagg::SessionRules> rules;
  if (terms.secure_aggregation) {
    if (answering.size() < terms.roster_minimum) {
      return absl::AbortedError(
          TooFew(answering.size(), parts.size(), "keys", terms.roster_minimum));
    }
    DURE_ASSIGN_OR_RETURN(rules,
                          secagg::RulesOf(offered.config, static_cast<uint32_t>(answering.size())));
    groups = rules->groups;
  }
  if (groups > 1) {
    ProtocolMembers members(options_.seed, attempt_->clients, offered.config.attempt(), terms,
                            key_.public_key());
    secagg::Server::Params session = attempt_->offer.session;
    for (size_t i = 0; i < members.size(); ++i) session.expected[i] = members[i].id;
    DURE_ASSIGN_OR_RETURN(const std::vector<uint32_t> drawn,
                          DrawGroups(session, answering, &members));
    for (size_t i = 0; i < answering.size(); ++i) group_of[answering[i]] = drawn[i];
  }
  std::vector<GroupCount> counts(groups);
  for (const size_t i : answering) {
    GroupCount& count = counts[group_of[i]];
    ++count.members;
    count.stayed += parts[i].asked && parts[i].fate.vanishes != Vanishes::kAfterUpload;
  }
  DURE_ASSIGN_OR_RETURN(CohortInputs made, Train(offered, parts, group_of, groups));
  uint32_t inputs = 0, stayed = 0;
  round::Closed closed;
  for (uint32_t group = 0; group < groups; ++group) {
    GroupCount& count = counts[group];
    count.inputs = made.inputs[group];
    const secagg::Thresholds* thresholds = rules ? &rules->OfGroup(count.members) : nullptr;
    const uint32_t needed = thresholds ? thresholds->sum_minimum : terms.sum_asked;
    const uint32_t holders = thresholds ? thresholds->threshold : 0;
    if (count.inputs < needed || count.stayed < holders) {
      if (groups > 1) continue;
      return absl::AbortedError(count.inputs < needed
                                    ? TooFew(count.inputs, parts.size(), "inputs", needed)
                                    : TooFew(count.stayed, parts.size(), "shares", holders));
    }
    inputs += count.inputs;
    stayed += std::min(count.stayed, count.inputs);
    closed.sums.push_back(
        {.sum = std::move(made.sums[group]),
         .survivors = count.inputs,
         .share = static_cast<double>(count.members) / static_cast<double>(answering.size())});
  }
  if (rules && inputs < rules->survivors_minimum) {
    return absl::AbortedError(TooFew(inputs, parts.size(), "inputs", rules->survivors_minimum));
  }
  if (rules && stayed < rules->quorum) {
    return absl::AbortedError(TooFew(stayed, inputs, "consent", rules->quorum));
  }
  if (2 * closed.sums.size() <= groups) {
    return absl::AbortedError(absl::StrCat("only ", closed.sums.size(), " of ", groups,
                                           " groups gave a sum; more than half are needed"));
  }
  closed.survivors = inputs;
  return closed;
}

}  // namespace dure::simulation
