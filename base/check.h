// DURE_CHECK: for mistakes of the programmer only. Nothing that comes from outside may reach one.
// On in every build. Thread-safe.
#ifndef DURE_BASE_CHECK_H_
#define DURE_BASE_CHECK_H_

namespace dure::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}

#define DURE_CHECK(condition)                                        \
  do {                                                               \
    if (!(condition)) [[unlikely]]                                   \
      ::dure::internal::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#endif  // DURE_BASE_CHECK_H_
