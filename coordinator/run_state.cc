#include "coordinator/run_state.h"

#include <utility>

namespace dure {
namespace {

void Seen(const std::vector<Digest>& dealers, AttemptNumber attempt, RunState* state) {
  for (const Digest& dealer : dealers) state->last_attempts[dealer] = attempt;
}

}  // namespace

void ApplyFact(Fact fact, RunState* state) {
  if (const auto* begun = std::get_if<AttemptBegun>(&fact)) {
    state->attempts = begun->attempt;
    ++state->counts.of(begun->kind);
    if (begun->kind == SumsKind::kEvaluation) ++state->evaluation_attempts;
  } else if (auto* released = std::get_if<RoundReleased>(&fact)) {
    Seen(released->dealers, released->attempt, state);
    state->round = released->round;
    state->evaluation_attempts = 0;
    state->model = std::move(released->model);
    state->optimizer = std::move(released->optimizer);
    state->clip_norm = released->clip_norm;
    state->history.push_back({.round = released->round,
                              .attempt = released->attempt,
                              .cohort = released->cohort,
                              .survivors = released->survivors,
                              .epsilon = released->epsilon,
                              .duration = released->duration,
                              .bytes_received = released->bytes_received,
                              .bytes_sent = released->bytes_sent,
                              .model_hash = ToHex(released->model_hash)});
  } else if (const auto* evaluation = std::get_if<EvaluationReceived>(&fact)) {
    state->evaluations.push_back(*evaluation);
  } else if (const auto* sums = std::get_if<SumsReleased>(&fact)) {
    Seen(sums->dealers, sums->attempt, state);
    if (sums->kind == SumsKind::kStatistics) {
      state->statistics = *sums;
    } else {
      state->member_evaluations.push_back(*sums);
    }
  } else {
    const auto& failed = std::get<AttemptFailed>(fact);
    Seen(failed.dealers, failed.attempt, state);
  }
}

}  // namespace dure
