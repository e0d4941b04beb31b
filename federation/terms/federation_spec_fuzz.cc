// Terms come as a message from a coordinator that a member does not know yet. Whatever is found
// valid must be written as a federation file and read back to the same, and what follows from it
// must be found without an accident.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "federation/manifest.h"
#include "federation/spec.h"
#include "federation/terms/terms.h"
#include "google/protobuf/stubs/logging.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const quiet = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(quiet);
  dure::FederationSpec spec;
  if (!spec.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (!dure::ValidateFederation(spec).ok()) return 0;
  absl::StatusOr<dure::FederationSpec> again =
      dure::ParseFederation(dure::FederationToToml(spec), "again.toml");
  DURE_CHECK(again.ok());
  DURE_CHECK(dure::SpecDigest(*again) == dure::SpecDigest(spec));
  absl::StatusOr<dure::ParamManifest> manifest = dure::BuiltInManifest(spec.model());
  // Privacy of millions of attempts takes seconds to account for, and is another's matter.
  if (!manifest.ok() || spec.rounds().max_attempts() > 1000) return 0;
  const uint32_t members = spec.rounds().has_cohort() ? spec.rounds().cohort() : 10;
  if (members > 200) return 0;
  absl::StatusOr<dure::RoundTerms> terms = dure::DeriveTerms(spec, manifest->dim(), members);
  if (terms.ok()) DURE_CHECK(terms->dim == manifest->dim());
  return 0;
}
