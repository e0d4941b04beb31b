#include "federation/terms/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"

namespace dure {
namespace {

template <typename Section>
RateSchedule ScheduleOf(const Section& section, const FederationSpec& spec) {
  RateSchedule schedule{.final_fraction = section.final_fraction(),
                        .warmup = section.warmup(),
                        .rounds = std::max(1u, spec.rounds().count())};
  // A key that is not used is absent.
  if (section.has_schedule()) schedule.kind = section.schedule();
  if (section.has_decay()) schedule.decay = section.decay();
  if (section.has_decay_every()) schedule.decay_every = std::max(1u, section.decay_every());
  return schedule;
}

// Without the warm-up.
double FactorAfterWarmup(const RateSchedule& schedule, uint32_t round) {
  // Of the way from the first round to the last; a run of one round stays at its start.
  const double way = schedule.rounds > 1 ? (round - 1.0) / (schedule.rounds - 1.0) : 0;
  const double rest = 1 - schedule.final_fraction;
  switch (schedule.kind) {
    case LINEAR:
      return schedule.final_fraction + rest * (1 - way);
    case COSINE:
      return schedule.final_fraction + rest * (1 + std::cos(std::numbers::pi * way)) / 2;
    case EXPONENTIAL:
      return std::pow(schedule.decay, round - 1.0);
    case STEP:
      return std::pow(schedule.decay, (round - 1) / schedule.decay_every);
    default:
      return 1;
  }
}

}  // namespace

double RateSchedule::Factor(uint32_t round) const {
  round = std::clamp(round, 1u, rounds);
  const double factor = FactorAfterWarmup(*this, round);
  return round <= warmup ? factor * round / (warmup + 1.0) : factor;
}

RateSchedule LocalScheduleOf(const FederationSpec& spec) { return ScheduleOf(spec.local(), spec); }

RateSchedule ServerScheduleOf(const FederationSpec& spec) {
  return ScheduleOf(spec.server(), spec);
}

std::string ScheduleInWords(const RateSchedule& schedule, double learning_rate) {
  std::string text;
  if (schedule.warmup > 0) {
    absl::StrAppend(&text, "rises over ", Counted(schedule.warmup, "round"));
    if (schedule.kind == CONSTANT) return absl::StrFormat("%s to %g", text, learning_rate);
    absl::StrAppend(&text, "; it ");
  }
  const double last = learning_rate * schedule.Factor(schedule.rounds);
  switch (schedule.kind) {
    case LINEAR:
      absl::StrAppend(&text, "falls in a straight line");
      break;
    case COSINE:
      absl::StrAppend(&text, "falls by half a cosine");
      break;
    case EXPONENTIAL:
      absl::StrAppendFormat(&text, "is multiplied by %g every round", schedule.decay);
      break;
    case STEP:
      absl::StrAppendFormat(&text, "is multiplied by %g every %s", schedule.decay,
                            Counted(schedule.decay_every, "round"));
      break;
    default:
      return absl::StrCat(text, "stays as it is");
  }
  return absl::StrFormat("%s, from %g to %.3g in round %d", text, learning_rate, last,
                         schedule.rounds);
}

}  // namespace dure
