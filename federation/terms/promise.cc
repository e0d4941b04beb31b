#include "federation/terms/promise.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dure {
namespace {

// What the coordinator sees where sums are noised before they are opened.
std::string SumsOnly(const RoundTerms& terms) {
  return absl::StrFormat(
      "The coordinator sees who takes part and one noised sum a round%s, over %u members or more. "
      "It "
      "need not be trusted, while at most %s with it and nobody enrols made-up ones.",
      terms.groups > 1 ? " and group" : "", terms.sum_minimum,
      terms.max_corrupt == 1 ? "one member colludes"
                             : absl::StrCat(terms.max_corrupt, " members collude"));
}

constexpr char kTrusted[] =
    "The coordinator sees every member's update and is trusted to add the noise: from the "
    "coordinator nothing is protected.";

std::string PromiseOfRecords(const RoundTerms& terms) {
  constexpr char kRecord[] = "One record of one member: whether it was used";
  constexpr char kNotMore[] = " What many of a member's records have in common is not protected.";
  if (terms.mode == LocalSection::DP_SGD) {
    return absl::StrCat(kRecord,
                        ". Each member adds the noise itself, in every step, so this holds without "
                        "trusting anybody else. ",
                        terms.secure_aggregation
                            ? "Of a round the coordinator sees the sum alone."
                            : "The coordinator sees every member's update, with that noise.",
                        kNotMore);
  }
  if (CoordinatorIsTrusted(terms)) {
    return absl::StrCat(kRecord, ", from those who see the released models. ", kTrusted, kNotMore);
  }
  return absl::StrCat(kRecord, ". ", SumsOnly(terms), kNotMore);
}

std::string PromiseOfMembers(const RoundTerms& terms) {
  constexpr char kMember[] =
      "Everything that one member contributes, all its records together: what it sends could as "
      "well be zeros (zero-out). That it takes part is not hidden. A member is one invitation; who "
      "holds two counts twice. ";
  if (CoordinatorIsTrusted(terms)) {
    return absl::StrCat(kMember, "This holds for those who see the released models. ", kTrusted);
  }
  return absl::StrCat(kMember, SumsOnly(terms),
                      " It knows who takes part, so choosing members at random lowers no epsilon "
                      "(no amplification by sampling).");
}

std::string PromiseOfNone(const RoundTerms& terms) {
  if (!terms.secure_aggregation) {
    return "Nobody, not even by a sum: the coordinator sees each member's update as it is, no "
           "noise is added, and whoever sees the models may learn about single records.";
  }
  return absl::StrFormat(
      "Nobody: there is no privacy beyond the sum. The coordinator sees the exact sum of the "
      "updates of %u members or more%s, no noise is added, and whoever sees the models may learn "
      "about single records. How much is unknown; epsilon is infinite.",
      terms.sum_minimum, terms.weighted ? " and of their numbers of records" : "");
}

}  // namespace

bool CoordinatorIsTrusted(const RoundTerms& terms) {
  return !terms.secure_aggregation && terms.mode != LocalSection::DP_SGD;
}

std::string PromiseInWords(const RoundTerms& terms) {
  switch (terms.unit) {
    case PrivacySection::CLIENT:
      return PromiseOfMembers(terms);
    case PrivacySection::NONE:
      return PromiseOfNone(terms);
    default:
      return PromiseOfRecords(terms);
  }
}

}  // namespace dure
