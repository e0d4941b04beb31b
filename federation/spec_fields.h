// The keys of the federation file seen through protobuf reflection: walking them, their rules and
// their values as text. Used by the reader, the checks, the digest and the reference. Thread-safe.
#ifndef DURE_FEDERATION_SPEC_FIELDS_H_
#define DURE_FEDERATION_SPEC_FIELDS_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

using Field = google::protobuf::FieldDescriptor;

// A field holds a section ([rounds]), or a key with one of these kinds of value.
enum class KeyKind {
  kSection,
  kInteger,
  kReal,
  kSwitch,
  kText,
  kDuration,
  kChoice,
  kIntegerList,
  kTextList,
};
KeyKind KindOf(const Field& field);

// "an integer"; "a text"; ...
std::string KindInWords(KeyKind kind);

const KeyRules& RulesOf(const Field& field);

// Whether the key may have `value`: finite and within its limits.
bool WithinLimits(const KeyRules& rules, double value);

// The limits of a key for people: "1 to 1000000", "above 0, at most 1", "cnn, mlp".
std::string LimitsInWords(const Field& field);

// What a key must be, as the end of "it must be": "an integer, 1 to 128", "a text of 1 to 64
// characters", "one of "cnn", "mlp"".
std::string ExpectedInWords(const Field& field);

// The fields of a message in field-number order.
std::vector<const Field*> FieldsOf(const google::protobuf::Descriptor& type);

// "rounds" + "count" -> "rounds.count"; "" + "rounds" -> "rounds".
std::string JoinPath(std::string_view section, std::string_view key);

// Calls `visit` for every key of `message` (set or not), sections first opened where their number
// comes, all in field-number order. `path` is the full name of the key, such as "model.seed".
using KeyVisitor = std::function<void(const std::string& path,
                                      const google::protobuf::Message& section, const Field& key)>;
void VisitKeys(const google::protobuf::Message& message, const KeyVisitor& visit);

// Whether the key has a value.
bool IsSet(const google::protobuf::Message& section, const Field& key);

// Whether the other keys of the section, as they are set, make use of this one.
bool IsUsed(const google::protobuf::Message& section, const Field& key);

// The file's name of a choice: "FEDADAM" -> "fedadam". "" for a number without a name.
std::string ChoiceName(const google::protobuf::EnumDescriptor& type, int number);
// All names of a choice, without the one for "unspecified".
std::vector<std::string> ChoiceNames(const google::protobuf::EnumDescriptor& type);

// Sets a choice. False if `name` is none of its names.
bool SetChoice(std::string_view name, google::protobuf::Message* section, const Field& key);
// Sets a duration from "5m", "90s", "1h30m". False if `text` is not one, or is not a whole number
// of milliseconds, or has no room in the message.
bool SetDuration(std::string_view text, google::protobuf::Message* section, const Field& key);

// A duration in whole milliseconds. InvalidArgument if it is negative, above 2^43 seconds or has
// fractions of a millisecond.
absl::StatusOr<uint64_t> DurationMs(const google::protobuf::Message& section, const Field& key);

// The shortest text that reads back as `value`; always with a point or an exponent: "0.1", "1.0".
std::string RealToText(double value);

// The value of a key that is set, as it is written in TOML.
std::string ValueToToml(const google::protobuf::Message& section, const Field& key);

// `text` in double quotes, control characters and quotes escaped, cut after 80 bytes: for messages
// that quote what somebody else wrote.
std::string Quoted(std::string_view text);

}  // namespace dure

#endif  // DURE_FEDERATION_SPEC_FIELDS_H_
