// How a CheckReport is shown to people; programs get check_json.cc.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/paragraph.h"
#include "federation/spec_fields.h"
#include "federation/terms/check.h"
#include "federation/terms/promise.h"
#include "federation/terms/robust_terms.h"

namespace dure {

namespace {

constexpr size_t kIndent = 11;

// From where on noise is small beside what is learnt, and from where on nothing
// is learnt.
constexpr double kQuietNoise = 0.1;
constexpr double kDrowningNoise = 10;
// From where on what coarse numbers add to the noise is told.
constexpr double kVisibleRounding = 1.05;

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

std::string MembersText(const RoundTerms& terms) {
  if (!terms.secure_aggregation) {
    return absl::StrFormat(
        "%u in a round, %u or more in a mean, so %u may vanish. Secure aggregation is off.",
        terms.invited, terms.sum_minimum, terms.may_vanish);
  }
  const std::string shares = absl::StrFormat(
      "To open a sum %u members sign (quorum); %u of the shares that a member gave to %u others "
      "(threshold, neighbours) rebuild what it left when it vanished.",
      terms.quorum, terms.threshold, terms.neighbours);
  if (terms.groups > 1) {
    return absl::StrFormat(
        "%u in a round, in %u groups of %u or more drawn anew each time; only sums over %u or more "
        "of a group are ever opened, so %u of a group may vanish before it is left out; %u of the "
        "cohort may collude with the coordinator, %u of them in one group. %s",
        terms.invited, terms.groups, terms.group_size, terms.sum_minimum, terms.may_vanish,
        terms.max_corrupt, terms.corrupt_in_sum, shares);
  }
  return absl::StrFormat(
      "%u in a round; only a sum over %u or more is ever opened, so %u may vanish; %u may collude "
      "with the coordinator. %s",
      terms.invited, terms.sum_minimum, terms.may_vanish, terms.max_corrupt, shares);
}

// What groups are for, and what they cost.
std::string GroupsText(const RoundTerms& terms) {
  const RobustRule& rule = RobustRuleOf(terms.robust);
  std::string text = absl::StrFormat(
      "%s of the groups bears poisoned members in %u of %u groups, so at least %u members wherever "
      "they fall; where a group gives no sum, fewer (a round needs more than half of the groups). "
      "It costs privacy of another kind: the coordinator sees the sum of every group, "
      "over as few as %u members, in place of one sum over the cohort",
      std::string(rule.name), terms.poisoned_groups, terms.groups, terms.poisoned_groups,
      terms.sum_minimum);
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  if (terms.sigma2_local != 0) {
    absl::StrAppendFormat(
        &text,
        ". Each group's noise alone keeps the epsilon below, so all together have "
        "about %.1f times the noise of one sum",
        std::sqrt(static_cast<double>(terms.groups)));
  }
  if (!rule.limits.empty()) absl::StrAppend(&text, ". ", std::string(rule.limits));
  absl::StrAppend(&text,
                  ". No rule bears pushes that are small beside what honest updates are apart, "
                  "or tells a poisoned member from one whose data are of another kind");
  return absl::StrCat(text, ".");
}

std::string TrafficText(const CheckReport& report) {
  const double round = static_cast<double>(report.bytes_up + report.bytes_down);
  std::string text = absl::StrCat("a member sends ", Bytes(static_cast<double>(report.bytes_up)),
                                  " and receives ", Bytes(static_cast<double>(report.bytes_down)),
                                  " a round; ", Bytes(round * report.rounds), " in the whole run");
  const RoundTerms& terms = report.terms;
  if (terms.control_variates) {
    absl::StrAppend(&text, "; half of it are control variates");
  }
  if (terms.download == CommunicationSection::FP16) {
    absl::StrAppend(&text, ". Models travel in 16 bits a number; in 32 a member would receive ",
                    Bytes(static_cast<double>(report.bytes_down_fp32)));
  }
  if (terms.number_bits != 0) {
    absl::StrAppendFormat(&text,
                          ". Numbers of an update have at most %u bits, in steps of %.2g; left to "
                          "itself they would have up to %u, and a member would send %s",
                          terms.number_bits, 1 / static_cast<double>(terms.scale),
                          report.bits_automatic,
                          Bytes(static_cast<double>(report.bytes_up_automatic)));
    if (report.rounding_noise > kVisibleRounding) {
      absl::StrAppendFormat(&text,
                            ". So coarse, rounding counts for privacy, and the noise is %.1f times "
                            "as large for it",
                            report.rounding_noise);
    }
  }
  return text;
}

// The size of the model, and what of it stays where it is.
std::string ModelText(const CheckReport& report) {
  std::string text =
      absl::StrCat(report.architecture, ", ", Grouped(report.parameters), " parameters, ",
                   Bytes(static_cast<double>(report.model_bytes)), "; ", Grouped(report.rounds),
                   report.rounds == 1 ? " round" : " rounds");
  if (report.personal.empty()) return text;
  return absl::StrCat(
      text, ". ", Grouped(report.parameters - report.terms.dim),
      " of them stay with each member and never travel: ", absl::StrJoin(report.personal, ", "));
}

// What a member computes in a round.
std::string TrainingText(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  const LocalSection& local = report.local;
  if (terms.mode == LocalSection::GRADIENT) {
    return absl::StrFormat(
        "one gradient a round over %g records on average; a member whose sample reaches %u sends "
        "noise alone (a chance below 1 in 10^12). Sums are taken modulo 2^%u.",
        terms.expected_batch, terms.batch_cap, terms.bits);
  }
  if (terms.mode == LocalSection::DP_SGD) {
    return absl::StrFormat(
        "%s of DP-SGD a round at each member, each on %g of its records by secret coins, divided "
        "by batch_size %u, with noise of its own",
        Counted(terms.steps, "step"), terms.sampling_rate, local.batch_size());
  }
  std::string text = absl::StrFormat("%s a round over all records of a member, %u at a time",
                                     Counted(local.epochs(), "pass") == "1 pass"
                                         ? "1 pass"
                                         : absl::StrCat(local.epochs(), " passes"),
                                     local.batch_size());
  if (local.proximal_mu() > 0) {
    absl::StrAppendFormat(&text, "; each step is drawn back to the round's model by %g (FedProx)",
                          local.proximal_mu());
  }
  if (terms.weighted) {
    absl::StrAppendFormat(&text, "; a member counts by its records, of which at most %u count",
                          terms.weight_max);
  }
  if (terms.unit == PrivacySection::CLIENT) {
    absl::StrAppendFormat(&text, "; updates are clipped to norm %g%s", terms.clip_norm,
                          terms.adaptive_clipping ? " at first, then to what most have" : "");
  }
  return text;
}

// How the learning rates change from round to round; "" if they do not.
std::string RatesText(const CheckReport& report) {
  std::string text;
  if (!report.local_schedule.IsConstant()) {
    text = absl::StrCat("local.learning_rate ",
                        ScheduleInWords(report.local_schedule, report.local.learning_rate()));
  }
  if (!report.server_schedule.IsConstant()) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", "server.learning_rate ",
                    ScheduleInWords(report.server_schedule, report.server.learning_rate()));
  }
  return text;
}

