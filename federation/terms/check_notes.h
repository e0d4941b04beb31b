// What `dure check` points out about a federation file: settings that cannot
// mean anything, with numbers and the better choice, then what the protection
// costs and what never holds. Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_CHECK_NOTES_H_
#define DURE_FEDERATION_TERMS_CHECK_NOTES_H_

#include <string>
#include <vector>

#include "federation/terms/check.h"
#include "proto/federation.pb.h"

namespace dure {

// One sentence or two each, the most important first. `report` is that of
// `spec`, complete but for its warnings.
std::vector<std::string> NotesOn(const FederationSpec& spec, const CheckReport& report);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_CHECK_NOTES_H_
