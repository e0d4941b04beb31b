#include "federation/terms/check_notes.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "federation/terms/promise.h"
#include "privacy/secagg/thresholds.h"

namespace dure {
namespace {

// A noise multiplier below this bounds next to nothing, whatever the account
// says.
constexpr double kLeastUsefulNoise = 0.3;
// max_epsilon above so many times what the whole run can cost stops nothing.
constexpr double kIdleLimit = 4;
// weight_max above so many times weight_mean drowns typical members in noise
// for large ones.
constexpr double kUnevenWeights = 4;
// batch_size further than this from the records that a step takes, either way.
constexpr double kOddBatch = 2;
// What a note suggests about members is rounded up to a multiple of ten.
double TensUp(double number) { return std::ceil(number / 10) * 10; }

// Collects notes; the more important first, otherwise in the order in which
// they were found.
class Notes {
 public:
  enum Weight { kMeaningless, kUnwise, kCost, kAlways };
  template <typename... Args>
  void Add(Weight weight, const absl::FormatSpec<Args...>& format, const Args&... args) {
    notes_.push_back({weight, absl::StrFormat(format, args...)});
  }
  std::vector<std::string> Sorted() && {
    std::stable_sort(notes_.begin(), notes_.end(),
                     [](const Note& a, const Note& b) { return a.weight < b.weight; });
    std::vector<std::string> texts;
    for (Note& note : notes_) texts.push_back(std::move(note.text));
    return texts;
  }

