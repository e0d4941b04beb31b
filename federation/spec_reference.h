// The references of the federation file and of the simulation file, from the comments and key rules
// of proto/federation.proto and proto/simulation.proto: docs/federation-file.md,
// docs/simulation-file.md and the comments in the files that are written. Thread-safe.
#ifndef DURE_FEDERATION_SPEC_REFERENCE_H_
#define DURE_FEDERATION_SPEC_REFERENCE_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dure {

// One key.
struct KeyReference {
  std::string section;  // "rounds", "model.input"; "" above the first section
  std::string key;      // "count"
  std::string type;     // "integer", "number", "text", "duration", "choice", "list of integers"
  std::string default_value;  // "100"; words if it is derived; "required"
  std::string limits;         // "1 to 1000000"
  std::string meaning;        // the comment of the proto file
  std::vector<std::pair<std::string, std::string>> choices;  // of a choice: value and meaning
};

// Every key, in the order of the proto file.
std::vector<KeyReference> FederationKeys();
// Of SimulationSpec or of another message of these two files.
std::vector<KeyReference> KeysOf(const google::protobuf::Message& message);

// `opening`, then every key that is used, with its explanation, and its value if it has one.
std::string KeysToToml(const google::protobuf::Message& message, std::string_view opening);

// docs/federation-file.md.
std::string FederationReferencePage();
// docs/simulation-file.md.
std::string SimulationReferencePage();

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_REFERENCE_H_
