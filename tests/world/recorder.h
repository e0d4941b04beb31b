// What passes two boundaries inside the engines: the integers that a member gives to its session,
// and the sums that the coordinator opens. The world is linked with copies of
// client/member_session.cc and coordinator/mean_update.cc that call it (changes.cmake); nothing
// that is shipped does. Not thread-safe: the world has one thread.
#ifndef DURE_TESTS_WORLD_RECORDER_H_
#define DURE_TESTS_WORLD_RECORDER_H_

#include <optional>
#include <utility>
#include <vector>

#include "base/ring.h"
#include "coordinator/mean_update.h"
#include "privacy/secagg/identity.h"

namespace dure::world {

struct GivenInput {
  secagg::SessionId session_id{};
  RingVector input;
};
struct OpenedSums {
  std::vector<GroupSum> sums;
  MeanUpdate update;  // that was made of them
};

class Recorder {
 public:
  static Recorder& Get();

  void Give(const secagg::SessionId& session_id, const RingVector& input) {
    inputs_.push_back({session_id, input});
  }
  void Open(OpenedSums sums) { sums_ = std::move(sums); }

  // What was recorded since the last call.
  std::vector<GivenInput> TakeInputs() { return std::exchange(inputs_, {}); }
  std::optional<OpenedSums> TakeSums() { return std::exchange(sums_, std::nullopt); }

 private:
  std::vector<GivenInput> inputs_;
  std::optional<OpenedSums> sums_;
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_RECORDER_H_
