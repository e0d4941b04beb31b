// `dure privacy calibrate`: the least noise for a target epsilon, the inverse of the other
// commands.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/privacy_flags.h"
#include "privacy/dp/calibrate.h"

namespace dure::cli {
namespace {

// Relative, of the multiplier: by closed formulas, and by numerical composition.
constexpr double kFineTolerance = 1e-10;
constexpr double kPldTolerance = 1e-6;

struct Flags {
  std::string mode = "gaussian";
  double epsilon = 0;
  double delta = 0;
  uint64_t steps = 0;
  double clip = 0;
  uint64_t dim = 0;
  uint32_t honest_survivors = 0;
  GaussianFlags gaussian;
  DistributedFlags distributed;
};

// An option and the modes that know it.
struct ModeOption {
  CLI::Option* option;
  bool gaussian = false;
  bool record = false;
  bool distributed = false;
  bool required = false;
};

dp::EpsilonOfNoise GaussianCurve(const Flags& flags, const std::string& accountant) {
  GaussianFlags gaussian = flags.gaussian;
  gaussian.steps = flags.steps;
  gaussian.delta = flags.delta;
  gaussian.accountant = accountant;
  return [gaussian](double z) mutable -> absl::StatusOr<double> {
    gaussian.noise_multiplier = z;
    absl::StatusOr<dp::EpsilonAtOrder> result = AccountFor(gaussian);
    if (!result.ok()) return result.status();
    return result->epsilon;
  };
}

dp::EpsilonOfNoise RecordCurve(const Flags& flags) {
  return [flags](double z) -> absl::StatusOr<double> {
    absl::StatusOr<dp::RecordAccountant> accountant =
        dp::RecordAccountant::Create({.dim = flags.dim,
                                      .clip_norm = flags.clip,
                                      .noise_multiplier = z,
                                      .honest_survivors = flags.honest_survivors},
                                     flags.gaussian.sampling_rate);
    if (!accountant.ok()) return accountant.status();
    absl::StatusOr<dp::EpsilonAtOrder> result = accountant->Epsilon(flags.steps, flags.delta);
    if (!result.ok()) return result.status();
    return result->epsilon;
  };
}

dp::EpsilonOfNoise DistributedCurve(const Flags& flags) {
  DistributedFlags distributed = flags.distributed;
  distributed.encoding.clip_norm = flags.clip;
  distributed.encoding.dim = flags.dim;
  const double delta = flags.delta;
  return [distributed, delta](double z) mutable -> absl::StatusOr<double> {
    distributed.encoding.noise_multiplier = z;
    absl::StatusOr<dp::DistributedAccountant> accountant = AccountantFor(distributed);
    if (!accountant.ok()) return accountant.status();
    absl::StatusOr<dp::EpsilonAtOrder> result =
        accountant->Epsilon(distributed.participations, delta);
    if (!result.ok()) return result.status();
    return result->epsilon;
  };
}

absl::StatusOr<double> Calibrate(const Flags& flags) {
  const dp::CalibrationParams fine = {.epsilon = flags.epsilon, .tolerance = kFineTolerance};
  if (flags.mode == "record") return dp::CalibrateNoise(fine, RecordCurve(flags));
  if (flags.mode == "distributed") return dp::CalibrateNoise(fine, DistributedCurve(flags));
  if (flags.gaussian.accountant == "rdp") {
    return dp::CalibrateNoise(fine, GaussianCurve(flags, "rdp"));
  }
  // What the cheap accountant finds is enough, and nearly the least.
  if (absl::StatusOr<double> pld = GaussianCurve(flags, "pld")(1);
      absl::IsInvalidArgument(pld.status())) {
    return pld.status();  // flags that exclude each other
  }
  absl::StatusOr<double> start = dp::CalibrateNoise(fine, GaussianCurve(flags, "rdp"));
  if (!start.ok()) return start.status();
  return dp::CalibrateNoise(
      {.epsilon = flags.epsilon,
       .tolerance = flags.gaussian.sampling_rate == 1 ? kFineTolerance : kPldTolerance,
       .start = *start},
      GaussianCurve(flags, "pld"));
}

int Run(const Flags& flags, const std::vector<ModeOption>& options) {
  for (const ModeOption& option : options) {
    const bool known = flags.mode == "gaussian" ? option.gaussian
                       : flags.mode == "record" ? option.record
                                                : option.distributed;
    if (!known && !option.option->empty()) {
      return FailUsage(absl::InvalidArgumentError(
          absl::StrCat(option.option->get_name(), " means nothing with --mode ", flags.mode)));
    }
    if (known && option.required && option.option->empty()) {
      return FailUsage(absl::InvalidArgumentError(
          absl::StrCat(option.option->get_name(), " is required with --mode ", flags.mode)));
    }
  }
  absl::StatusOr<double> noise = Calibrate(flags);
  if (!noise.ok()) return FailUsage(noise.status());
  return PrintJson({{"noise_multiplier", *noise}});
}

}  // namespace

void AddPrivacyCalibrate(CLI::App& privacy, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      privacy, "calibrate", "The least noise multiplier that keeps a target epsilon",
      "dure privacy calibrate --epsilon 2 --steps 1000 --delta 1e-5 --sampling-rate 0.01");
  command->add_option("--mode", flags->mode, "whose noise: the command that is to be inverted")
      ->check(CLI::IsMember({"gaussian", "record", "distributed"}))
      ->capture_default_str();
  command->add_option("--epsilon", flags->epsilon, "the target")
      ->required()
      ->check(PositiveNumber("epsilon"));
  command->add_option("--delta", flags->delta, "of the mechanism")->required()->check(Delta());
  CLI::Option* steps = command->add_option("--steps", flags->steps, "T, attempts (not distributed)")
                           ->check(WholeNumber(1));
  AddGaussianFlags(command, &flags->gaussian);
  CLI::Option* clip = command->add_option("--clip", flags->clip, "C (record, distributed)")
                          ->check(PositiveNumber("clip"));
  CLI::Option* dim =
      command->add_option("--dim", flags->dim, "d (record, distributed)")->check(WholeNumber(1));
  CLI::Option* survivors =
      command->add_option("--honest-survivors", flags->honest_survivors, "h (record)")
          ->check(WholeNumber(1));
  CLI::Option* participations =
      command
          ->add_option("--participations", flags->distributed.participations,
                       "attempts of one member (distributed)")
          ->check(WholeNumber(1));
  AddDistributedFlags(command, &flags->distributed);
  const std::vector<ModeOption> options = {
      {.option = steps, .gaussian = true, .record = true, .required = true},
      {.option = command->get_option("--sampling-rate"), .gaussian = true, .record = true},
      {.option = command->get_option("--accountant"), .gaussian = true},
      {.option = command->get_option("--sampling"), .gaussian = true},
      {.option = command->get_option("--tree"), .gaussian = true},
      {.option = clip, .record = true, .distributed = true, .required = true},
      {.option = dim, .record = true, .distributed = true, .required = true},
      {.option = survivors, .record = true, .required = true},
      {.option = participations, .distributed = true, .required = true},
      {.option = command->get_option("--cohort"), .distributed = true, .required = true},
      {.option = command->get_option("--u-min"), .distributed = true, .required = true},
      {.option = command->get_option("--c-max"), .distributed = true, .required = true},
      {.option = command->get_option("--mechanism"), .distributed = true},
      {.option = command->get_option("--rotation"), .distributed = true},
  };
  command->callback([flags, options, exit_code] { *exit_code = Run(*flags, options); });
}

}  // namespace dure::cli
