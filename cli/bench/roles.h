// What dure-bench does when it starts itself again: `dure-bench role NAME ...` is one process of a
// benchmark, killed by the one that started it.
#ifndef DURE_CLI_BENCH_ROLES_H_
#define DURE_CLI_BENCH_ROLES_H_

#include <string>
#include <vector>

namespace dure::bench {

inline constexpr char kRoleWord[] = "role";
inline constexpr char kCoordinatorRole[] = "coordinator";
inline constexpr char kMemberRole[] = "member";
inline constexpr char kLoadMembersRole[] = "load-members";
inline constexpr char kEncodeRole[] = "encode";
inline constexpr char kStreamServerRole[] = "stream-server";
inline constexpr char kStreamClientRole[] = "stream-client";

// Runs a role; returns its exit code.
int RunRole(const std::vector<std::string>& arguments);

// FOLDER: a coordinator of the federation there. Prints "listening ADDRESS"; "member" for each that
// is here; "round SECONDS RECEIVED SENT" for each that is released, the time since the last, bytes
// since the beginning; "failed-attempt" for each that came to nothing; "end MESSAGE" or "failed MESSAGE"; then waits to be killed.
int RunCoordinator(const std::vector<std::string>& arguments);
// NODE ADDRESS: a member whose trainer returns zeros at once. Prints "connected", "end" as above.
int RunMember(const std::vector<std::string>& arguments);
// FOLDER FIRST COUNT ADDRESS: so many members of a fixture without nodes. Prints "here N" for each
// that is connected.
int RunLoadMembers(const std::vector<std::string>& arguments);
// Encodes an update once, beside a model. Prints the bytes by which that raised its peak memory.
int RunEncode(const std::vector<std::string>& arguments);
// FOLDER: the server of the bare stream (mtls_limit.h). Prints "listening ADDRESS".
int RunStreamServer(const std::vector<std::string>& arguments);
// FOLDER ADDRESS RUNS: its client. Prints "rates UP DOWN", bytes a second.
int RunStreamClient(const std::vector<std::string>& arguments);

// Prints a line at once.
void Say(const std::string& line);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_ROLES_H_
