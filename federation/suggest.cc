#include "federation/suggest.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dure {

namespace {
constexpr size_t kMaxLetters = 64;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMaxLetters);
  b = b.substr(0, kMaxLetters);
  // Rows i - 2, i - 1 and i of the table of distances between prefixes.
  using Row = std::array<size_t, kMaxLetters + 1>;
  Row before{}, last{}, row{};
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = last;
    last = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& known) {
  std::string nearest;
  size_t least = 0;
  for (const std::string& candidate : known) {
    size_t distance = EditDistance(word, candidate);
    if (distance > std::max<size_t>(1, candidate.size() / 3)) continue;
    if (nearest.empty() || distance < least) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

std::string NoSuchWord(std::string_view kind, std::string_view word,
                       const std::vector<std::string>& known) {
  const std::string nearest = NearestWord(word, known);
  return absl::StrCat("there is no ", absl::string_view(kind.data(), kind.size()), " \"",
                      absl::string_view(word.data(), word.size()), "\": ",
                      nearest.empty() ? absl::StrCat("choose one of ", absl::StrJoin(known, ", "))
                                      : absl::StrCat("did you mean \"", nearest, "\"?"));
}

}  // namespace dure
