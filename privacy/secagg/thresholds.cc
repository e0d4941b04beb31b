#include "privacy/secagg/thresholds.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/graph_rule.h"

namespace dure::secagg {
namespace {

// Shares have x = 1 to 254.
constexpr uint32_t kMaxComplete = kMaxNeighbours + 1;
constexpr int kCorrectnessBits = 20;
// So that a share such as 0.29 of 100, which binary64 makes 28.999..., counts as 29.
constexpr double kRoundingSlack = 1e-9;
constexpr std::string_view kGroupsPrefix = "groups-of-";

}  // namespace

absl::StatusOr<Thresholds> ComputeThresholds(uint32_t members, uint32_t max_corrupt,
                                             uint32_t minimum_sum) {
  if (members < kMinMembers) {
    return absl::FailedPreconditionError(absl::StrCat("secure aggregation with ", members,
                                                      " members: the limit is ", kMinMembers,
                                                      " or more; invite more members"));
  }
  if (members > kMaxComplete) {
    return absl::FailedPreconditionError(absl::StrCat("secure aggregation with ", members,
                                                      " members: the limit is ", kMaxComplete,
                                                      "; use a smaller cohort"));
  }
  if (max_corrupt == 0) {
    return absl::FailedPreconditionError(
        "secure aggregation with max_corrupt 0: at least 1 member must be assumed to collude with "
        "the coordinator; raise max_corrupt");
  }
  // Before the arithmetic below, so that it cannot overflow.
  if (max_corrupt >= members || minimum_sum > members) {
    return absl::FailedPreconditionError(absl::StrCat(
        "secure aggregation with ", members, " members, max_corrupt ", max_corrupt,
        " and a minimum of ", minimum_sum, ": max_corrupt must be below the number of members and ",
        "the minimum not above it; lower them or invite more members"));
  }
  Thresholds result;
  result.neighbours = members - 1;
  result.quorum = (members + max_corrupt) / 2 + 1;
  result.threshold = std::max({max_corrupt + 1, 2u, result.quorum - 1});
  result.sum_minimum =
      std::max({minimum_sum, result.quorum, result.threshold + 1, max_corrupt + 2});
  if (result.sum_minimum > members) {
    return absl::FailedPreconditionError(
        absl::StrCat("secure aggregation with ", members, " members and max_corrupt ", max_corrupt,
                     " opens sums of ", result.sum_minimum, " or more inputs (quorum ",
                     result.quorum, ", threshold ", result.threshold, "), which ", members,
                     " members cannot give; lower max_corrupt or invite more members"));
  }
  return result;
}

std::string GraphRuleName::ToString() const {
  switch (kind) {
    case Kind::kRing:
      return kGraphRuleRing;
    case Kind::kGroups:
      return absl::StrCat(std::string(kGroupsPrefix), group_size);
    default:
      return kGraphRuleComplete;
  }
}

absl::StatusOr<GraphRuleName> GraphRuleName::Parse(std::string_view name) {
  if (name == kGraphRuleComplete) return GraphRuleName{.kind = Kind::kComplete};
  if (name == kGraphRuleRing) return GraphRuleName{.kind = Kind::kRing};
  GraphRuleName rule{.kind = Kind::kGroups};
  if (name.starts_with(kGroupsPrefix) &&
      absl::SimpleAtoi(std::string(name.substr(kGroupsPrefix.size())), &rule.group_size) &&
      rule.group_size >= kMinMembers && rule.group_size <= kMaxGroupSize &&
      rule.ToString() == name) {
    return rule;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "round config: a graph rule other than \"", kGraphRuleComplete, "\", \"", kGraphRuleRing,
      "\" and \"", std::string(kGroupsPrefix), "G\", G from ", kMinMembers, " to ", kMaxGroupSize));
}

uint32_t SessionRules::HonestMinimum() const {
  return std::min(smaller.sum_minimum - corrupt_in_smaller, larger.sum_minimum - corrupt_in_larger);
}

Graph SessionRules::MakeGraph(const Digest& t1) const {
  if (groups > 1) return Graph::Groups(members, groups, t1);
  return sparse ? Graph::Ring(members, smaller.neighbours, t1) : Graph::Complete(members);
}

