#include "federation/spec.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "federation/spec_fields.h"

namespace dure {

using google::protobuf::Message;

namespace {

constexpr uint32_t kFewestMembers = 3;
// Values of a byte.
constexpr uint32_t kByteTokens = 256;
// Andrew et al. 2021 count with noise of a twentieth of the members.
constexpr double kMembersPerCountNoise = 20;

// `text` is the default of a key in proto/federation.proto, so a mistake in it is a programmer's.
void SetFromText(const std::string& text, Message* section, const Field& key) {
  const google::protobuf::Reflection& reflection = *section->GetReflection();
  uint64_t integer = 0;
  double real = 0;
  switch (KindOf(key)) {
    case KeyKind::kInteger:
      DURE_CHECK(absl::SimpleAtoi(text, &integer));
      if (key.cpp_type() == Field::CPPTYPE_UINT32) {
        reflection.SetUInt32(section, &key, static_cast<uint32_t>(integer));
      } else {
        reflection.SetUInt64(section, &key, integer);
      }
      return;
    case KeyKind::kReal:
      DURE_CHECK(absl::SimpleAtod(text, &real));
      reflection.SetDouble(section, &key, real);
      return;
    case KeyKind::kSwitch:
      reflection.SetBool(section, &key, text == "true");
      return;
    case KeyKind::kText:
      reflection.SetString(section, &key, text);
      return;
    case KeyKind::kDuration:
      DURE_CHECK(SetDuration(text, section, key));
      return;
    case KeyKind::kChoice:
      DURE_CHECK(SetChoice(text, section, key));
      return;
    case KeyKind::kIntegerList:
      for (absl::string_view element : absl::StrSplit(text, ", ")) {
        DURE_CHECK(absl::SimpleAtoi(element, &integer));
        reflection.AddUInt32(section, &key, static_cast<uint32_t>(integer));
      }
      return;
    case KeyKind::kTextList:
    case KeyKind::kSection:
      DURE_CHECK(false && "a list of texts or a section has no default");
  }
}

// Adds the canonical value of one key: docs/formats/spec-digest.md.
void AddToTranscript(const std::string& path, const Message& section, const Field& key,
                     Transcript* transcript) {
  const google::protobuf::Reflection& reflection = *section.GetReflection();
  if (KindOf(key) == KeyKind::kIntegerList) {
    for (int i = 0; i < reflection.FieldSize(section, &key); ++i) {
      transcript->Add(absl::StrCat(path, "[", i, "]"));
      transcript->AddU64(reflection.GetRepeatedUInt32(section, &key, i));
    }
    return;
  }
  if (KindOf(key) == KeyKind::kTextList) {
    for (int i = 0; i < reflection.FieldSize(section, &key); ++i) {
      transcript->Add(absl::StrCat(path, "[", i, "]"));
      transcript->Add(reflection.GetRepeatedString(section, &key, i));
    }
    return;
  }
  transcript->Add(path);
  switch (KindOf(key)) {
    case KeyKind::kInteger:
      transcript->AddU64(key.cpp_type() == Field::CPPTYPE_UINT32
                             ? reflection.GetUInt32(section, &key)
                             : reflection.GetUInt64(section, &key));
      return;
    case KeyKind::kReal:
      transcript->AddF64(reflection.GetDouble(section, &key) + 0.0);  // -0.0 becomes 0.0
      return;
    case KeyKind::kSwitch:
      transcript->Add(reflection.GetBool(section, &key) ? "true" : "false");
      return;
    case KeyKind::kText:
      transcript->Add(reflection.GetString(section, &key));
      return;
    case KeyKind::kDuration:
      transcript->AddU64(DurationMs(section, key).value_or(0));
      return;
    case KeyKind::kChoice:
      transcript->Add(ChoiceName(*key.enum_type(), reflection.GetEnumValue(section, &key)));
      return;
    default:
      DURE_CHECK(false && "not a key");
  }
}

// Before the others: which keys are used depends on the architecture.
void FillModel(ModelSection* model) {
  if (!model->has_architecture() && model->has_torchscript()) {
    model->set_architecture(ModelSection::TORCHSCRIPT);
  }
  if (!model->has_architecture() && model->has_own()) model->set_architecture(ModelSection::OWN);
  const bool text =
      model->architecture() == ModelSection::GRU || model->architecture() == ModelSection::LSTM;
  if (!model->has_loss()) {
    model->set_loss(text ? ModelSection::NEXT_TOKEN : ModelSection::CROSS_ENTROPY);
  }
  if (text && model->tokens() != ModelSection::WORDS && !model->input().has_classes()) {
    model->mutable_input()->set_classes(kByteTokens);
  }
}

}  // namespace

void FillDefaultValues(Message* section) {
  for (const Field* field : FieldsOf(*section->GetDescriptor())) {
    if (KindOf(*field) == KeyKind::kSection) {
      FillDefaultValues(section->GetReflection()->MutableMessage(section, field));
    } else if (RulesOf(*field).has_default_value() && !IsSet(*section, *field) &&
               IsUsed(*section, *field)) {
      SetFromText(RulesOf(*field).default_value(), section, *field);
    }
  }
}

void FillDefaults(FederationSpec* spec) {
  FillModel(spec->mutable_model());
  FillDefaultValues(spec);
  RoundsSection* rounds = spec->mutable_rounds();
  if (!rounds->has_minimum() && rounds->has_cohort()) {
    uint64_t four_fifths = (uint64_t{4} * rounds->cohort() + 4) / 5;
    rounds->set_minimum(
        std::min(rounds->cohort(), std::max(kFewestMembers, static_cast<uint32_t>(four_fifths))));
  }
  if (!rounds->has_max_attempts()) {
    uint64_t attempts = uint64_t{rounds->count()} + rounds->count() / 8 + 1;
    rounds->set_max_attempts(static_cast<uint32_t>(std::min<uint64_t>(attempts, UINT32_MAX)));
  }
  PrivacySection* privacy = spec->mutable_privacy();
  if (privacy->clipping() == PrivacySection::ADAPTIVE && !privacy->has_clip_count_noise()) {
    privacy->set_clip_count_noise(
        std::max(rounds->minimum() / kMembersPerCountNoise, privacy->noise_multiplier()));
  }
}

Digest SpecDigest(const FederationSpec& spec) {
  Transcript transcript("spec");
  VisitKeys(spec, [&](const std::string& path, const Message& section, const Field& key) {
    const bool unchanged_by_upgrade = RulesOf(key).added_later() && IsSet(section, key) &&
                                      ValueToToml(section, key) == RulesOf(key).default_value();
    if (IsSet(section, key) && !unchanged_by_upgrade) {
      AddToTranscript(path, section, key, &transcript);
    }
  });
  return transcript.Hash();
}

}  // namespace dure
