#include "federation/spec_check.h"

#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::ClientToml;
using ::dure::testing::DemoToml;
using ::dure::testing::DpSgdToml;
using ::dure::testing::NoneToml;
using ::google::protobuf::Message;
using ::testing::HasSubstr;

FederationSpec Read(const std::string& toml) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(FederationSpec());
}

FederationSpec Demo() { return Read(DemoToml()); }

absl::Status With(const std::function<void(FederationSpec*)>& change) {
  FederationSpec spec = Demo();
  change(&spec);
  return ValidateFederation(spec);
}

// The message that holds the key at `path`.
Message* SectionOf(FederationSpec* spec, const std::string& path) {
  Message* section = spec;
  size_t from = 0;
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', from)) {
    const Field* field = section->GetDescriptor()->FindFieldByName(path.substr(from, dot - from));
    section = section->GetReflection()->MutableMessage(section, field);
    from = dot + 1;
  }
  return section;
}

// The demo with another model and other lines of [server] and at the end.
FederationSpec WithModel(const std::string& model, const std::string& rest = "") {
  std::string toml = testing::DemoWith("architecture = \"cnn\"", model);
  toml.replace(toml.find("shape = [1, 28, 28]\nclasses = 10"), 32, "shape = [80]\nclasses = 257");
  return Read(toml + rest);
}

// Specs of which at least one uses each key.
std::vector<FederationSpec> SpecsOfEveryKey() {
  return {
      Demo(),
      Read(ClientToml()),
      Read(DpSgdToml()),
      Read(NoneToml()),
      Read(NoneToml("robust = \"trimmed_mean\"\ngroup_size = 5")),
      Read(NoneToml("robust = \"multi_krum\"\ngroup_size = 5")),
      Read(NoneToml("robust = \"norm_bound\"\ngroup_size = 5")),
      Read(testing::DemoWithUnit("mode = \"epochs\"\nschedule = \"step\"\n"
                                 "control_variates = true\npopulation = 12",
                                 "unit = \"none\"")),
      Read(testing::DemoWithUnit("mode = \"epochs\"\nschedule = \"cosine\"", "unit = \"none\"")),
      Read(testing::DemoWith("tau = 1e-3", "schedule = \"step\"")),
      Read(testing::DemoWith("tau = 1e-3", "schedule = \"linear\"")),
      Read(testing::DemoWith("architecture = \"cnn\"", "architecture = \"mlp\"")),
      Read(testing::DemoWith("architecture = \"cnn\"", "torchscript = \"m.pt\"")),
      Read(testing::DemoWith("architecture = \"cnn\"", "own = \"mine\"\nown_parameters = 7")),
      WithModel("architecture = \"lstm\"\ntokens = \"words\"\nvocabulary = \"words.txt\"",
                "members = true\nmembers_noise = 20.0\n[data]\nschema = \"records.schema\"\n"
                "[statistics]\nenabled = true\nnoise_multiplier = 20.0\n"),
  };
}

// Calls `visit` for every key, with the section of a fresh spec that uses it.
void ForEachKey(const std::function<void(const std::string& path, FederationSpec* spec,
                                         Message* section, const Field& key)>& visit) {
  const std::vector<FederationSpec> specs = SpecsOfEveryKey();
  VisitKeys(FederationSpec::default_instance(),
            [&](const std::string& path, const Message&, const Field& key) {
              for (FederationSpec spec : specs) {
                Message* section = SectionOf(&spec, path);
                if (IsUsed(*section, key)) return visit(path, &spec, section, key);
              }
              ADD_FAILURE() << "no spec uses " << path;
            });
}

