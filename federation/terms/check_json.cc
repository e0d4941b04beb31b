// How a CheckReport is shown to programs: the keys are in docs/cli.md.
#include <cmath>
#include <nlohmann/json.hpp>

#include "federation/spec_fields.h"
#include "federation/terms/check.h"
#include "federation/terms/promise.h"

namespace dure {

namespace {

using nlohmann::ordered_json;

// Infinity and what is not a number are no JSON numbers: null.
ordered_json NumberOrNull(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json();
}

ordered_json ReachesOf(const CheckReport& report) {
  ordered_json reaches = ordered_json::array();
  for (const Reach& reach : report.reaches) {
    ordered_json entry = {
        {"epsilon", reach.epsilon},
        {"noise_multiplier",
         reach.noise_multiplier ? ordered_json(*reach.noise_multiplier) : ordered_json()},
        {"rounds", reach.rounds}};
    if (reach.needs_max_epsilon > 0) entry["needs_max_epsilon"] = reach.needs_max_epsilon;
    reaches.push_back(std::move(entry));
  }
  return reaches;
}

// What unit none does not have is null there.
void AddPrivacy(const CheckReport& report, ordered_json* json) {
  const RoundTerms& terms = report.terms;
  const bool none = terms.unit == PrivacySection::NONE;
  auto unless_none = [none](double value) { return none ? ordered_json() : NumberOrNull(value); };
  (*json)["protects"] = PromiseInWords(terms);
  (*json)["coordinator_trusted"] = CoordinatorIsTrusted(terms);
  (*json)["noise_multiplier"] = unless_none(terms.noise_multiplier);
  (*json)["delta"] = unless_none(terms.delta);
  (*json)["max_epsilon"] = unless_none(report.max_epsilon);
  (*json)["affordable_attempts"] = report.affordable_attempts;
  (*json)["epsilon_all_attempts"] = unless_none(report.epsilon_all_attempts);
  (*json)["epsilon_own_noise"] =
      report.epsilon_own_noise ? NumberOrNull(*report.epsilon_own_noise) : ordered_json();
  if (report.statistics) {
    (*json)["statistics"] = {{"epsilon", unless_none(report.epsilon_statistics)}};
  }
  if (report.evaluations > 0) {
    (*json)["member_evaluations"] = {{"count", report.evaluations},
                                     {"epsilon", unless_none(report.epsilon_evaluations)}};
  }
  (*json)["noise_norm"] = unless_none(report.round_noise.noise);
  (*json)["update_norm"] = unless_none(report.round_noise.update);
  (*json)["noise_to_update"] = unless_none(report.round_noise.ratio());
  (*json)["reach"] = ReachesOf(report);
  (*json)["warnings"] = report.warnings;
  if (none) {
    (*json)["epsilon"] = nullptr;
    return;
  }
  (*json)["epsilon"] = ordered_json::array();
  for (const CheckReport::Cost& cost : report.costs) {
    (*json)["epsilon"].push_back(
        {{"rounds", cost.rounds}, {"epsilon", NumberOrNull(cost.epsilon)}});
  }
}

}  // namespace

std::string CheckToJson(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  ordered_json json = {
      {"name", report.name},
      {"spec_digest", ToHex(report.spec_digest)},
      {"unit", ChoiceName(*PrivacySection::Unit_descriptor(), terms.unit)},
      {"mode", ChoiceName(*LocalSection::Mode_descriptor(), terms.mode)},
      {"secure_aggregation", terms.secure_aggregation},
      {"architecture", report.architecture},
      {"parameters", report.parameters},
      {"parameters_travelling", terms.dim},
      {"personal", report.personal},
      {"control_variates", terms.control_variates},
      {"coordinates", terms.coordinates},
      {"model_bytes", report.model_bytes},
      {"rounds", report.rounds},
      {"members", terms.invited},
      {"members_known", report.members_known},
      {"minimum", terms.sum_minimum},
      {"may_vanish", terms.may_vanish},
      {"max_corrupt", terms.max_corrupt},
      {"quorum", terms.quorum},
      {"threshold", terms.threshold},
      {"neighbours", terms.neighbours},
      {"robust", ChoiceName(*SecureAggregationSection::Robust_descriptor(), terms.robust)},
      {"groups", terms.groups},
      {"largest_sum", terms.largest_sum},
      {"corrupt_in_sum", terms.corrupt_in_sum},
      {"poisoned_groups", terms.poisoned_groups},
      {"bytes_up", report.bytes_up},
      {"bytes_down", report.bytes_down},
      {"bytes_up_automatic", report.bytes_up_automatic},
      {"bytes_down_fp32", report.bytes_down_fp32},
      {"number_bits", WidthOfNumbers(terms)},
      {"number_bits_automatic", report.bits_automatic},
      {"rounding_noise", report.rounding_noise},
      {"expected_batch", terms.expected_batch},
      {"batch_cap", terms.batch_cap},
      {"bits", terms.bits},
      {"scale", terms.scale},
      {"norm_bound_sq", terms.norm_bound_sq},
      {"sigma2_local", terms.sigma2_local},
      {"sigma2_step", terms.sigma2_step},
      {"sigma2_central", terms.sigma2_central},

      {"noise_excess", report.noise_excess},
      {"max_attempts", terms.max_attempts}};
  AddPrivacy(report, &json);
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace dure
