// The reference of the federation file, from the comments and key rules of proto/federation.proto:
// docs/federation-file.md and the comments that FederationToToml writes. Thread-safe.
#ifndef DURE_FEDERATION_SPEC_REFERENCE_H_
#define DURE_FEDERATION_SPEC_REFERENCE_H_

#include <string>
#include <utility>
#include <vector>

namespace dure {

// One key of the federation file.
struct KeyReference {
  std::string section;  // "rounds", "model.input"
  std::string key;      // "count"
  std::string type;     // "integer", "number", "text", "duration", "choice", "list of integers"
  std::string default_value;  // "100"; words if it is derived; "required"
  std::string limits;         // "1 to 1000000"
  std::string meaning;        // the comment of the proto file
  std::vector<std::pair<std::string, std::string>> choices;  // of a choice: value and meaning
};

// Every key, in the order of the proto file.
std::vector<KeyReference> FederationKeys();

// docs/federation-file.md.
std::string FederationReferencePage();

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_REFERENCE_H_