void ExpectInvalid(const FederationSpec& spec, const std::string& path) {
  absl::Status status = ValidateFederation(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path << status;
  EXPECT_THAT(std::string(status.message()), ::testing::StartsWith(path));
}

TEST(SpecCheckTest, TheDemoIsGood) { EXPECT_TRUE(ValidateFederation(Demo()).ok()); }

TEST(SpecCheckTest, EveryMissingKeyIsAnErrorUnlessItMayBeAbsent) {
  // Which other keys decide whether they are needed.
  const std::set<std::string> needed = {"local.weight_mean", "evaluation.members_noise",
                                        "statistics.noise_multiplier"};
  // Whose absence leaves nothing that uses a key that is there.
  const std::set<std::string> others = {"model.architecture", "model.loss", "model.input.classes"};
  ForEachKey(
      [&](const std::string& path, FederationSpec* spec, Message* section, const Field& key) {
        if (others.contains(path)) return;
        section->GetReflection()->ClearField(section, &key);
        // Terms of an older version lack keys that came later.
        const bool may_be_absent = RulesOf(key).may_be_absent() || RulesOf(key).added_later();
        if (may_be_absent && !needed.contains(path)) {
          EXPECT_TRUE(ValidateFederation(*spec).ok()) << path << ValidateFederation(*spec);
        } else if (RulesOf(key).may_be_absent()) {
          const absl::Status status = ValidateFederation(*spec);
          EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << path;
          EXPECT_THAT(std::string(status.message()), HasSubstr(path + " is missing"));
        } else {
          ExpectInvalid(*spec, path);
          EXPECT_THAT(std::string(ValidateFederation(*spec).message()), HasSubstr("is missing"));
        }
      });
}

TEST(SpecCheckTest, RealsMustBeFiniteAndWithinTheirLimits) {
  ForEachKey([](const std::string& path, FederationSpec* spec, Message* section, const Field& key) {
    if (KindOf(key) != KeyKind::kReal) return;
    const KeyRules& rules = RulesOf(key);
    std::vector<double> bad = {std::nan(""), std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(), -1.0};
    if (rules.has_above()) bad.push_back(rules.above());
    if (rules.has_below()) bad.push_back(rules.below());
    if (rules.has_at_least()) bad.push_back(rules.at_least() - 1e-12);
    if (rules.has_at_most()) bad.push_back(std::nextafter(rules.at_most(), 1e300));
    EXPECT_TRUE(rules.has_above() || rules.has_at_least()) << path;
    EXPECT_TRUE(rules.has_below() || rules.has_at_most()) << path;
    for (double value : bad) {
      section->GetReflection()->SetDouble(section, &key, value);
      ExpectInvalid(*spec, path);
    }
  });
}

TEST(SpecCheckTest, IntegersMustBeWithinTheirLimits) {
  ForEachKey([](const std::string& path, FederationSpec* spec, Message* section, const Field& key) {
    if (KindOf(key) != KeyKind::kInteger) return;
    const KeyRules& rules = RulesOf(key);
    EXPECT_TRUE(rules.has_at_most()) << path;
    auto set = [&](uint64_t value) {
      if (key.cpp_type() == Field::CPPTYPE_UINT32) {
        section->GetReflection()->SetUInt32(section, &key, static_cast<uint32_t>(value));
      } else {
        section->GetReflection()->SetUInt64(section, &key, value);
      }
    };
    set(static_cast<uint64_t>(rules.at_most()) + 1);
    ExpectInvalid(*spec, path);
    set(key.cpp_type() == Field::CPPTYPE_UINT32 ? UINT32_MAX : UINT64_MAX);
    ExpectInvalid(*spec, path);
    if (rules.has_at_least()) {
      set(static_cast<uint64_t>(rules.at_least()) - 1);
      ExpectInvalid(*spec, path);
    }
  });
}

TEST(SpecCheckTest, TextsHaveALength) {
  ForEachKey([](const std::string& path, FederationSpec* spec, Message* section, const Field& key) {
    if (KindOf(key) != KeyKind::kText) return;
    section->GetReflection()->SetString(section, &key, "");
    ExpectInvalid(*spec, path);
    const auto most = static_cast<size_t>(RulesOf(key).at_most());
    EXPECT_GT(most, 0u) << path;
    section->GetReflection()->SetString(section, &key, std::string(most + 1, 'a'));
    ExpectInvalid(*spec, path);
  });
}

TEST(SpecCheckTest, TextsMustNotActOnATerminal) {
  for (const char* bad : {"a\x1b[2J", "line\nbreak", "\xc2\x9b",
                          "\xe2\x80\xae"
                          "abc",
                          "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(With([&](FederationSpec* s) { s->mutable_federation()->set_purpose(bad); }).code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(With([](FederationSpec* s) {
                s->mutable_federation()->set_purpose("서로의 밭을 함께 - été, 🌾");
              }).ok());
}

