// What ClientService looks at before it takes part: pinned keys, data, ledgers, trainer.
#include <map>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/service/client_service.h"
#include "crypto/x509.h"
#include "federation/terms/sums_terms.h"

namespace dure {
namespace {

constexpr char kRefusal[] = "dure/refusal";

}  // namespace

absl::Status ClientService::Refusal(absl::string_view message) {
  absl::Status status = absl::PermissionDeniedError(message);
  status.SetPayload(kRefusal, absl::Cord());
  return status;
}

bool IsRefusal(const absl::Status& status) { return status.GetPayload(kRefusal).has_value(); }

absl::Status ClientService::CheckPins() const {
  const std::string ca = CertificateFingerprint(node_.ca_certificate);
  if (!policy_.ca.empty() && policy_.ca != ca) {
    return Refusal(absl::StrCat(node_.folder, "/ca.pem has the fingerprint ", ca,
                                ", against this member's limit ca = ", policy_.ca));
  }
  const std::string key = KeyFingerprint(node_.coordinator_certificate);
  if (!policy_.coordinator_key.empty() && policy_.coordinator_key != key) {
    return Refusal(
        absl::StrCat(node_.folder, "/coordinator.pem is for the key ", key,
                     ", against this member's limit coordinator_key = ", policy_.coordinator_key));
  }
  return absl::OkStatus();
}

// The identity of the registered data, whose ledger this member uses; none for an evaluator.
absl::StatusOr<std::optional<Digest>> ClientService::CheckData() const {
  if (node_.membership.role != MEMBER) return std::nullopt;
  if (options_.make_trainer) return options_.data_identity;
  DURE_ASSIGN_OR_RETURN(const std::string root, DataLedgersFolder());
  DURE_ASSIGN_OR_RETURN(const Digest identity, CheckRegistration(node_, root));
  return identity;
}

absl::Status ClientService::OpenLedgers(const std::optional<Digest>& data, uint64_t dim) {
  std::string root;
  if (data) {
    DURE_ASSIGN_OR_RETURN(root, DataLedgersFolder());
    if (options_.data_identity) {
      DURE_RETURN_IF_ERROR(DataLedgerFile::Register(root, *data, *node_.data_folder));
    }
  }
  const RoundsSection& rounds = node_.spec.rounds();
  DURE_ASSIGN_OR_RETURN(
      const RoundTerms terms,
      DeriveTerms(node_.spec, dim, rounds.has_cohort() ? rounds.cohort() : rounds.minimum()));
  // What an attempt of each kind costs.
  std::map<SumsKind, RoundTerms> kinds = {{SumsKind::kTraining, terms}};
  DURE_ASSIGN_OR_RETURN(const std::optional<Schema> schema, ReadFederationSchema());
  if (HasSums(node_.spec, SumsKind::kStatistics) && schema) {
    DURE_ASSIGN_OR_RETURN(const ColumnSums columns,
                          ColumnSums::Create(*schema, node_.spec.statistics().bins()));
    DURE_ASSIGN_OR_RETURN(
        kinds[SumsKind::kStatistics],
        DeriveSumsTerms(node_.spec, SumsKind::kStatistics,
                        {.sums = columns.size(), .norm = columns.norm()}, terms.invited));
  }
  if (HasSums(node_.spec, SumsKind::kEvaluation)) {
    DURE_ASSIGN_OR_RETURN(kinds[SumsKind::kEvaluation],
                          DeriveSumsTerms(node_.spec, SumsKind::kEvaluation,
                                          ShapeOfEvaluation(node_.spec), terms.invited));
  }
  const auto cost_of = [&](SumsKind kind) {
    const auto known = kinds.find(kind);
    return ChargedCostOf(known == kinds.end() ? terms : known->second);
  };
  const Digest member = secagg::MemberIdOf(node_.key.public_key());
  std::vector<std::string> notes;
  DURE_ASSIGN_OR_RETURN(ledgers_, Ledgers::Open({.path = LedgerPath(node_.folder),
                                                 .root = root,
                                                 .data = data,
                                                 .member = member,
                                                 .charge_for =
                                                     [&](const ChargeEntry& entry) {
                                                       return DataCharge{
                                                           .federation = node_.spec_digest,
                                                           .name = node_.spec.federation().name(),
                                                           .member = member,
                                                           .attempt = entry,
                                                           .cost = cost_of(entry.kind)};
                                                     },
                                                 .charge_missing = options_.charge_missing},
                                                &notes));
  for (std::string& note : notes) Tell(member::Tell::Level::kNote, std::move(note));
  return absl::OkStatus();
}

absl::Status ClientService::CheckTrainer(const ParamManifest& manifest) const {
  if (!FitsManifest(trainer_->manifest(), manifest)) {
    return absl::FailedPreconditionError(
        "the trainer builds another model than this client expects: dure and dure-trainer are of "
        "different versions");
  }
  if (node_.membership.role == MEMBER) {
    DURE_RETURN_IF_ERROR(
        CheckRecordCount(node_.spec, trainer_->data().records, *node_.data_folder));
  }
  if (!policy_.require_sandbox) return absl::OkStatus();
  for (const SandboxLayer& layer : sandbox_) {
    if (layer.applied || IsSpareLayer(layer.name)) continue;
    return Refusal(absl::StrCat("the trainer lacks a layer of its sandbox (", layer.name, ": ",
                                layer.detail,
                                "), against this member's limit require_sandbox = true"));
  }
  return absl::OkStatus();
}

}  // namespace dure
