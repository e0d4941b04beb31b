// An organiser's federation file with everything that it names: what the files beside it say, and
// whether they fit the model.
#ifndef DURE_CLI_FEDERATION_FILES_H_
#define DURE_CLI_FEDERATION_FILES_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure::cli {

// As ReadFederationFile; besides, fills in model.torchscript_parameters, for which it has
// `dure model describe` look at the module. InvalidArgument, with the numbers and the remedy, if a
// vocabulary or a schema is none, or does not fit model.input.
absl::StatusOr<FederationSpec> ReadOrganisersFile(const std::string& path);

}  // namespace dure::cli

#endif  // DURE_CLI_FEDERATION_FILES_H_
