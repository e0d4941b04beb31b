// What `dure check` says of simulating a federation on this machine.
#ifndef DURE_CLI_SIMULATED_HERE_H_
#define DURE_CLI_SIMULATED_HERE_H_

#include <string>

#include "federation/terms/terms.h"
#include "proto/federation.pb.h"

namespace dure::cli {

// A paragraph as those of CheckToText, with an empty line before it.
std::string SimulatedHere(const FederationSpec& spec, const RoundTerms& terms);
// `check`, one JSON object, with the key "simulation" more.
std::string WithSimulatedHere(const std::string& check, const FederationSpec& spec,
                              const RoundTerms& terms);

}  // namespace dure::cli

#endif  // DURE_CLI_SIMULATED_HERE_H_
