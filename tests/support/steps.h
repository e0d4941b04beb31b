// The ten steps of an attempt (docs/secure-aggregation.md section 1.2), by the messages that they
// are. For tests.
#ifndef DURE_TESTS_SUPPORT_STEPS_H_
#define DURE_TESTS_SUPPORT_STEPS_H_

#include "proto/wire.pb.h"

namespace dure::testing {

// The step of a message to a member, or -1.
inline int StepOf(const ServerMessage& message) {
  if (message.has_offer()) return 0;
  switch (message.secagg().kind_case()) {
    case secagg::DownMessage::kRoster:
      return 2;
    case secagg::DownMessage::kDealt:
      return 4;
    case secagg::DownMessage::kSurvivors:
      return 6;
    case secagg::DownMessage::kQuorum:
      return 8;
    default:
      return -1;
  }
}

// The step of a message of a member, or -1.
inline int StepOf(const ClientMessage& message) {
  switch (message.secagg().kind_case()) {
    case secagg::UpMessage::kAdvertise:
      return 1;
    case secagg::UpMessage::kShares:
      return 3;
    case secagg::UpMessage::kMaskedInput:
      return 5;
    case secagg::UpMessage::kConsent:
      return 7;
    case secagg::UpMessage::kUnmask:
      return 9;
    default:
      return -1;
  }
}

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_STEPS_H_