TEST(SpecCheckTest, LengthsAreInCharactersNotBytes) {
  std::string purpose;
  for (int i = 0; i < 500; ++i) purpose += "두";
  EXPECT_TRUE(With([&](FederationSpec* s) { s->mutable_federation()->set_purpose(purpose); }).ok());
}

TEST(SpecCheckTest, NamesAreLowerCaseLettersDigitsAndDashes) {
  for (const char* bad : {"Fashion", "a b", "a/b", "a_b", "é"}) {
    EXPECT_THAT(std::string(With([&](FederationSpec* s) {
                              s->mutable_federation()->set_name(bad);
                            }).message()),
                HasSubstr("lower-case letters"));
  }
}

TEST(SpecCheckTest, LicensesAreIdentifiers) {
  EXPECT_THAT(std::string(With([](FederationSpec* s) {
                            s->mutable_federation()->set_license("my licence");
                          }).message()),
              HasSubstr("SPDX"));
}

TEST(SpecCheckTest, AddressesAreHostAndPort) {
  for (const char* bad :
       {"example.org", ":7443", "example.org:", "example.org:65536", "example.org:74430000",
        "a b:1", "::1:7443", "[]:1", "[::1:7443", "https://example.org:7443", "example.org:7x"}) {
    EXPECT_THAT(std::string(With([&](FederationSpec* s) {
                              s->mutable_federation()->set_address(bad);
                            }).message()),
                HasSubstr("HOST:PORT"))
        << bad;
  }
  for (const char* good :
       {"localhost:1", "127.0.0.1:7443", "127.0.0.1:0", "[::1]:7443", "a-b.example:65535"}) {
    EXPECT_TRUE(With([&](FederationSpec* s) { s->mutable_federation()->set_address(good); }).ok())
        << good;
  }
}

TEST(SpecCheckTest, ListsHaveALengthAndLimits) {
  auto with_shape = [](const std::vector<uint32_t>& shape) {
    return With([&](FederationSpec* s) {
      s->mutable_model()->mutable_input()->mutable_shape()->Assign(shape.begin(), shape.end());
    });
  };
  EXPECT_TRUE(with_shape({30}).ok());
  for (const std::vector<uint32_t>& bad : std::vector<std::vector<uint32_t>>{
           {0}, {1, 0}, {65537}, {1, 1, 1, 1, 1}, std::vector<uint32_t>(1000, 1)}) {
    EXPECT_THAT(std::string(with_shape(bad).message()), HasSubstr("1 to 3 integers"));
  }
}

