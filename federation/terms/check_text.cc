// How a CheckReport is shown: text for people, JSON for programs.
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "federation/spec_fields.h"
#include "federation/terms/check.h"

namespace dure {

namespace {

constexpr size_t kIndent = 11;

// "26,010".
std::string Grouped(uint64_t number) {
  std::string text = absl::StrCat(number);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

// "104 kB", in decimal units and three digits.
std::string Bytes(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.3g %s", bytes, units[unit]);
}

std::string PrivacyText(const CheckReport& report) {
  std::string text = "epsilon per record ";
  for (const CheckReport::Cost& cost : report.quarters) {
    absl::StrAppendFormat(&text, "%s%s after round %u",
                          &cost == &report.quarters.front() ? "" : ", ", EpsilonText(cost.epsilon),
                          cost.rounds);
  }
  absl::StrAppendFormat(&text, ", %s if all %u attempts are used; limit %g, delta %s.",
                        EpsilonText(report.epsilon_all_attempts), report.affordable_attempts,
                        report.max_epsilon, RealToText(report.terms.delta));
  absl::StrAppendFormat(&text, " The limit pays for %u of at most %u attempts.",
                        report.affordable_attempts, report.terms.max_attempts);
  return text;
}

}  // namespace

std::string CheckToText(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  std::string out = absl::StrCat(report.name, ": this federation can run.\n\n");
  auto paragraph = [&out](absl::string_view label, absl::string_view text) {
    AppendParagraph(label, text, kIndent, &out);
  };
  paragraph("Model", absl::StrCat(report.architecture, ", ", Grouped(terms.dim), " parameters, ",
                                  Bytes(static_cast<double>(report.model_bytes)), "; ",
                                  Grouped(report.rounds), " rounds"));
  paragraph("Terms", absl::StrCat("digest ", ToHex(report.spec_digest)));
  paragraph(
      "Members",
      absl::StrFormat("%u in a round; only a sum over %u or more is ever opened, so %u may vanish; "
                      "%u may collude with the coordinator. To open a sum %u members sign "
                      "(quorum); %u shares rebuild "
                      "what a vanished member left (threshold).",
                      terms.invited, terms.sum_minimum, terms.may_vanish, terms.max_corrupt,
                      terms.quorum, terms.threshold));
  paragraph(
      "Traffic",
      absl::StrCat("a member sends ", Bytes(static_cast<double>(report.bytes_up)), " and receives ",
                   Bytes(static_cast<double>(report.bytes_down)), " a round; ",
                   Bytes(static_cast<double>(report.bytes_up + report.bytes_down) * report.rounds),
                   " in the whole run"));
  paragraph(
      "Batch",
      absl::StrFormat("%g records a round on average; a member whose sample reaches %u sends noise "
                      "alone (a chance below 1 in 10^12). Sums are taken modulo 2^%u.",
                      terms.expected_batch, terms.batch_cap, terms.bits));
  paragraph("Privacy", PrivacyText(report));
  paragraph("", EpsilonInWords(terms.unit, report.quarters.back().epsilon, terms.delta));
  absl::StrAppend(&out, "\n");
  const char* label = "Note";
  for (const std::string& warning : report.warnings) {
    paragraph(label, warning);
    label = "";
  }
  return out;
}

std::string CheckToJson(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  nlohmann::ordered_json json = {{"name", report.name},
                                 {"spec_digest", ToHex(report.spec_digest)},
                                 {"architecture", report.architecture},
                                 {"parameters", terms.dim},
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
                                 {"bytes_up", report.bytes_up},
                                 {"bytes_down", report.bytes_down},
                                 {"expected_batch", terms.expected_batch},
                                 {"batch_cap", terms.batch_cap},
                                 {"bits", terms.bits},
                                 {"scale", terms.scale},
                                 {"norm_bound_sq", terms.norm_bound_sq},
                                 {"sigma2_local", terms.sigma2_local},
                                 {"noise_multiplier", terms.noise_multiplier},
                                 {"noise_excess", report.noise_excess},
                                 {"delta", terms.delta},
                                 {"max_epsilon", report.max_epsilon},
                                 {"max_attempts", terms.max_attempts},
                                 {"affordable_attempts", report.affordable_attempts},
                                 {"epsilon_all_attempts", report.epsilon_all_attempts},
                                 {"epsilon_own_noise", report.epsilon_own_noise},
                                 {"warnings", report.warnings}};
  json["epsilon"] = nlohmann::ordered_json::array();
  for (const CheckReport::Cost& cost : report.quarters) {
    json["epsilon"].push_back({{"rounds", cost.rounds}, {"epsilon", cost.epsilon}});
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace dure
