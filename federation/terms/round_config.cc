#include "federation/terms/round_config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "federation/spec_fields.h"
#include "federation/terms/sums_terms.h"
#include "privacy/secagg/config.h"

namespace dure {

using google::protobuf::FieldDescriptor;

namespace {

constexpr uint32_t kSecurityBits = 128;
constexpr size_t kMaxBytesShown = 32;

// RoundConfig.mechanism: what is protected, and whose noise does it.
std::string MechanismName(const RoundTerms& terms) {
  if (terms.sums != SumsKind::kTraining) {
    return absl::StrCat(std::string(SumsName(terms.sums)),
                        terms.unit == PrivacySection::NONE ? "-exact"
                        : terms.secure_aggregation         ? ""
                                                           : "-central");
  }
  if (terms.unit == PrivacySection::NONE) return "none";
  if (terms.mode == LocalSection::DP_SGD) return "dp-sgd";
  return absl::StrCat(terms.unit == PrivacySection::CLIENT ? "client-update" : "record-gradient",
                      terms.adaptive_clipping ? "-adaptive" : "",
                      terms.secure_aggregation ? "" : "-central");
}

// Public, and different in every attempt, so that nobody can choose it.
Digest RotationSeed(const Digest& spec_digest, const AttemptId& id) {
  return Transcript("rotation-seed").Add(spec_digest).AddU64(id.attempt).Hash();
}

std::string Hex(const std::string& bytes) {
  std::string hex = ToHex(AsBytes(bytes).first(std::min(bytes.size(), kMaxBytesShown)));
  if (bytes.size() > kMaxBytesShown) hex += "...";
  return hex.empty() ? "nothing" : hex;
}

// The value of a field, for a message.
std::string FieldText(const secagg::RoundConfig& config, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *config.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection.GetUInt32(config, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(config, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrFormat("%.17g", reflection.GetDouble(config, &field));
    default:
      break;
  }
  const std::string text = reflection.GetString(config, &field);
  return field.type() == FieldDescriptor::TYPE_BYTES ? Hex(text) : Quoted(text);
}

bool FieldsEqual(const secagg::RoundConfig& a, const secagg::RoundConfig& b,
                 const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *a.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(a, &field) == reflection.GetString(b, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return std::bit_cast<uint64_t>(reflection.GetDouble(a, &field)) ==
             std::bit_cast<uint64_t>(reflection.GetDouble(b, &field));
    default:
      return FieldText(a, field) == FieldText(b, field);
  }
}

}  // namespace

Digest OfferedModelHash(std::string_view model, std::string_view state) {
  return state.empty() ? Sha256(AsBytes(model)) : Sha256(AsBytes(absl::StrCat(std::string(model), std::string(state))));
}

secagg::RoundConfig MakeRoundConfig(const FederationSpec& spec, const Digest& spec_digest,
                                    const RoundTerms& terms, const AttemptId& id) {
  secagg::RoundConfig config;
  config.set_suite(secagg::kSuite);
  config.set_task(ToString(spec_digest));
  config.set_round(id.round);
  config.set_attempt(id.attempt);
  config.set_model_hash(ToString(id.model_hash));
  config.set_dim(terms.coordinates);
  config.set_invited(terms.invited);
  config.set_bits(terms.bits);
  config.set_scale(terms.scale);
  config.set_clip_norm(terms.clip_norm);
  config.set_mechanism(MechanismName(terms));
  config.set_sigma2_local(terms.sigma2_local);
  config.set_norm_bound_sq(terms.norm_bound_sq);
  if (terms.rotation) config.set_rotation_seed(ToString(RotationSeed(spec_digest, id)));
  config.set_weighting(terms.weighted ? "records" : "uniform");
  config.set_graph_rule(terms.graph_rule);
  config.set_security_bits(kSecurityBits);
  config.set_max_dropout(spec.secure_aggregation().max_dropout());
  config.set_minimum_roster(terms.roster_minimum);
  config.set_minimum_sum(terms.sum_asked);
  config.set_max_corrupt(terms.max_corrupt);
  config.set_deadline_ms(static_cast<uint64_t>(spec.rounds().deadline().seconds()) * 1000 +
                         static_cast<uint64_t>(spec.rounds().deadline().nanos()) / 1'000'000);
  return config;
}

absl::Status CompareConfigs(const secagg::RoundConfig& offered, const secagg::RoundConfig& own) {
  const google::protobuf::Descriptor& type = *secagg::RoundConfig::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (FieldsEqual(offered, own, field)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the coordinator offers ", field.name(), " = ", FieldText(offered, field),
                     ", but by the approved terms it is ", FieldText(own, field)));
  }
  return absl::OkStatus();
}

}  // namespace dure
