// TOML into a protobuf message by reflection: sections are messages, keys are fields, and the
// rules of proto/federation.proto (KeyRules) say what a key may hold. Federation files and
// simulation files are read by it, and so are single keys from a command line. Thread-safe: pure
// functions.
#ifndef DURE_FEDERATION_TOML_READER_H_
#define DURE_FEDERATION_TOML_READER_H_

#include <google/protobuf/message.h>

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

// Largest file, in bytes, and longest override.
inline constexpr uint64_t kMaxTomlFileBytes = uint64_t{1} << 20;
inline constexpr size_t kMaxOverrideBytes = 4096;

// One key that a command line gives, over what the file says.
struct KeyOverride {
  std::string shown;  // for messages, as it was written: "--set local.epochs=5"
  std::string path;   // "local.epochs"
  std::string value;  // as in TOML; texts, durations and choices also without quotes, and a list
                      // of one element without brackets; "": as if the file had no such key
};

// "KEY=VALUE", as it comes after `flag`. InvalidArgument if it is not that, or is longer than
// kMaxOverrideBytes.
absl::StatusOr<KeyOverride> ParseOverride(std::string_view text, std::string_view flag = "--set");

// Where the keys of a message were read.
class KeyPlaces {
 public:
  explicit KeyPlaces(std::string_view file) : file_(file) {}

  // "FILE:LINE:COLUMN: " of the key, of its section, or of the file's beginning; "--set KEY=VALUE:
  // " of a key that an override gave.
  std::string Of(std::string path) const;
  // Whether an override gave it.
  bool Overridden(const std::string& path) const;

 private:
  friend class TomlReader;

  std::string file_;
  std::map<std::string, std::string> places_;
  std::map<std::string, bool> overridden_;
};

// Reads `toml` into `message`, which is empty, then `overrides`, of which a later one of the same
// key wins. `file` is for messages only. Where an override changes a choice or a switch, keys of
// the file that go with another choice only are left out. InvalidArgument with
// "FILE:LINE:COLUMN: what, which, the limit" or "--set KEY=VALUE: ...", and "did you mean" for an
// unknown key or value. Neither defaults nor limits of values are looked at.
absl::StatusOr<KeyPlaces> ReadToml(std::string_view toml, std::string_view file,
                                   std::span<const KeyOverride> overrides,
                                   google::protobuf::Message* message);

// Whether `toml` is TOML with a text at the key `name` of its top level.
bool HasTopLevelText(std::string_view toml, std::string_view name);

}  // namespace dure

#endif  // DURE_FEDERATION_TOML_READER_H_
