// `dure privacy …`: what the accountants say, for people who plan and for people who check.
#include <cmath>
#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/privacy_flags.h"

namespace dure::cli {
namespace {

using nlohmann::json;

absl::Status NoBound() {
  return absl::InvalidArgumentError(
      "epsilon has no bound with these numbers: raise --noise-multiplier or lower --steps");
}

void AddDelta(CLI::App* command, double* delta) {
  command->add_option("--delta", *delta, "of the mechanism")->required()->check(Delta());
}

int RunEpsilon(const GaussianFlags& flags) {
  absl::StatusOr<dp::EpsilonAtOrder> epsilon = AccountFor(flags);
  if (!epsilon.ok()) return FailUsage(epsilon.status());
  json order;  // null: pld has none
  if (flags.accountant == "rdp") order = epsilon->order;
  return PrintJson({{"epsilon", epsilon->epsilon},
                    {"delta", flags.delta},
                    {"accountant", flags.accountant},
                    {"order", order}});
}

void AddEpsilon(CLI::App& privacy, int* exit_code) {
  auto flags = std::make_shared<GaussianFlags>();
  CLI::App* command = AddCommand(
      privacy, "epsilon", "epsilon of Gaussian noise: a trusted party's, or a member's own",
      "dure privacy epsilon --noise-multiplier 1 --steps 300 --delta 1e-5 "
      "--sampling-rate 0.01 --accountant pld");
  CLI::Option* noise = command->add_option("--noise-multiplier", flags->noise_multiplier, "z")
                           ->check(NoiseMultiplier());
  CLI::Option* steps =
      command->add_option("--steps", flags->steps, "T, attempts")->check(WholeNumber(1));
  AddDelta(command, &flags->delta);
  AddGaussianFlags(command, flags.get());
  CLI::Option* segments =
      command
          ->add_option("--segment", flags->segments,
                       "q:z:T, for runs whose noise or rate changes; once for each kind of step")
          ->allow_extra_args(false)
          ->excludes(noise)
          ->excludes(steps)
          ->excludes(command->get_option("--sampling-rate"));
  command->callback([flags, noise, steps, segments, exit_code] {
    if (segments->empty()) {
      if (noise->empty()) throw CLI::RequiredError("--noise-multiplier");
      if (steps->empty()) throw CLI::RequiredError("--steps");
    }
    *exit_code = RunEpsilon(*flags);
  });
}

int RunRecord(const RecordFlags& flags) {
  absl::StatusOr<dp::RecordAccountant> accountant =
      dp::RecordAccountant::Create(flags.gradient, flags.sampling_rate);
  if (!accountant.ok()) return FailUsage(accountant.status());
  absl::StatusOr<dp::EpsilonAtOrder> epsilon = accountant->Epsilon(flags.steps, flags.delta);
  if (!epsilon.ok()) return FailUsage(epsilon.status());
  if (!std::isfinite(epsilon->epsilon)) return FailUsage(NoBound());
  const dp::RecordGradient& gradient = accountant->gradient();
  return PrintJson({{"epsilon", epsilon->epsilon},
                    {"order", epsilon->order},
                    {"scale", gradient.scale},
                    {"norm_bound_sq", gradient.norm_bound_sq},
                    {"sigma2_local", gradient.sigma2_local}});
}

void AddRecord(CLI::App& privacy, int* exit_code) {
  auto flags = std::make_shared<RecordFlags>();
  CLI::App* command = AddCommand(
      privacy, "record", "epsilon per record in mode \"gradient\", without a trusted party",
      "dure privacy record --sampling-rate 0.01 --noise-multiplier 1 --steps 300 --delta 1e-5 "
      "--clip 1 --dim 26010 --honest-survivors 6");
  command->add_option("--noise-multiplier", flags->gradient.noise_multiplier, "z")
      ->required()
      ->check(NoiseMultiplier());
  command->add_option("--steps", flags->steps, "T, attempts")->required()->check(WholeNumber(1));
  AddDelta(command, &flags->delta);
  command->add_option("--sampling-rate", flags->sampling_rate, "q of each attempt")
      ->required()
      ->check(SamplingRate());
  command->add_option("--clip", flags->gradient.clip_norm, "C, norm of one record's gradient")
      ->required()
      ->check(PositiveNumber("clip"));
  command->add_option("--dim", flags->gradient.dim, "d, parameters")
      ->required()
      ->check(WholeNumber(1));
  command
      ->add_option("--honest-survivors", flags->gradient.honest_survivors,
                   "members in the sum that do not collude with the coordinator")
      ->required()
      ->check(WholeNumber(1));
  command->callback([flags, exit_code] { *exit_code = RunRecord(*flags); });
}

int RunDistributed(const DistributedFlags& flags) {
  absl::StatusOr<dp::DistributedAccountant> accountant = AccountantFor(flags);
  if (!accountant.ok()) return FailUsage(accountant.status());
  absl::StatusOr<dp::EpsilonAtOrder> epsilon =
      accountant->Epsilon(flags.participations, flags.delta);
  if (!epsilon.ok()) return FailUsage(epsilon.status());
  if (!std::isfinite(epsilon->epsilon)) return FailUsage(NoBound());
  const dp::ClientEncoding& encoding = accountant->encoding();
  return PrintJson({{"epsilon", epsilon->epsilon},
                    {"order", epsilon->order},
                    {"scale", encoding.scale},
                    {"norm_bound_sq", encoding.norm_bound_sq},
                    {"sigma2_local", encoding.sigma2_local},
                    {"abs_sum_bound", encoding.abs_sum_bound},
                    {"bits", encoding.bits}});
}

void AddDistributed(CLI::App& privacy, int* exit_code) {
  auto flags = std::make_shared<DistributedFlags>();
  CLI::App* command = AddCommand(
      privacy, "distributed", "epsilon per member of unit \"client\", without a trusted party",
      "dure privacy distributed --noise-multiplier 1 --participations 10 --delta 1e-6 --clip 1 "
      "--dim 65536 --cohort 100 --u-min 80 --c-max 10");
  command->add_option("--noise-multiplier", flags->encoding.noise_multiplier, "z")
      ->required()
      ->check(NoiseMultiplier());
  command->add_option("--participations", flags->participations, "attempts of one member")
      ->required()
      ->check(WholeNumber(1));
  AddDelta(command, &flags->delta);
  command->add_option("--clip", flags->encoding.clip_norm, "C, norm of one member's update")
      ->required()
      ->check(PositiveNumber("clip"));
  command->add_option("--dim", flags->encoding.dim, "d, coordinates that are sent")
      ->required()
      ->check(WholeNumber(1));
  AddDistributedFlags(command, flags.get());
  for (const char* name : {"--cohort", "--u-min", "--c-max"}) command->get_option(name)->required();
  command->callback([flags, exit_code] { *exit_code = RunDistributed(*flags); });
}

}  // namespace

void AddPrivacyCommands(CLI::App& app, int* exit_code) {
  CLI::App* privacy =
      AddCommand(app, "privacy", "Computes what training costs in privacy, as JSON", "");
  privacy->require_subcommand(1);
  AddEpsilon(*privacy, exit_code);
  AddRecord(*privacy, exit_code);
  AddDistributed(*privacy, exit_code);
  AddPrivacyCalibrate(*privacy, exit_code);
  AddPrivacyGraph(*privacy, exit_code);
}

}  // namespace dure::cli
