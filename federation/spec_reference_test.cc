#include "federation/spec_reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "proto/simulation.pb.h"

namespace dure {
namespace {

TEST(SpecReferenceTest, EveryKeyAndChoiceHasAMeaningAndLimits) {
  std::vector<KeyReference> keys = FederationKeys();
  EXPECT_GE(keys.size(), 29u);
  const std::vector<KeyReference> simulation = KeysOf(SimulationSpec::default_instance());
  EXPECT_GE(simulation.size(), 29u);
  keys.insert(keys.end(), simulation.begin(), simulation.end());
  for (const KeyReference& key : keys) {
    EXPECT_GT(key.meaning.size(), 10u) << key.section << "." << key.key;
    EXPECT_FALSE(key.limits.empty()) << key.section << "." << key.key;
    EXPECT_FALSE(key.default_value.empty()) << key.section << "." << key.key;
    for (const auto& [value, meaning] : key.choices) {
      EXPECT_GT(meaning.size(), 10u) << key.section << "." << key.key << " = " << value;
    }
  }
}

TEST(SpecReferenceTest, ThePageInDocsIsUpToDate) {
  std::ifstream file(DURE_SOURCE_DIR "/docs/federation-file.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(page, FederationReferencePage())
      << "run dure-federation-reference > docs/federation-file.md";
  std::ifstream other(DURE_SOURCE_DIR "/docs/simulation-file.md");
  const std::string simulation((std::istreambuf_iterator<char>(other)),
                               std::istreambuf_iterator<char>());
  EXPECT_EQ(simulation, SimulationReferencePage())
      << "run dure-federation-reference simulation > docs/simulation-file.md";
}

TEST(SpecReferenceTest, ThePageNamesEveryKey) {
  const std::string page = FederationReferencePage();
  for (const KeyReference& key : FederationKeys()) {
    EXPECT_THAT(page, ::testing::HasSubstr("| `" + key.key + "` |"));
  }
}

}  // namespace
}  // namespace dure