 private:
  struct Note {
    Weight weight;
    std::string text;
  };
  std::vector<Note> notes_;
};

// More noise than signal: what it would take, and the better mode.
void NoteDrownedUpdates(const FederationSpec& spec, const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  const double ratio = report.round_noise.ratio();
  if (!(ratio > 1)) return;
  if (terms.unit == PrivacySection::CLIENT) {
    // The noise of the sum hardly depends on the members, so its share in the
    // mean falls as 1 / n.
    const double members = TensUp(ratio * terms.invited);
    notes->Add(Notes::kMeaningless,
               "%d members are too few for unit = \"client\": the noise in their mean update has "
               "norm %.3g, the largest update %.3g (clip_norm), %.1f times less. Use unit = "
               "\"record\" with mode = \"gradient\", or about %.0f members%s.",
               terms.invited, report.round_noise.noise, report.round_noise.update, ratio, members,
               members > secagg::kMaxMembers
                   ? absl::StrFormat("; a round has at most %d, so also a smaller model",
                                     secagg::kMaxMembers)
                   : "");
  } else if (terms.mode == LocalSection::DP_SGD) {
    notes->Add(Notes::kMeaningless,
               "Each member's own noise is too much for its data: in the mean update of a round it "
               "is %.1f times what %d members of %.0f records can teach. Raise local.sampling_rate "
               "or local.steps, or use mode = \"gradient\", whose noise is shared.",
               ratio, terms.invited,
               static_cast<double>(spec.privacy().total_records()) / terms.invited);
  } else {
    notes->Add(Notes::kMeaningless,
               "A round takes %.3g records, too few for this noise: in their mean gradient it has "
               "norm %.3g, their own is at most %.3g (clip_norm). Raise local.sampling_rate to "
               "about %.2g, or have more records or a smaller model.",
               terms.expected_batch, report.round_noise.noise, report.round_noise.update,
               std::min(1.0, terms.sampling_rate * ratio));
  }
}

// Numbers that promise nothing, or limits that stop nothing.
void NoteEmptyPromises(const FederationSpec& spec, const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  const PrivacySection& privacy = spec.privacy();
  const double epsilon = report.costs.back().epsilon;
  const std::string unit(ProtectedUnit(terms.unit));
  if (!(epsilon <= kMeaninglessEpsilon)) {
    notes->Add(Notes::kMeaningless,
               "Epsilon %s at the end is above %g and promises next to nothing: see what would "
               "reach less.",
               EpsilonText(epsilon), kMeaninglessEpsilon);
  } else if (privacy.max_epsilon() > kIdleLimit * report.epsilon_all_attempts &&
             privacy.max_epsilon() > 1) {
    notes->Add(Notes::kUnwise,
               "max_epsilon %g stops nothing: all %d attempts cost %s. Set it a little above that.",
               privacy.max_epsilon(), report.affordable_attempts,
               EpsilonText(report.epsilon_all_attempts));
  }
  if (terms.noise_multiplier < kLeastUsefulNoise) {
    notes->Add(Notes::kMeaningless,
               "noise_multiplier %g is too little to hide anybody: a single round already costs "
               "epsilon %s per %s. Use %g or more.",
               terms.noise_multiplier, EpsilonText(report.costs.front().epsilon), unit,
               kLeastUsefulNoise);
  }
  const bool records = terms.unit == PrivacySection::RECORD;
  const double number =
      records ? static_cast<double>(privacy.total_records()) : static_cast<double>(terms.invited);
  if (terms.delta * number >= 1) {
    notes->Add(
        Notes::kMeaningless,
        "delta is %g: with %.0f %ss that allows publishing one of them whole; set it below %.1g.",
        terms.delta, number, unit, 1 / number);
  }
}

void NoteMembers(const FederationSpec& spec, const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  if (!report.members_known) {
    notes->Add(Notes::kUnwise,
               "rounds.cohort is not set: the numbers are for %d members, the fewest; every run "
               "uses those of the members that take part.",
               terms.invited);
  }
  if (terms.may_vanish == 0) {
    notes->Add(Notes::kUnwise, "Nobody may vanish: one member that drops out ends the %s.",
               terms.groups > 1 ? "part of its group in the attempt" : "attempt");
  }
  const double to_vanish = std::floor(spec.secure_aggregation().max_dropout() * terms.largest_sum);
  if (to_vanish > terms.may_vanish && terms.groups == 1) {
    notes->Add(Notes::kUnwise,
               "%.0f members are expected to vanish (max_dropout), but an attempt survives only "
               "%d: lower rounds.minimum, or expect retries%s.",
               to_vanish, terms.may_vanish,
               terms.unit == PrivacySection::NONE ? "" : ", which cost privacy");
  } else if (to_vanish > terms.may_vanish) {
    notes->Add(Notes::kUnwise,
               "%.0f members of a group are expected to vanish (max_dropout), but a group survives "
               "only %d: choose larger groups, or expect that groups are left out.",
               to_vanish, terms.may_vanish);
  }
}

// Sampling and batches, where records are protected.
void NoteSampling(const FederationSpec& spec, const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  const PrivacySection& privacy = spec.privacy();
  const auto total = static_cast<double>(privacy.total_records());
  const double most =
      static_cast<double>(terms.invited) * static_cast<double>(privacy.max_records_per_member());
  if (report.members_known && most < total) {
    notes->Add(Notes::kUnwise,
               "%d members of at most %d records hold %.0f, fewer than total_records, %.0f: the "
               "steps will be smaller than they need to be.",
               terms.invited, privacy.max_records_per_member(), most, total);
  }
  if (terms.sampling_rate == 1) {
    notes->Add(Notes::kUnwise,
               "sampling_rate 1 takes every record every time, so chance hides none of them: a "
               "rate such as 0.01 costs far less epsilon a round.");
  }
  if (terms.mode == LocalSection::GRADIENT) {
    if (terms.expected_batch < 1) {
      notes->Add(Notes::kMeaningless,
                 "A round takes %.2g records on average: most carry noise alone; raise "
                 "local.sampling_rate.",
                 terms.expected_batch);
    }
    return;
  }
  const double typical = terms.sampling_rate * total / terms.invited;
  const double batch_size = spec.local().batch_size();
  if (batch_size > kOddBatch * typical || typical > kOddBatch * batch_size) {
    notes->Add(Notes::kUnwise,
               "batch_size is %.0f, but a step takes about %.3g records of a typical member "
               "(sampling_rate times total_records / members): its gradients count %.2g times "
               "their mean. Set batch_size to about %.0f.",
               batch_size, typical, typical / batch_size, std::max(1.0, std::round(typical)));
  }
}

// What only unit client has: weights, a clip norm that follows, rotation.
void NoteUpdates(const FederationSpec& spec, const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  const PrivacySection& privacy = spec.privacy();
  if (terms.weight_mean > 0 && static_cast<double>(terms.weight_max) >
                                   kUnevenWeights * static_cast<double>(terms.weight_mean)) {
    const double share =
        static_cast<double>(terms.weight_max) / static_cast<double>(terms.weight_mean);
    notes->Add(Notes::kUnwise,
               "weight_max is %.3g times weight_mean, and so is the noise for a typical member: "
               "lower weight_max, or use weighting = \"uniform\".",
               share);
  }
  if (terms.adaptive_clipping) {
    // Noise of the count, everybody staying, as a share of the members.
    const double noise =
        privacy.clip_count_noise() *
        std::sqrt(static_cast<double>(terms.invited) / std::max(1u, terms.honest_survivors)) /
        terms.invited;
    const double quantile = privacy.target_quantile();
    const double nearest = std::min(quantile, 1 - quantile);
    if (nearest < std::max(noise, 1.0 / terms.invited)) {
      notes->Add(Notes::kUnwise,
                 "target_quantile %g cannot be told apart with %d members: %.2g of them are beyond "
                 "it, and the count's noise is %.2g. Use 0.5, or more members.",
                 quantile, terms.invited, nearest * terms.invited, noise * terms.invited);
    }
  }
  if (!terms.rotation) return;
  FederationSpec without = spec;
  without.mutable_privacy()->set_rotation(false);
  absl::StatusOr<RoundTerms> plain = DeriveTerms(without, terms.dim, terms.invited);
  if (plain.ok() && plain->upload_bytes <= terms.upload_bytes) {
    notes->Add(Notes::kUnwise,
               "rotation makes messages no smaller: %d coordinates with it, %d without, of %d and "
               "%d bits. Leave it out.",
               terms.coordinates, plain->coordinates, terms.bits, plain->bits);
  }
}

// What the protection costs, and where it ends.
void NoteLimits(const CheckReport& report, Notes* notes) {
  const RoundTerms& terms = report.terms;
  if (terms.sigma2_local != 0) {
    notes->Add(Notes::kCost,
               "The noise suffices if only %d members remain, %d of them corrupt. If all %d stay, "
               "there is %.2f times as much, and learning is slower.",
               terms.sum_minimum, terms.corrupt_in_sum, terms.largest_sum, report.noise_excess);
  }
  if (report.epsilon_own_noise) {
    notes->Add(Notes::kCost,
               "The coordinator also runs the enrolment CA: if it enrols made-up members, only a "
               "member's own noise protects it: epsilon %s after the last round. Members that pin "
               "a list of members (dure policy set members) keep them out.",
               EpsilonText(*report.epsilon_own_noise));
  } else if (terms.secure_aggregation && terms.unit == PrivacySection::NONE) {
    notes->Add(Notes::kCost,
               "The coordinator also runs the enrolment CA: if it enrols made-up members, a sum "
               "may hold one real update alone, which it then sees. Members that pin a list of "
               "members (dure policy set members) keep them out.");
  }
  if (terms.unit == PrivacySection::RECORD) {
    notes->Add(Notes::kAlways,
               "Epsilon is for one record. A person with g records, in one hospital or in several, "
               "has about g times that epsilon.");
  } else if (terms.unit == PrivacySection::CLIENT) {
    notes->Add(Notes::kAlways,
               "Epsilon is for one membership. Whoever holds g of them, or a patient whose records "
               "g members hold, has about g times that epsilon.");
  }
  notes->Add(
      Notes::kAlways,
      "Who takes part, and when, is not hidden. The keys do not withstand a quantum computer.");
}

// Steps that go nowhere, or too far.
void NoteRates(const CheckReport& report, Notes* notes) {
  for (const auto& [section, schedule, rate] :
       {std::tuple{"local", report.local_schedule, report.local.learning_rate()},
        std::tuple{"server", report.server_schedule, report.server.learning_rate()}}) {
    if (schedule.rounds > 1 && schedule.Factor(schedule.rounds) == 0) {
      notes->Add(Notes::kUnwise,
                 "%s.learning_rate is 0 in the last round, which then changes nothing%s: set "
                 "%s.final_fraction to 0.01, say.",
                 section,
                 report.terms.unit == PrivacySection::NONE ? "" : " and costs privacy all the same",
                 section);
    }
    if (schedule.warmup >= schedule.rounds) {
      notes->Add(Notes::kUnwise,
                 "%s.warmup is %d of %d rounds, so learning_rate %g is never reached: lower it.",
                 section, schedule.warmup, schedule.rounds, rate);
    }
  }
  const double back = report.local.learning_rate() * report.local.proximal_mu();
  if (back >= 1) {
    notes->Add(Notes::kMeaningless,
               "local.proximal_mu times local.learning_rate is %g: a step is drawn back by that "
               "share of the way, so from 1 on nothing is left of it and from 2 on training "
               "diverges; lower one of them.",
               back);
  }
}

}  // namespace

std::vector<std::string> NotesOn(const FederationSpec& spec, const CheckReport& report) {
  Notes notes;
  if (report.terms.unit != PrivacySection::NONE) {
    NoteDrownedUpdates(spec, report, &notes);
    NoteEmptyPromises(spec, report, &notes);
  }
  NoteMembers(spec, report, &notes);
  NoteRates(report, &notes);
  if (report.terms.unit == PrivacySection::RECORD) NoteSampling(spec, report, &notes);
  if (report.terms.unit == PrivacySection::CLIENT) NoteUpdates(spec, report, &notes);
  NoteLimits(report, &notes);
  return std::move(notes).Sorted();
}

}  // namespace dure
