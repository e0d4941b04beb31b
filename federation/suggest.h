// "Did you mean": the known word that is nearest to a mistyped one. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_SUGGEST_H_
#define DURE_FEDERATION_SUGGEST_H_

#include <string>
#include <string_view>
#include <vector>

namespace dure {

// How many letters must be inserted, deleted, changed or swapped with their neighbour to turn `a`
// into `b` (optimal string alignment). Only the first 64 letters of each count.
size_t EditDistance(std::string_view a, std::string_view b);

// The word of `known` nearest to `word`, the first of equals; "" if none is near enough: at most
// a third of its letters wrong, and at least one allowed.
std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

// `there is no KIND "WORD": did you mean "NEAREST"?`, or which words there are if none is near.
std::string NoSuchWord(std::string_view kind, std::string_view word,
                       const std::vector<std::string>& known);

}  // namespace dure

#endif  // DURE_FEDERATION_SUGGEST_H_
