// Landlock (Linux 5.13 and later): takes every file that is not open yet from all threads of this
// process, for good, and, where the kernel knows how, TCP, abstract Unix sockets and signals to
// others. A second line behind the filter of system calls, by other means. Linux only. Call it
// where no other thread changes how signals are dealt with.
#ifndef DURE_LEARNER_LANDLOCK_H_
#define DURE_LEARNER_LANDLOCK_H_

#include <string>

namespace dure {

// Why it cannot be had, or "" if every thread is under it. Needs no new privileges: sets
// PR_SET_NO_NEW_PRIVS on each thread.
std::string EnterLandlock();

}  // namespace dure

#endif  // DURE_LEARNER_LANDLOCK_H_
