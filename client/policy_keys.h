// The limits of a policy by name: what each is called, which values it may have, how a value is
// written, and which of two is looser. For `dure policy` and for the file. Thread-safe: pure
// functions.
#ifndef DURE_CLIENT_POLICY_KEYS_H_
#define DURE_CLIENT_POLICY_KEYS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/policy.h"

namespace dure {

// How a value is written in JSON.
enum class PolicyKind { kInteger, kReal, kSwitch, kText, kList };

struct PolicyKey {
  std::string name;  // "min_cohort"
  PolicyKind kind;
  std::string limits;   // "3 to 4096"
  std::string meaning;  // for people, a few words
};

// Every limit, in the order in which they are shown.
const std::vector<PolicyKey>& PolicyKeys();
// The one of that name; nullptr if there is none.
const PolicyKey* FindPolicyKey(std::string_view name);

// The value as text: "4.0", "record", "true", "none"; elements of a list with commas between them.
// Precondition of this and the next three: `key` is the name of a limit.
std::string PolicyValue(const Policy& policy, std::string_view key);
// InvalidArgument, naming the limit, what it may be and what was given, if `text` is no value of
// it.
absl::Status SetPolicyValue(std::string_view key, std::string_view text, Policy* policy);
// Makes the limit that of `from`.
void CopyPolicyValue(std::string_view key, const Policy& from, Policy* to);
// Whether `policy` allows what `other` does not, by this limit alone.
bool IsLooser(std::string_view key, const Policy& policy, const Policy& other);

}  // namespace dure

#endif  // DURE_CLIENT_POLICY_KEYS_H_
