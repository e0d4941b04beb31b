// Text from somebody else, made fit for a terminal and a log: nothing in it can move the cursor,
// begin a new line or turn the writing direction. Thread-safe.
#ifndef DURE_BASE_PRINTABLE_H_
#define DURE_BASE_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace dure {

// `text` with each control character (C0, DEL, C1), each bidirectional control (U+202A to U+202E,
// U+2066 to U+2069) and each byte that is not UTF-8 replaced by '?', cut to `max_bytes` at most.
std::string Printable(std::string_view text, size_t max_bytes = 500);

}  // namespace dure

#endif  // DURE_BASE_PRINTABLE_H_