namespace {

SessionRules OneSum(const RuleParams& params, const Thresholds& thresholds, bool sparse) {
  return {.members = params.members,
          .sparse = sparse,
          .quorum = thresholds.quorum,
          .survivors_minimum = thresholds.sum_minimum,
          .smaller = thresholds,
          .larger = thresholds,
          .corrupt_in_smaller = params.max_corrupt,
          .corrupt_in_larger = params.max_corrupt};
}

absl::StatusOr<SessionRules> RulesOfRing(const RuleParams& params) {
  const double dropouts = params.max_dropout * params.members + kRoundingSlack;
  DURE_ASSIGN_OR_RETURN(const GraphRule rule,
                        SolveGraphRule({.members = params.members,
                                        .max_corrupt = params.max_corrupt,
                                        .dropouts = static_cast<uint64_t>(dropouts),
                                        .security_bits = static_cast<int>(params.security_bits),
                                        .correctness_bits = kCorrectnessBits,
                                        .minimum_sum = params.minimum_sum}));
  if (rule.sum_minimum > params.members) {
    return absl::FailedPreconditionError(
        absl::StrCat("secure aggregation with ", params.members, " members and max_corrupt ",
                     params.max_corrupt, " opens sums of ", rule.sum_minimum,
                     " or more inputs; lower max_corrupt or invite more members"));
  }
  return OneSum(params,
                {.neighbours = rule.neighbours,
                 .threshold = rule.threshold,
                 .quorum = static_cast<uint32_t>(rule.quorum),
                 .sum_minimum = static_cast<uint32_t>(rule.sum_minimum)},
                !rule.complete);
}

// What a group of `size` bears: the thresholds of a session of its own, with the corrupt members
// that may be in it.
absl::StatusOr<Thresholds> RulesOfGroup(const RuleParams& params, uint32_t size, uint32_t groups,
                                        uint32_t* corrupt) {
  *corrupt = MostCorruptInGroup({.members = params.members,
                                 .max_corrupt = params.max_corrupt,
                                 .group_size = size,
                                 .groups = groups,
                                 .security_bits = static_cast<int>(params.security_bits)});
  *corrupt = std::max(1u, *corrupt);
  absl::StatusOr<Thresholds> thresholds = ComputeThresholds(size, *corrupt, params.minimum_sum);
  if (thresholds.ok()) return thresholds;
  return absl::FailedPreconditionError(absl::StrCat(
      params.members, " members in ", groups, " groups: a group of ", size, " may have ", *corrupt,
      " of the ", params.max_corrupt, " corrupt members (but for 2^-", params.security_bits,
      "), and its sum must hold at least ", std::max(params.minimum_sum, *corrupt + 2),
      " inputs; choose larger groups or lower max_corrupt"));
}

absl::StatusOr<SessionRules> RulesOfGroups(const RuleParams& params) {
  const uint32_t groups = params.members / params.rule.group_size;
  if (groups < 2) {
    return absl::FailedPreconditionError(
        absl::StrCat(params.members, " members do not make two groups of ", params.rule.group_size,
                     "; choose smaller groups or invite more members"));
  }
  const uint32_t size = params.members / groups;
  SessionRules rules{.members = params.members,
                     .groups = groups,
                     .quorum = (params.members + params.max_corrupt) / 2 + 1};
  rules.survivors_minimum = std::max(rules.quorum, params.minimum_roster);
  DURE_ASSIGN_OR_RETURN(rules.smaller,
                        RulesOfGroup(params, size, groups, &rules.corrupt_in_smaller));
  const uint32_t larger = params.members % groups == 0 ? size : size + 1;
  DURE_ASSIGN_OR_RETURN(rules.larger,
                        RulesOfGroup(params, larger, groups, &rules.corrupt_in_larger));
  return rules;
}

}  // namespace

absl::StatusOr<SessionRules> ComputeSessionRules(const RuleParams& params) {
  const uint32_t most =
      params.rule.kind == GraphRuleName::Kind::kComplete ? kMaxDenseMembers : kMaxMembers;
  if (params.members > most) {
    return absl::FailedPreconditionError(absl::StrCat("secure aggregation with ", params.members,
                                                      " members: the limit is ", most,
                                                      "; use a smaller cohort"));
  }
  const bool grouped = params.rule.kind == GraphRuleName::Kind::kGroups;
  if (!grouped && params.members <= kMaxDenseMembers) {
    DURE_ASSIGN_OR_RETURN(
        const Thresholds thresholds,
        ComputeThresholds(params.members, params.max_corrupt, params.minimum_sum));
    return OneSum(params, thresholds, false);
  }
  if (params.security_bits == 0) {
    return absl::FailedPreconditionError(
        "secure aggregation with security_bits 0: a graph drawn at random needs at least 1");
  }
  if (params.max_corrupt == 0 || params.max_corrupt >= params.members ||
      params.minimum_sum > params.members) {
    return absl::FailedPreconditionError(absl::StrCat(
        "secure aggregation with ", params.members, " members, max_corrupt ", params.max_corrupt,
        " and a minimum of ", params.minimum_sum, ": max_corrupt must be at least 1 and below the ",
        "number of members, and the minimum not above it"));
  }
  return grouped ? RulesOfGroups(params) : RulesOfRing(params);
}

}  // namespace dure::secagg
