// Passing on absl::Status and absl::StatusOr without writing the same three lines each time.
#ifndef DURE_BASE_STATUS_MACROS_H_
#define DURE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define DURE_STATUS_CONCAT_INNER_(a, b) a##b
#define DURE_STATUS_CONCAT_(a, b) DURE_STATUS_CONCAT_INNER_(a, b)

// Returns the status of `expression` from the enclosing function unless it is OK.
#define DURE_RETURN_IF_ERROR(expression)                                                   \
  do {                                                                                     \
    if (absl::Status dure_status_ = (expression); !dure_status_.ok()) return dure_status_; \
  } while (false)

// DURE_ASSIGN_OR_RETURN(auto value, FunctionThatReturnsStatusOr());
#define DURE_ASSIGN_OR_RETURN(target, expression) \
  DURE_ASSIGN_OR_RETURN_IMPL_(DURE_STATUS_CONCAT_(dure_status_or_, __LINE__), target, expression)
#define DURE_ASSIGN_OR_RETURN_IMPL_(holder, target, expression) \
  auto holder = (expression);                                   \
  if (!holder.ok()) return std::move(holder).status();          \
  target = *std::move(holder)

#endif  // DURE_BASE_STATUS_MACROS_H_
