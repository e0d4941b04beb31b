// What a stream that people may read is. Thread-safe.
#ifndef DURE_BASE_TERMINAL_H_
#define DURE_BASE_TERMINAL_H_

#include <cstddef>

namespace dure {

// Whether people, rather than a file or a pipe, read `fd`, and colour and movement are wanted
// (NO_COLOR and TERM=dumb say no).
bool IsTerminal(int fd);

// How wide the terminal is now; 80 if it does not say.
size_t TerminalColumns(int fd);

}  // namespace dure

#endif  // DURE_BASE_TERMINAL_H_
