// ParseFederation: a federation file, and keys of a command line over it, into FederationSpec.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "federation/spec_check.h"
#include "federation/toml_reader.h"

namespace dure {

static_assert(kMaxFederationFileBytes == kMaxTomlFileBytes);

absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file,
                                               std::span<const KeyOverride> overrides) {
  return ParseFederation(
      toml, file, [](FederationSpec*) { return std::nullopt; }, overrides);
}

absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file,
                                               const SpecCompletion& complete,
                                               std::span<const KeyOverride> overrides) {
  FederationSpec spec;
  DURE_ASSIGN_OR_RETURN(const KeyPlaces places, ReadToml(toml, file, overrides, &spec));
  std::optional<SpecFault> fault = complete(&spec);
  if (!fault) {
    FillDefaults(&spec);
    fault = FindFault(spec);
  }
  if (fault) {
    return absl::Status(fault->code, absl::StrCat(places.Of(fault->path), fault->text));
  }
  return spec;
}

}  // namespace dure
