// What members that wait are told of how things stand: too few are here, the run is paused, others
// were selected, others are awaited (Standing of proto/wire.proto). It names nobody. Made of what
// the service hears and sends, and of the engine's own status. Pure. Not thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_STANDING_H_
#define DURE_COORDINATOR_SERVICE_STANDING_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/federation_engine.h"
#include "proto/control.pb.h"
#include "proto/wire.pb.h"

namespace dure {

class StandingNews {
 public:
  // A member is told of a change, and so often at most.
  static constexpr absl::Duration kInterval = absl::Seconds(3);

  // `needed`: how many members an attempt waits for.
  explicit StandingNews(uint32_t needed) : needed_(needed) {}

  // Each input of the engine, and each message that it sends.
  void Heard(const run::Input& input);
  void Sent(const run::SendTo& sent);

  struct News {
    secagg::MemberId member;
    Standing standing;
  };
  // Who is to be told what now. `status` is the engine's.
  std::vector<News> Due(const RunStatus& status, absl::Time now);

 private:
  struct Waiting {
    std::string name;
    bool available = true;
    Standing told;
    absl::Time told_at = absl::InfinitePast();
  };
  Standing StandingOf(const secagg::MemberId& member, const Waiting& waiting,
                      const RunStatus& status, const std::set<std::string>& awaited) const;

  const uint32_t needed_;
  std::map<secagg::MemberId, Waiting> members_;  // connected; no evaluators
  std::string session_id_;                       // of the newest attempt
  std::set<secagg::MemberId> cohort_;            // of it, while it goes on
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_STANDING_H_
