#include "privacy/secagg/config.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/thresholds.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMaxSecurityBits = 1000;

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("round config: ", parts...));
}

absl::Status CheckName(absl::string_view field, const std::string& name) {
  if (name.size() <= kMaxNameBytes) return absl::OkStatus();
  return Refuse(field, " has ", name.size(), " bytes, limit ", kMaxNameBytes);
}

absl::Status CheckDigest(absl::string_view field, const std::string& bytes) {
  if (bytes.size() == sizeof(Digest)) return absl::OkStatus();
  return Refuse(field, " has ", bytes.size(), " bytes instead of ", sizeof(Digest));
}

}  // namespace

Digest ConfigHash(const RoundConfig& config) {
  return Transcript("config")
      .AddU64(config.suite())
      .Add(config.task())
      .AddU64(config.round())
      .AddU64(config.attempt())
      .Add(config.model_hash())
      .AddU64(config.dim())
      .AddU64(config.invited())
      .AddU64(config.bits())
      .AddU64(config.scale())
      .AddF64(config.clip_norm())
      .Add(config.mechanism())
      .AddU64(config.sigma2_local())
      .AddU64(config.norm_bound_sq())
      .Add(config.rotation_seed())
      .Add(config.weighting())
      .Add(config.graph_rule())
      .AddU64(config.security_bits())
      .AddF64(config.max_dropout())
      .AddU64(config.minimum_roster())
      .AddU64(config.minimum_sum())
      .AddU64(config.max_corrupt())
      .AddU64(config.deadline_ms())
      .Hash();
}

absl::Status ValidateConfigFields(const RoundConfig& config) {
  if (config.suite() != kSuite) {
    return Refuse("suite ", config.suite(), "; this program speaks suite ", kSuite);
  }
  DURE_RETURN_IF_ERROR(CheckDigest("task", config.task()));
  DURE_RETURN_IF_ERROR(CheckDigest("model_hash", config.model_hash()));
  if (!config.rotation_seed().empty()) {
    DURE_RETURN_IF_ERROR(CheckDigest("rotation_seed", config.rotation_seed()));
  }
  DURE_RETURN_IF_ERROR(CheckName("mechanism", config.mechanism()));
  DURE_RETURN_IF_ERROR(CheckName("weighting", config.weighting()));
  if (config.dim() < 1 || config.dim() > kMaxDim) {
    return Refuse("dim ", config.dim(), ", limits 1 to ", kMaxDim);
  }
  if (config.bits() < 1 || config.bits() > kMaxRingBits) {
    return Refuse("bits ", config.bits(), ", limits 1 to ", kMaxRingBits);
  }
  if (!std::isfinite(config.clip_norm()) || config.clip_norm() < 0) {
    return Refuse("clip_norm ", config.clip_norm(), " must be finite and not negative");
  }
  if (config.security_bits() > kMaxSecurityBits) {
    return Refuse("security_bits ", config.security_bits(), ", limit ", kMaxSecurityBits);
  }
  if (!(config.max_dropout() >= 0 && config.max_dropout() < 1)) {
    return Refuse("max_dropout ", config.max_dropout(), ", limits 0 to below 1");
  }
  if (config.minimum_roster() > config.invited() || config.minimum_sum() > config.invited()) {
    return Refuse("minimum_roster ", config.minimum_roster(), " and minimum_sum ",
                  config.minimum_sum(), " must not be above the ", config.invited(), " invited");
  }
  return absl::OkStatus();
}

absl::Status ValidateConfig(const RoundConfig& config) {
  DURE_RETURN_IF_ERROR(ValidateConfigFields(config));
  return RulesOf(config, config.invited()).status();
}

absl::StatusOr<SessionRules> RulesOf(const RoundConfig& config, uint32_t members) {
  RuleParams params = {.members = members,
                       .max_corrupt = config.max_corrupt(),
                       .minimum_sum = config.minimum_sum(),
                       .minimum_roster = config.minimum_roster(),
                       .max_dropout = config.max_dropout(),
                       .security_bits = config.security_bits()};
  DURE_ASSIGN_OR_RETURN(params.rule, GraphRuleName::Parse(config.graph_rule()));
  return ComputeSessionRules(params);
}

}  // namespace dure::secagg
