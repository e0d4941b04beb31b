// A federation's run without network, members and trainers, for tests of what is on the disk: the
// real engine and the real store, members who answer at once, and sums that are made up. Not
// thread-safe for one folder.
#ifndef DURE_TESTS_SUPPORT_QUICK_RUN_H_
#define DURE_TESTS_SUPPORT_QUICK_RUN_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace dure::testing {

inline constexpr uint32_t kQuickMembers = 5;

// A new federation of 15 parameters, five members and an evaluator, who join when it first runs.
absl::Status MakeQuickFederation(const std::string& folder, uint32_t rounds,
                                 absl::Time now = absl::Now());

// Goes on where the run stopped, to its end, or until `until` rounds are released. `told` hears
// what members would be told, after it has been written down: "attempt 3", "round 2 3 HASH
// EPSILON", "evaluation 2". Every fourth attempt fails.
absl::Status GoOnQuickly(const std::string& folder, uint32_t until,
                         const std::function<void(const std::string&)>& told);

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_QUICK_RUN_H_
