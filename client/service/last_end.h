// NODE/ended: why the client that ran last ended by itself, for whoever looks later. One line: the
// day and time, and the words. Functions read and write that file; not thread-safe for one node.
#ifndef DURE_CLIENT_SERVICE_LAST_END_H_
#define DURE_CLIENT_SERVICE_LAST_END_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace dure {

// Best effort: a full disk is no reason to end in another way.
void KeepLastEnd(const std::string& node_folder, std::string_view why, absl::Time now);
void ForgetLastEnd(const std::string& node_folder);
// "2026-11-23 01:05 UTC: the run is over", fit for a terminal; "" if there is none.
std::string LastEnd(const std::string& node_folder);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LAST_END_H_
