#include "client/service/spending.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "federation/model_parts.h"
#include "federation/terms/terms.h"

namespace dure {

DataSpending SpentOnData(const DataLedgerFile& data, const Policy& policy) {
  const Tally& all = data.spent().all;
  DataSpending spending;
  spending.set_identity(ToHex(data.identity()));
  spending.set_total_epsilon(policy.total_epsilon);
  spending.set_total_delta(policy.total_delta);
  spending.set_record_epsilon(all.Epsilon(PrivacySection::RECORD, policy.total_delta));
  spending.set_record_charges(all.charges(PrivacySection::RECORD));
  spending.set_client_epsilon(all.Epsilon(PrivacySection::CLIENT, policy.total_delta));
  spending.set_client_charges(all.charges(PrivacySection::CLIENT));
  spending.set_unprotected_charges(all.charges(PrivacySection::NONE));
  for (const auto& [member, spender] : data.spenders()) {
    DataSpending::Spender* listed = spending.add_spenders();
    listed->set_federation(spender.federation);
    listed->set_member(ToHex(member));
    listed->set_charges(spender.charges);
  }
  return spending;
}

double SpentInFederation(const FederationSpec& spec, uint32_t charges, const DataSpent* data) {
  if (charges == 0 || spec.privacy().unit() == PrivacySection::NONE) return 0;
  const double own =
      data == nullptr ? 0 : data->own.Epsilon(spec.privacy().unit(), spec.privacy().delta());
  const absl::StatusOr<ModelParts> parts = PartsOf(spec.model());
  if (!parts.ok()) return own;
  const RoundsSection& rounds = spec.rounds();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(
      spec, parts->travelling().dim(), rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
  if (!terms.ok()) return own;
  const double expected = EpsilonAfter(*terms, charges);
  // Composed at fewer orders, the same charges seem to cost a little more.
  return data != nullptr && data->own.IsAll(ChargedCostOf(*terms)) ? expected
                                                                   : std::max(own, expected);
}

}  // namespace dure