TEST(SpecCheckTest, DurationsHaveLimits) {
  auto with_deadline = [](int64_t seconds, int32_t nanos) {
    return With([&](FederationSpec* s) {
      s->mutable_rounds()->mutable_deadline()->set_seconds(seconds);
      s->mutable_rounds()->mutable_deadline()->set_nanos(nanos);
    });
  };
  EXPECT_TRUE(with_deadline(0, 100'000'000).ok());
  EXPECT_TRUE(with_deadline(86400, 0).ok());
  EXPECT_THAT(std::string(with_deadline(0, 99'000'000).message()), HasSubstr("100ms to 24h"));
  EXPECT_THAT(std::string(with_deadline(86400, 1'000'000).message()), HasSubstr("100ms to 24h"));
  for (auto [seconds, nanos] : std::vector<std::pair<int64_t, int32_t>>{
           {-1, 0}, {1, -1}, {1, 1}, {1, 1'000'000'000}, {INT64_MAX, 0}, {INT64_MIN, 0}}) {
    EXPECT_THAT(std::string(with_deadline(seconds, nanos).message()),
                HasSubstr("whole number of milliseconds"));
  }
}

TEST(SpecCheckTest, ChoicesMustBeKnown) {
  EXPECT_THAT(std::string(With([](FederationSpec* s) {
                            s->mutable_model()->set_architecture(
                                static_cast<ModelSection::Architecture>(99));
                          }).message()),
              HasSubstr("number 99, which this version does not know"));
  EXPECT_EQ(With([](FederationSpec* s) {
              s->mutable_local()->set_mode(LocalSection::MODE_UNSPECIFIED);
            }).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SpecCheckTest, KeysThatAreNotUsedAreErrors) {
  absl::Status status =
      With([](FederationSpec* s) { s->mutable_server()->set_optimizer(ServerSection::FEDAVG); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "server.beta1 is not used with optimizer = \"fedavg\": remove it, or choose optimizer "
            "fedavgm, fedadagrad, fedadam, fedyogi");
  const struct {
    ServerSection::Optimizer optimizer;
    bool beta1, beta2, tau;
  } cases[] = {{ServerSection::FEDAVG, false, false, false},
               {ServerSection::FEDAVGM, true, false, false},
               {ServerSection::FEDADAGRAD, true, false, true},
               {ServerSection::FEDADAM, true, true, true},
               {ServerSection::FEDYOGI, true, true, true}};
  for (const auto& c : cases) {
    EXPECT_TRUE(With([&](FederationSpec* s) {
                  s->mutable_server()->set_optimizer(c.optimizer);
                  if (!c.beta1) s->mutable_server()->clear_beta1();
                  if (!c.beta2) s->mutable_server()->clear_beta2();
                  if (!c.tau) s->mutable_server()->clear_tau();
                }).ok())
        << c.optimizer;
  }
}

TEST(SpecCheckTest, WithoutACohortTheMinimumIsRequired) {
  absl::Status status = With([](FederationSpec* s) {
    s->mutable_rounds()->clear_cohort();
    s->mutable_rounds()->clear_minimum();
  });
  EXPECT_THAT(std::string(status.message()), HasSubstr("rounds.minimum is missing: without"));
}

TEST(SpecCheckTest, KeysThatCannotGoTogetherAreFailedPreconditions) {
  auto expect = [](const std::function<void(FederationSpec*)>& change, const char* text) {
    absl::Status status = With(change);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  };
  expect([](FederationSpec* s) { s->mutable_rounds()->set_minimum(11); },
         "rounds.minimum is 11, above the cohort of 10");
  expect([](FederationSpec* s) { s->mutable_rounds()->set_max_attempts(299); },
         "rounds.max_attempts is 299, fewer than the 300 rounds");
  expect([](FederationSpec* s) { s->mutable_privacy()->set_total_records(14999); },
         "privacy.max_records_per_member is 15000, more than privacy.total_records, 14999");
  expect(
      [](FederationSpec* s) {
        s->mutable_privacy()->set_delta(1e-6);
        s->mutable_rounds()->set_max_attempts(2000000);
      },
      "the batch caps of 2000000 attempts use up 1.81899e-06");
}

TEST(SpecCheckTest, SettingsOfANewerVersionAreRefused) {
  absl::Status status = With([](FederationSpec* s) {
    PrivacySection* privacy = s->mutable_privacy();
    privacy->GetReflection()->MutableUnknownFields(privacy)->AddVarint(999, 1);
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not know"));
}

TEST(SpecCheckTest, EveryUnitIsGood) {
  for (const std::string& toml : {ClientToml(), DpSgdToml(), NoneToml(),
                                  ClientToml("enabled = false"), NoneToml("enabled = false")}) {
    EXPECT_TRUE(ParseFederation(toml, "f.toml").ok()) << ParseFederation(toml, "f.toml").status();
  }
}

TEST(SpecCheckTest, UnitsGoWithModes) {
  auto refused = [](const std::string& toml, const std::string& text) {
    const absl::Status status = ParseFederation(toml, "f.toml").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  };
  const std::string record =
      "max_epsilon = 4.0\ntotal_records = 60000\nmax_records_per_member = 15000";
  refused(testing::DemoWithUnit("mode = \"epochs\"", record), "cannot protect single records");
  refused(testing::DemoWithUnit("sampling_rate = 0.01", "unit = \"none\""),
          "privacy.unit = \"none\" goes with local.mode = \"epochs\" only");
  refused(testing::DemoWithUnit("mode = \"dp_sgd\"\nsampling_rate = 0.01",
                                "unit = \"client\"\nmax_epsilon = 4.0"),
          "privacy.unit = \"client\" goes with local.mode = \"epochs\" only");
}

TEST(SpecCheckTest, RobustRulesNeedSumsOfGroups) {
  EXPECT_THAT(
      ParseFederation(NoneToml("robust = \"krum\""), "f.toml").status().ToString(),
      HasSubstr("group_size is missing: of the whole cohort the coordinator sees one sum, in "
                "which a robust rule has nothing to compare; set it to the members of one "
                "group, 3 to 127"));
  EXPECT_THAT(
      ParseFederation(NoneToml("enabled = false\nrobust = \"krum\""), "f.toml").status().ToString(),
      HasSubstr("secure_aggregation.robust goes with enabled = true only: without secure "
                "aggregation updates are added up as they come"));
}

TEST(SpecCheckTest, TheLossGoesWithTheModel) {
  const auto refused = [](const std::function<void(FederationSpec*)>& change, const char* text) {
    EXPECT_THAT(std::string(With(change).message()), HasSubstr(text));
  };
  refused([](FederationSpec* s) { s->mutable_model()->set_loss(ModelSection::NEXT_TOKEN); },
          "model.loss = \"next_token\" is for models of text");
  refused([](FederationSpec* s) { s->mutable_model()->set_loss(ModelSection::MSE); },
          "model.input.classes is 10: with model.loss = \"mse\" it must be 1");
  refused([](FederationSpec* s) { s->mutable_model()->mutable_input()->set_classes(1); },
          "with model.loss = \"cross_entropy\" it must be 2 or more");
  FederationSpec text = WithModel("architecture = \"gru\"\ntokens = \"words\"\nvocabulary = \"v\"");
  text.mutable_model()->set_loss(ModelSection::CROSS_ENTROPY);
  EXPECT_THAT(std::string(ValidateFederation(text).message()),
              HasSubstr("model.loss of gru and lstm is next_token"));
  text = WithModel("architecture = \"gru\"\ntokens = \"words\"\nvocabulary = \"v\"");
  text.mutable_model()->mutable_input()->add_shape(2);
  EXPECT_THAT(std::string(ValidateFederation(text).message()),
              HasSubstr("model.input.shape of a text is one size"));
}

TEST(SpecCheckTest, FilesAreBesideTheFederationFile) {
  for (const char* bad : {"../m.pt", "/etc/passwd", ".m", "a b"}) {
    const auto spec = ParseFederation(
        testing::DemoWith("architecture = \"cnn\"", absl::StrCat("torchscript = \"", bad, "\"")),
        "f.toml");
    EXPECT_THAT(spec.status().ToString(), HasSubstr("must be the name of a file beside this one"));
  }
  const auto spec =
      ParseFederation(testing::DemoWith("architecture = \"cnn\"",
                                        "torchscript = \"m.pt\"\ntorchscript_sha256 = \"AB\""),
                      "f.toml");
  EXPECT_THAT(spec.status().ToString(), HasSubstr("must be 64 hexadecimal digits"));
}

TEST(SpecCheckTest, SumsBearNoiseWhereTheUnitAsksForIt) {
  FederationSpec spec = Demo();
  spec.mutable_evaluation()->set_members(true);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("evaluation.members_noise is missing: exact sums would tell what unit = "
                        "\"record\" protects"));
  spec = Read(NoneToml());
  spec.mutable_evaluation()->set_members(true);
  spec.mutable_evaluation()->set_members_noise(1);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("evaluation.members_noise is not used with unit = \"none\""));
  spec = Demo();
  spec.mutable_statistics()->set_enabled(true);
  spec.mutable_statistics()->set_bins(3);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("statistics.enabled needs data.schema"));
}

TEST(SpecCheckTest, SumsAreOfRecordsUnderSecureAggregation) {
  FederationSpec spec = Read(ClientToml());
  spec.mutable_evaluation()->set_members(true);
  spec.mutable_evaluation()->set_members_noise(1);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("evaluation.members does not go with privacy.unit = \"client\""));
  spec = Read(DpSgdToml());
  spec.mutable_evaluation()->set_members(true);
  spec.mutable_evaluation()->set_members_noise(1);
  EXPECT_TRUE(ValidateFederation(spec).ok()) << ValidateFederation(spec);
  spec.mutable_secure_aggregation()->Clear();
  spec.mutable_secure_aggregation()->set_enabled(false);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("without secure aggregation"));
}

TEST(SpecCheckTest, WhatStaysWithMembersNeedsLocalTraining) {
  EXPECT_THAT(std::string(With([](FederationSpec* s) {
                            s->mutable_model()->add_personal("fc2.*");
                          }).message()),
              HasSubstr("model.personal goes with local.mode = \"epochs\" only"));
  FederationSpec spec = Read(NoneToml());
  spec.mutable_local()->set_control_variates(true);
  spec.mutable_local()->set_population(9);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("local.population is 9, below the cohort of 10"));
}

