// A member's table against the schema of its federation (data.schema), before training starts.
// Reads and writes files of the node; not thread-safe for one folder.
#ifndef DURE_CLIENT_SERVICE_DATA_SCHEMA_H_
#define DURE_CLIENT_SERVICE_DATA_SCHEMA_H_

#include "absl/status/status.h"
#include "client/service/node.h"

namespace dure {

// OK if the terms name no schema, or the registered table is read by it. Where it is read by
// another, because the terms have changed since it was registered, it is compared and, if it fits,
// read by the new one from here on. FailedPrecondition with the differences, or with the remedy if
// no table is registered or the folder is not the node's own. The file of the schema is there
// (FetchFiles).
absl::Status FitTableToSchema(const Node& node);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_DATA_SCHEMA_H_
