#include "cli/spending_text.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "federation/terms/terms.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

constexpr size_t kShownDigits = 12;  // of an identity

// "epsilon 1.24 of at most 4 per record, 2.76 left". What is left is rounded down.
std::string SpentAndLeft(double epsilon, double limit, absl::string_view unit) {
  const double left = std::max(0.0, limit - epsilon);
  return absl::StrFormat("epsilon %s of at most %g per %s, %.2f left", EpsilonText(epsilon), limit,
                         unit, std::floor(left * 100) / 100);
}

}  // namespace

std::string FederationSpendingText(const FederationSpending& spending) {
  if (spending.unit == PrivacySection::NONE) {
    return absl::StrFormat("in \"%s\"  %s; %s charged\n", spending.federation,
                           NoPrivacyInWords(spending.secure_aggregation),
                           Counted(spending.charges, "attempt"));
  }
  return absl::StrFormat(
      "in \"%s\"  %s, delta %g; %s charged\n", spending.federation,
      SpentAndLeft(spending.epsilon, spending.max_epsilon, ProtectedUnit(spending.unit)),
      spending.delta, Counted(spending.charges, "attempt"));
}

std::string DataSpendingText(const DataSpending& spending) {
  std::string text =
      absl::StrFormat("on this data (%s...), all federations together, delta %g\n",
                      spending.identity().substr(0, kShownDigits), spending.total_delta());
  const double limit = spending.total_epsilon();
  absl::StrAppendFormat(
      &text, "  %s; %s\n",
      SpentAndLeft(spending.record_epsilon(), limit, ProtectedUnit(PrivacySection::RECORD)),
      Counted(spending.record_charges(), "attempt"));
  absl::StrAppendFormat(
      &text, "  %s; %s\n",
      SpentAndLeft(spending.client_epsilon(), limit, ProtectedUnit(PrivacySection::CLIENT)),
      Counted(spending.client_charges(), "attempt"));
  if (spending.unprotected_charges() > 0) {
    absl::StrAppendFormat(&text, "  without protection  %s\n",
                          Counted(spending.unprotected_charges(), "attempt"));
  }
  for (const DataSpending::Spender& spender : spending.spenders()) {
    absl::StrAppendFormat(&text, "  %s as %s...  %s\n", spender.federation(),
                          spender.member().substr(0, kShownDigits),
                          Counted(static_cast<uint32_t>(spender.charges()), "attempt"));
  }
  return text;
}

nlohmann::ordered_json SpendingToJson(const DataSpending& spending) {
  nlohmann::ordered_json spenders = nlohmann::ordered_json::array();
  for (const DataSpending::Spender& spender : spending.spenders()) {
    spenders.push_back({{"federation", spender.federation()},
                        {"member", spender.member()},
                        {"charged_attempts", spender.charges()}});
  }
  const double limit = spending.total_epsilon();
  return {{"sha256", spending.identity()},
          {"total_epsilon", limit},
          {"total_delta", spending.total_delta()},
          {"record",
           {{"epsilon", spending.record_epsilon()},
            {"epsilon_left", std::max(0.0, limit - spending.record_epsilon())},
            {"charged_attempts", spending.record_charges()}}},
          {"client",
           {{"epsilon", spending.client_epsilon()},
            {"epsilon_left", std::max(0.0, limit - spending.client_epsilon())},
            {"charged_attempts", spending.client_charges()}}},
          {"without_protection", {{"charged_attempts", spending.unprotected_charges()}}},
          {"spenders", spenders}};
}

}  // namespace dure::cli
