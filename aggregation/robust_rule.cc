#include "aggregation/robust_rule.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace dure {

uint32_t MostInMinority(uint32_t vectors) { return vectors < 1 ? 0 : (vectors - 1) / 2; }

uint32_t MostBesideNeighbours(uint32_t vectors) { return vectors < 3 ? 0 : (vectors - 3) / 2; }

absl::StatusOr<uint32_t> AtLeastOne(uint32_t most, std::string_view name, uint32_t vectors,
                                    uint32_t needed) {
  if (most >= 1) return most;
  return absl::FailedPreconditionError(absl::StrCat("of ", vectors, " vectors ", std::string(name),
                                                    " bears no poisoned one; it ", "needs ", needed,
                                                    " or more"));
}

void CheckVectors(VectorSpan vectors) {
  DURE_CHECK(!vectors.empty());
  for (const std::vector<float>& vector : vectors) DURE_CHECK(vector.size() == vectors[0].size());
}

}  // namespace dure
