// The checks of a spec, apart from where it came from: ParseFederation turns a fault into
// "FILE:LINE:COLUMN: ...", ValidateFederation into a status. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_SPEC_CHECK_H_
#define DURE_FEDERATION_SPEC_CHECK_H_

#include <google/protobuf/message.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proto/federation.pb.h"

namespace dure {

struct SpecFault {
  std::string path;  // of the key to blame, such as "rounds.minimum"
  std::string text;  // a whole sentence: what, which, the limit, the remedy
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

// The first fault of a spec whose defaults are filled in, keys in field-number order, then what
// several keys must hold together (FailedPrecondition). Nothing if there is none.
std::optional<SpecFault> FindFault(const FederationSpec& spec);

// The first fault of a single key of any message of keys, as its rules say.
std::optional<SpecFault> FindKeyFault(const google::protobuf::Message& message);

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_CHECK_H_
