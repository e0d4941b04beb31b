#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace dure::internal {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "dure: this is a bug in dure: %s:%d: %s does not hold\n", file, line,
               condition);
  std::abort();
}

}  // namespace dure::internal
