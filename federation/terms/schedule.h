// How a learning rate changes from round to round (the keys schedule, decay, decay_every,
// final_fraction and warmup of [local] and [server]). Each round's factor follows from the
// federation file and the number of the round alone, so that a restart changes nothing and every
// member computes the same. Linear and cosine fall to final_fraction in the last round; cosine is
// one half-wave without restarts (Loshchilov and Hutter, "SGDR", 2017, equation 5). Thread-safe:
// pure functions.
#ifndef DURE_FEDERATION_TERMS_SCHEDULE_H_
#define DURE_FEDERATION_TERMS_SCHEDULE_H_

#include <cstdint>
#include <string>

#include "proto/federation.pb.h"

namespace dure {

struct RateSchedule {
  Schedule kind = CONSTANT;
  double decay = 1;           // of exponential and step
  uint32_t decay_every = 1;   // of step, at least 1
  double final_fraction = 0;  // of linear and cosine
  uint32_t warmup = 0;
  uint32_t rounds = 1;  // of the whole run

  // By what learning_rate is multiplied in `round`, from 1 on: from 0 to 1. Of rounds after the
  // last it is that of the last.
  double Factor(uint32_t round) const;

  bool IsConstant() const { return kind == CONSTANT && warmup == 0; }
};

// Of a valid federation file.
RateSchedule LocalScheduleOf(const FederationSpec& spec);
RateSchedule ServerScheduleOf(const FederationSpec& spec);

// "rises over 5 rounds to 0.05, then falls by half a cosine to 0.0005 in round 100", for people.
std::string ScheduleInWords(const RateSchedule& schedule, double learning_rate);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_SCHEDULE_H_
