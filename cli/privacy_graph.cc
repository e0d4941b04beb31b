// `dure privacy graph`: how many neighbours and shares secure aggregation needs, for any cohort.
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/privacy_flags.h"
#include "privacy/secagg/graph_rule.h"

namespace dure::cli {
namespace {

constexpr uint64_t kMostDenominator = 1'000'000'000'000'000'000;

// An exact fraction below 1, so that rounding moves no member.
struct Fraction {
  uint64_t numerator = 0;
  uint64_t denominator = 1;
};

// "0", "0.05" or "1/20", of up to 18 digits.
std::optional<Fraction> ParseFraction(const std::string& text) {
  Fraction fraction;
  const size_t slash = text.find('/');
  if (slash != std::string::npos) {
    if (!absl::SimpleAtoi(text.substr(0, slash), &fraction.numerator) ||
        !absl::SimpleAtoi(text.substr(slash + 1), &fraction.denominator)) {
      return std::nullopt;
    }
  } else {
    bool point = false;
    bool digit = false;
    for (char c : text) {
      if (c == '.' && !point) {
        point = true;
        continue;
      }
      if (c < '0' || c > '9' || fraction.denominator >= kMostDenominator ||
          fraction.numerator >= kMostDenominator / 10) {
        return std::nullopt;
      }
      digit = true;
      fraction.numerator = 10 * fraction.numerator + static_cast<uint64_t>(c - '0');
      if (point) fraction.denominator *= 10;
    }
    if (!digit) return std::nullopt;
  }
  if (fraction.denominator > kMostDenominator || fraction.numerator >= fraction.denominator) {
    return std::nullopt;
  }
  return fraction;
}

CLI::Validator FractionBelowOne() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (ParseFraction(text).has_value()) return "";
        return absl::StrCat("\"", text, "\" is no fraction from 0 to below 1: write 0.05 or 1/20");
      },
      "");
}

// Rounded down.
uint64_t PartOf(const std::string& text, uint64_t members) {
  const Fraction fraction = ParseFraction(text).value();
  return static_cast<uint64_t>(static_cast<unsigned __int128>(members) * fraction.numerator /
                               fraction.denominator);
}

struct Flags {
  secagg::GraphRuleParams params;
  std::string corrupt;
  std::string dropout;
  std::string mode = "adaptive";
};

int Run(const Flags& flags) {
  secagg::GraphRuleParams params = flags.params;
  params.max_corrupt = PartOf(flags.corrupt, params.members);
  params.dropouts = PartOf(flags.dropout, params.members);
  params.mode =
      flags.mode == "adaptive" ? secagg::GraphMode::kAdaptive : secagg::GraphMode::kSemiHonest;
  absl::StatusOr<secagg::GraphRule> rule = secagg::SolveGraphRule(params);
  // A number out of range is a wrong usage; a graph that cannot be is a refusal, exit code 1.
  if (!rule.ok()) return Fail(rule.status());
  return PrintJson({{"neighbours", rule->neighbours},
                    {"threshold", rule->threshold},
                    {"quorum", rule->quorum},
                    {"sum_minimum", rule->sum_minimum},
                    {"kind", rule->complete ? "complete" : "regular"}});
}

}  // namespace

void AddPrivacyGraph(CLI::App& privacy, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      privacy, "graph",
      "Neighbours and shares of secure aggregation by the rule for sparse graphs, for study: "
      "sessions are on the complete graph",
      "dure privacy graph --cohort 1000 --corrupt 0.05 --dropout 0.1");
  secagg::GraphRuleParams* params = &flags->params;
  command->add_option("--cohort", params->members, "n, members")->required()->check(WholeNumber(3));
  command->add_option("--corrupt", flags->corrupt, "fraction of members that collude; 0 too")
      ->required()
      ->check(FractionBelowOne());
  command->add_option("--dropout", flags->dropout, "fraction of members that vanish")
      ->required()
      ->check(FractionBelowOne());
  command
      ->add_option("--mode", flags->mode,
                   "adaptive: dropouts may depend on everything, corrupt members lie; semi_honest")
      ->check(CLI::IsMember({"adaptive", "semi_honest"}))
      ->capture_default_str();
  command->add_option("--security-bits", params->security_bits, "s: secrets leak with 2^-s at most")
      ->check(WholeNumber(1))
      ->capture_default_str();
  command
      ->add_option("--correctness-bits", params->correctness_bits,
                   "a sum cannot be opened with 2^-this at most")
      ->check(WholeNumber(1))
      ->capture_default_str();
  command->add_option("--u-min", params->minimum_sum, "fewest inputs of an opened sum")
      ->check(WholeNumber(0));
  command->callback([flags, exit_code] { *exit_code = Run(*flags); });
}

}  // namespace dure::cli