TEST(SpecCheckTest, ControlVariatesNeedThePlainMean) {
  const auto fault = [](const std::function<void(FederationSpec*)>& change) {
    FederationSpec spec = Read(NoneToml());
    spec.mutable_local()->set_control_variates(true);
    spec.mutable_local()->set_population(40);
    change(&spec);
    return std::string(ValidateFederation(spec).message());
  };
  // One key after the other: the demo without privacy counts records.
  const auto uniform = [](FederationSpec* spec) {
    spec->mutable_local()->set_weighting(LocalSection::UNIFORM);
    spec->mutable_local()->clear_weight_max();
  };
  EXPECT_EQ(fault(uniform), "");
  EXPECT_THAT(fault([](FederationSpec* spec) {
                spec->mutable_local()->set_weighting(LocalSection::RECORDS);
                spec->mutable_local()->set_weight_max(6000);
              }),
              HasSubstr("local.weighting does not go with local.control_variates = true"));
  EXPECT_THAT(fault([&](FederationSpec* spec) {
                uniform(spec);
                spec->mutable_local()->set_proximal_mu(0.1);
              }),
              HasSubstr("local.proximal_mu does not go with"));
  EXPECT_THAT(fault([&](FederationSpec* spec) {
                uniform(spec);
                spec->mutable_secure_aggregation()->set_robust(SecureAggregationSection::MEDIAN);
                spec->mutable_secure_aggregation()->set_group_size(5);
              }),
              HasSubstr("secure_aggregation.robust does not go with"));
}

TEST(SpecCheckTest, NoDivisorDependsOnDataThatIsProtected) {
  FederationSpec spec = Read(ClientToml());
  spec.mutable_local()->clear_weight_mean();
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("local.weight_mean is missing: with unit = \"client\""));
  spec.mutable_local()->set_weight_mean(6001);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("local.weight_mean is 6001, above local.weight_max, 6000"));
  spec = Read(NoneToml());
  spec.mutable_local()->set_weight_mean(3000);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("local.weight_mean is not used with unit = \"none\""));
}

TEST(SpecCheckTest, CountingTheClippedMustNotCostMoreThanAll) {
  FederationSpec spec = Read(ClientToml());
  EXPECT_EQ(spec.privacy().clip_count_noise(), 1.0);  // a twentieth of 8 is below the multiplier
  spec.mutable_privacy()->set_clip_count_noise(0.5);
  EXPECT_THAT(std::string(ValidateFederation(spec).message()),
              HasSubstr("privacy.clip_count_noise is 0.5: counting alone would cost more"));
}

}  // namespace
}  // namespace dure
