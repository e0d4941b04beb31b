// What would reach a given epsilon with a federation file: more noise for the
// same rounds, or fewer rounds at the same noise. Answered with the terms and
// the account that every party derives (terms.h), so that the answer, written
// into the file, keeps its word. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_REACH_H_
#define DURE_FEDERATION_TERMS_REACH_H_

#include <cstdint>
#include <optional>
#include <string>

#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure {

struct Reach {
  double epsilon = 0;  // the target
  // The smallest privacy.noise_multiplier, in three digits, with which all
  // rounds.count rounds, one attempt each, cost at most the target. Absent if
  // none that the limits allow does.
  std::optional<double> noise_multiplier;
  // The most rounds that cost at most the target as the file is, one attempt
  // each; above rounds.count only as far as the limits of rounds.max_attempts
  // and delta allow.
  uint32_t rounds = 0;
  // What privacy.max_epsilon must be raised to for it; 0: nothing.
  double needs_max_epsilon = 0;
};

// `terms` are those of `spec`, as DeriveTerms gives them. Preconditions: `spec`
// is valid, its unit is not none, 0 < `epsilon`.
Reach WhatReaches(const FederationSpec& spec, const RoundTerms& terms, double epsilon);

// "noise_multiplier 1.46; or, as it is, 203 rounds", for people.
std::string ReachInWords(const Reach& reach);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_REACH_H_