// When the run ends before its last round.
std::string StoppingText(const EvaluationSection& evaluation) {
  return absl::StrFormat(
      "ends early once %s in a row, one every %s, did not lower the mean loss of the evaluators%s. "
      "Without an evaluator all rounds are trained; with one, its data decide when it ends.",
      Counted(evaluation.patience(), "measurement"), Counted(evaluation.every(), "round"),
      evaluation.min_improvement() > 0
          ? absl::StrFormat(" by more than %g", evaluation.min_improvement())
          : "");
}

std::string PrivacyText(const CheckReport& report) {
  std::string text = absl::StrCat("epsilon per ", std::string(ProtectedUnit(report.terms.unit)));
  for (const CheckReport::Cost& cost : report.costs) {
    absl::StrAppendFormat(&text, "%s %s after round %u", &cost == &report.costs.front() ? "" : ",",
                          EpsilonText(cost.epsilon), cost.rounds);
  }
  absl::StrAppendFormat(&text, ", %s if all %u attempts are used; limit %g, delta %s.",
                        EpsilonText(report.epsilon_all_attempts), report.affordable_attempts,
                        report.max_epsilon, RealToText(report.terms.delta));
  if (report.affordable_attempts < report.terms.max_attempts) {
    absl::StrAppendFormat(&text, " The limit pays for %u of at most %u attempts.",
                          report.affordable_attempts, report.terms.max_attempts);
  }
  return text;
}

