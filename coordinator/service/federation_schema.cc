#include "coordinator/service/federation_schema.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "coordinator/sums.h"
#include "crypto/digest.h"

namespace dure {

absl::StatusOr<std::optional<Schema>> ReadFederationSchema(const std::string& folder,
                                                           const FederationSpec& spec) {
  if (!spec.data().has_schema()) return std::nullopt;
  const std::string path = absl::StrCat(folder, "/", spec.data().schema());
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxSchemaBytes));
  if (ToHex(Sha256(AsBytes(text))) != spec.data().schema_sha256()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " is not the schema that the terms mean (data.schema_sha256): put back "
                     "the one that `dure init` copied"));
  }
  DURE_ASSIGN_OR_RETURN(Schema schema, SchemaFromText(text, path));
  return std::optional<Schema>(std::move(schema));
}

absl::StatusOr<std::optional<Schema>> CompletedSchema(const std::string& folder,
                                                      const FederationSpec& spec,
                                                      const RunState& run) {
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, ReadFederationSchema(folder, spec));
  if (!schema || !run.statistics) return schema;
  DURE_ASSIGN_OR_RETURN(const RunSums sums, RunSums::Create(spec, *schema));
  DURE_RETURN_IF_ERROR(sums.Check(*run.statistics));
  return sums.CompletedSchema(run);
}

}  // namespace dure
