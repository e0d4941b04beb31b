// Text for people at a terminal. Thread-safe.
#ifndef DURE_BASE_PARAGRAPH_H_
#define DURE_BASE_PARAGRAPH_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace dure {

// What is shown is broken so that it fits a terminal of 80 columns.
inline constexpr size_t kColumns = 79;

// Appends `text` behind `label`, broken at kColumns, further lines indented by `indent` like the
// first.
void AppendParagraph(absl::string_view label, absl::string_view text, size_t indent,
                     std::string* out);

// "1 member", "3 members".
std::string Counted(uint64_t number, absl::string_view noun);

}  // namespace dure

#endif  // DURE_BASE_PARAGRAPH_H_