// Sums that are no training.
std::string SumsText(const CheckReport& report) {
  const bool none = report.terms.unit == PrivacySection::NONE;
  std::vector<std::string> parts;
  const auto add = [&](const std::string& what, double epsilon) {
    parts.push_back(none ? what : absl::StrCat(what, ", epsilon ", EpsilonText(epsilon)));
  };
  if (report.statistics) {
    add("statistics of every column before the first round", report.epsilon_statistics);
  }
  if (report.evaluations > 0) {
    add(absl::StrCat("members measure ", Counted(report.evaluations, "model"),
                     " on their held-out records"),
        report.epsilon_evaluations);
  }
  std::string text = absl::StrJoin(parts, "; ");
  if (!none) absl::StrAppend(&text, ". Both are in the figures above, without retries");
  if (report.terms.groups > 1) {
    absl::StrAppend(&text, ". They are one sum of all: the robust rule does not apply to them");
  }
  return absl::StrCat(text, ". A member may refuse them and still train.");
}

std::string NoiseText(const CheckReport& report) {
  if (report.terms.unit == PrivacySection::NONE) return "none: no accuracy is lost to it";
  const double ratio = report.round_noise.ratio();
  const char* more = report.terms.unit == PrivacySection::CLIENT ? "members" : "records a round";
  std::string meaning = "little accuracy is lost to it.";
  if (ratio >= kDrowningNoise) {
    meaning = absl::StrCat("learning is impossible unless rounds or ", more, " grow a lot.");
  } else if (ratio > 1) {
    meaning = absl::StrCat("learning will be slow or impossible unless rounds or ", more, " grow.");
  } else if (ratio >= kQuietNoise) {
    meaning = absl::StrCat("some accuracy is lost to it; more ", more,
                           ", or more rounds, win some back.");
  }
  return absl::StrFormat(
      "in the mean update of a round its norm is %.2g times the largest that honest data can "
      "cause: %s",
      ratio, meaning);
}

}  // namespace

std::string CheckToText(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  const bool none = terms.unit == PrivacySection::NONE;
  std::string out = absl::StrCat(report.name, ": this federation can run.\n\n");
  auto paragraph = [&out](absl::string_view label, absl::string_view text) {
    AppendParagraph(label, text, kIndent, &out);
  };
  paragraph("Model", ModelText(report));
  paragraph("Digest", ToHex(report.spec_digest));
  paragraph("Members", MembersText(terms));
  if (terms.groups > 1) paragraph("Groups", GroupsText(terms));
  paragraph("Traffic", TrafficText(report));
  paragraph("Training", TrainingText(report));
  if (const std::string rates = RatesText(report); !rates.empty()) paragraph("Rates", rates);
  if (report.evaluation.has_patience()) paragraph("Stopping", StoppingText(report.evaluation));
  paragraph("Protected", PromiseInWords(terms));
  if (!none) {
    paragraph("Privacy", PrivacyText(report));
    paragraph("", EpsilonInWords(terms.unit, report.costs.back().epsilon, terms.delta));
  }
  if (report.statistics || report.evaluations > 0) paragraph("Sums", SumsText(report));
  paragraph("Noise", NoiseText(report));
  const char* label = "To reach";
  for (const Reach& reach : report.reaches) {
    paragraph(label, absl::StrFormat("epsilon %g: %s", reach.epsilon, ReachInWords(reach)));
    label = "";
  }
  absl::StrAppend(&out, "\n");
  label = "Note";
  for (const std::string& warning : report.warnings) {
    paragraph(label, warning);
    label = "";
  }
  return out;
}

}  // namespace dure
