// Bytes and seconds as people read them. Thread-safe: pure functions.
#ifndef DURE_BASE_QUANTITY_H_
#define DURE_BASE_QUANTITY_H_

#include <cstdint>
#include <string>

namespace dure {

// 1536 -> "1.5 KB" (1 KB = 1024 bytes).
std::string BytesInWords(uint64_t bytes);
// 75.2 -> "1:15", 3661 -> "1:01:01"; negative or not finite -> "-".
std::string SecondsInWords(double seconds);

}  // namespace dure

#endif  // DURE_BASE_QUANTITY_H_
