// What ClientService does for attempts that are no training: the federation's schema, and a trainer
// for the held-out records, which lives as long as one measurement.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/client_service.h"
#include "client/service/guest_file.h"
#include "client/service/node_files.h"
#include "federation/terms/sums_terms.h"

namespace dure {

// Nothing where the terms name none.
absl::StatusOr<std::optional<Schema>> ClientService::ReadFederationSchema() const {
  if (!node_.spec.data().has_schema()) return std::nullopt;
  const std::string path = NodeFilePath(node_.folder, AttachmentOf(node_.spec, "data.schema"));
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxSchemaBytes));
  DURE_ASSIGN_OR_RETURN(Schema schema, SchemaFromText(text, node_.spec.data().schema()));
  return std::optional<Schema>(std::move(schema));
}

// Of the trainer of one part of the data, but for which part it is.
absl::StatusOr<TrainerOptions> ClientService::OptionsOfTrainer() const {
  const auto file_of = [&](const char* key) {
    return NodeFilePath(node_.folder, AttachmentOf(node_.spec, key));
  };
  DURE_ASSIGN_OR_RETURN(const GuestFile guest, ReadGuestFile(node_.folder));
  const int most = static_cast<int>(guest.limits.max_threads);
  TrainerOptions options{.program = options_.trainer_program,
                         .model = node_.spec.model(),
                         .data_folder = *node_.data_folder,
                         .module_file = file_of("model.torchscript"),
                         .vocabulary_file = file_of("model.vocabulary"),
                         .schema_file = file_of("data.schema"),
                         .threads = most == 0 ? options_.threads : std::min(most, options_.threads),
                         .memory_bytes = guest.limits.max_memory,
                         .background = true};
  if (HasSums(node_.spec, SumsKind::kEvaluation)) {
    options.most_sums = ShapeOfEvaluation(node_.spec).sums;
  }
  if (!HasSums(node_.spec, SumsKind::kStatistics)) return options;
  // Until something is known of the columns, their ranges serve.
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, ReadFederationSchema());
  if (!schema) return absl::FailedPreconditionError("the terms name no schema (data.schema)");
  options.standards = StandardisationOfRanges(*schema);
  DURE_ASSIGN_OR_RETURN(const ColumnSums columns,
                        ColumnSums::Create(*std::move(schema), node_.spec.statistics().bins()));
  options.most_sums = std::max(options.most_sums, columns.size());
  return options;
}

// NotFound if no held-out records are here.
absl::StatusOr<LocalUpdate> ClientService::MeasureHeldOut(const member::StartTraining& measure) {
  if (options_.make_trainer) {
    return absl::NotFoundError("a trainer of a test holds nothing out");
  }
  DURE_ASSIGN_OR_RETURN(TrainerOptions options, OptionsOfTrainer());
  options.part = DataPart::kHeldOut;
  options.train_timeout = train_timeout();
  if (!measure.standards.empty()) options.standards = measure.standards;
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<TrainerProcess> trainer,
                        TrainerProcess::Start(std::move(options)));
  return trainer->Train(measure.params, measure.plan);
}

// On worker_.
absl::StatusOr<LocalUpdate> ClientService::TrainNow(const member::StartTraining& training) {
  if (std::holds_alternative<EvaluationPlan>(training.plan)) return MeasureHeldOut(training);
  if (!training.standards.empty()) trainer_->Standardise(training.standards);
  return trainer_->Train(training.params, training.plan);
}

}  // namespace dure
