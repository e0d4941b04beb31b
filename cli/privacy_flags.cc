#include "cli/privacy_flags.h"

#include <cmath>
#include <cstdio>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"

namespace dure::cli {
namespace {

// A number that `check` accepts.
template <typename Check>
CLI::Validator Checked(Check check) {
  return CLI::Validator(
      [check](std::string& text) -> std::string {
        double number = 0;
        if (!absl::SimpleAtod(text, &number)) return absl::StrCat("\"", text, "\" is no number");
        const absl::Status status = check(number);
        return std::string(status.message());
      },
      "");
}

absl::StatusOr<dp::GaussianUses> ParseSegment(const std::string& text) {
  auto bad = [&](const absl::Status& status) {
    return absl::InvalidArgumentError(
        absl::StrCat("--segment ", text, ": ", std::string(status.message())));
  };
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  dp::GaussianUses uses;
  if (parts.size() != 3 || !absl::SimpleAtod(parts[0], &uses.sampling_rate) ||
      !absl::SimpleAtod(parts[1], &uses.noise_multiplier) ||
      !absl::SimpleAtoi(parts[2], &uses.steps)) {
    return bad(absl::InvalidArgumentError(
        "write q:z:T, sampling rate, noise multiplier and steps, for example 0.01:1.5:500"));
  }
  if (absl::Status status = dp::CheckSamplingRate(uses.sampling_rate); !status.ok()) {
    return bad(status);
  }
  if (absl::Status status = dp::CheckNoiseMultiplier(uses.noise_multiplier); !status.ok()) {
    return bad(status);
  }
  if (uses.steps < 1 || uses.steps > dp::kMaxSteps) {
    return bad(absl::InvalidArgumentError(
        absl::StrCat("steps = ", uses.steps, " is outside 1 to ", dp::kMaxSteps)));
  }
  return uses;
}

}  // namespace

CLI::Validator NoiseMultiplier() { return Checked(dp::CheckNoiseMultiplier); }
CLI::Validator SamplingRate() { return Checked(dp::CheckSamplingRate); }
CLI::Validator Delta() { return Checked(dp::CheckDelta); }

CLI::Validator PositiveNumber(const std::string& name) {
  return Checked([name](double number) {
    if (std::isfinite(number) && number >= std::numeric_limits<double>::min()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(name, " = ", number, " is not a positive finite number"));
  });
}

void AddGaussianFlags(CLI::App* command, GaussianFlags* flags) {
  command->add_option("--sampling-rate", flags->sampling_rate, "q; 1: no sampling")
      ->check(SamplingRate())
      ->capture_default_str();
  command
      ->add_option("--accountant", flags->accountant,
                   "rdp: Renyi, integer orders; pld: numerical, tighter")
      ->check(CLI::IsMember({"rdp", "pld"}))
      ->capture_default_str();
  command
      ->add_option("--sampling", flags->sampling,
                   "poisson: each record by its own coin, add-or-remove adjacency; "
                   "without_replacement: a fixed number, replace-one adjacency, noise multiplier "
                   "relative to that sensitivity")
      ->check(CLI::IsMember({"poisson", "without_replacement"}))
      ->capture_default_str();
  command->add_flag("--tree", flags->tree,
                    "all prefix sums by a binary tree (DP-FTRL), each record in one step");
}

absl::StatusOr<dp::EpsilonAtOrder> AccountFor(const GaussianFlags& flags) {
  const dp::GaussianUses uses = {.sampling_rate = flags.sampling_rate,
                                 .noise_multiplier = flags.noise_multiplier,
                                 .steps = flags.steps};
  const bool replaced = flags.sampling == "without_replacement";
  if (replaced || flags.tree) {
    const char* kind = flags.tree ? "--tree" : "--sampling without_replacement";
    if (flags.accountant == "pld") {
      return absl::InvalidArgumentError(absl::StrCat("--accountant pld does not know ", kind));
    }
    if (!flags.segments.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--segment does not go with ", kind));
    }
    if (replaced && flags.tree) {
      return absl::InvalidArgumentError("--sampling without_replacement does not go with --tree");
    }
    if (flags.tree && flags.sampling_rate != 1) {
      return absl::InvalidArgumentError("--sampling-rate does not go with --tree");
    }
    return replaced ? dp::AccountWithoutReplacement(uses, flags.delta)
                    : dp::AccountTree(uses, flags.delta);
  }
  std::vector<dp::GaussianUses> segments;
  for (const std::string& text : flags.segments) {
    DURE_ASSIGN_OR_RETURN(dp::GaussianUses segment, ParseSegment(text));
    segments.push_back(segment);
  }
  if (segments.empty()) segments.push_back(uses);
  return dp::AccountGaussian(
      segments, flags.delta,
      flags.accountant == "pld" ? dp::Accountant::kPld : dp::Accountant::kRdp);
}

void AddDistributedFlags(CLI::App* command, DistributedFlags* flags) {
  command->add_option("--cohort", flags->encoding.invited, "members invited to a round")
      ->check(WholeNumber(1));
  command->add_option("--u-min", flags->minimum, "fewest inputs of an opened sum, as given")
      ->check(WholeNumber(1));
  command->add_option("--c-max", flags->corrupt, "members assumed to collude")
      ->check(WholeNumber(0));
  command->add_option("--mechanism", flags->mechanism, "discrete_gaussian, or skellam to compare")
      ->check(CLI::IsMember({"discrete_gaussian", "skellam"}));
  command->add_flag("--rotation", flags->encoding.rotated,
                    "updates are rotated: coordinates filled up to whole blocks, fewer bits");
}

absl::StatusOr<dp::DistributedAccountant> AccountantFor(const DistributedFlags& flags) {
  dp::ClientEncodingParams encoding = flags.encoding;
  if (flags.minimum > encoding.invited) {
    return absl::InvalidArgumentError(
        absl::StrCat("--u-min ", flags.minimum, " is above --cohort ", encoding.invited));
  }
  if (flags.corrupt >= flags.minimum) {
    return absl::InvalidArgumentError(
        absl::StrCat("--c-max ", flags.corrupt, " leaves none of --u-min ", flags.minimum,
                     " to add noise; raise --u-min or lower --c-max"));
  }
  encoding.honest_survivors = flags.minimum - flags.corrupt;
  if (encoding.rotated && encoding.dim <= dp::kMaxDim) encoding.dim = dp::RotatedDim(encoding.dim);
  return dp::DistributedAccountant::Create(
      encoding, flags.mechanism == "skellam" ? dp::DistributedMechanism::kSkellam
                                             : dp::DistributedMechanism::kDiscreteGaussian);
}

int PrintJson(const nlohmann::json& result) {
  std::printf("%s\n", result.dump().c_str());
  return kSuccess;
}

int FailUsage(const absl::Status& status) { return Fail(status, kUsage); }

}  // namespace dure::cli
