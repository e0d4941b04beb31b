#include "client/service/trainer_options.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/guest_file.h"
#include "client/service/node_files.h"
#include "federation/terms/sums_terms.h"

namespace dure {

absl::StatusOr<std::optional<Schema>> FederationSchemaOf(const Node& node) {
  if (!node.spec.data().has_schema()) return std::nullopt;
  const std::string path = NodeFilePath(node.folder, AttachmentOf(node.spec, "data.schema"));
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxSchemaBytes));
  DURE_ASSIGN_OR_RETURN(Schema schema, SchemaFromText(text, node.spec.data().schema()));
  return std::optional<Schema>(std::move(schema));
}

absl::StatusOr<TrainerOptions> TrainerOptionsOf(const Node& node, const std::string& program,
                                                int threads) {
  const auto file_of = [&](const char* key) {
    return NodeFilePath(node.folder, AttachmentOf(node.spec, key));
  };
  DURE_ASSIGN_OR_RETURN(const GuestFile guest, ReadGuestFile(node.folder));
  const int most = static_cast<int>(guest.limits.max_threads);
  TrainerOptions options{.program = program,
                         .model = node.spec.model(),
                         .data_folder = *node.data_folder,
                         .module_file = file_of("model.torchscript"),
                         .vocabulary_file = file_of("model.vocabulary"),
                         .schema_file = file_of("data.schema"),
                         .threads = most == 0 ? threads : std::min(most, threads),
                         .memory_bytes = guest.limits.max_memory,
                         .background = true,
                         // Behind everything else a busy machine does.
                         .load_timeout = absl::Minutes(3)};
  if (HasSums(node.spec, SumsKind::kEvaluation)) {
    options.most_sums = ShapeOfEvaluation(node.spec).sums;
  }
  if (!HasSums(node.spec, SumsKind::kStatistics)) return options;
  // Until something is known of the columns, their ranges serve.
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, FederationSchemaOf(node));
  if (!schema) return absl::FailedPreconditionError("the terms name no schema (data.schema)");
  options.standards = StandardisationOfRanges(*schema);
  DURE_ASSIGN_OR_RETURN(const ColumnSums columns,
                        ColumnSums::Create(*std::move(schema), node.spec.statistics().bins()));
  options.most_sums = std::max(options.most_sums, columns.size());
  return options;
}

}  // namespace dure
