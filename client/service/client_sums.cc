// What ClientService does for attempts that are no training: the federation's schema, and a trainer
// for the held-out records, which lives as long as one measurement.
#include <utility>

#include "base/status_macros.h"
#include "client/service/client_service.h"
#include "client/service/trainer_options.h"

namespace dure {

absl::StatusOr<std::optional<Schema>> ClientService::ReadFederationSchema() const {
  return FederationSchemaOf(node_);
}

absl::StatusOr<TrainerOptions> ClientService::OptionsOfTrainer() const {
  return TrainerOptionsOf(node_, options_.trainer_program, options_.threads);
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
