// `dure privacy …`: what the accountants say, for people who plan and for people who check.
#include <cmath>
#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "nlohmann/json.hpp"
#include "privacy/dp/record_accountant.h"
#include "privacy/dp/record_gradient.h"

namespace dure::cli {
namespace {

using nlohmann::json;

struct Flags {
  dp::RecordGradientParams gradient;
  double sampling_rate = 1;
  uint64_t steps = 0;
  double delta = 0;
};

void AddSteps(CLI::App* command, Flags* flags) {
  command->add_option("--noise-multiplier", flags->gradient.noise_multiplier, "z")->required();
  command->add_option("--steps", flags->steps, "T, attempts")->required()->check(WholeNumber(0));
  command->add_option("--delta", flags->delta)->required();
}

int FailBoundless() {
  return Fail(absl::InvalidArgumentError(
      "epsilon has no bound with these numbers: raise --noise-multiplier or lower --steps"));
}

int RunRecord(const Flags& flags) {
  absl::StatusOr<dp::RecordAccountant> accountant =
      dp::RecordAccountant::Create(flags.gradient, flags.sampling_rate);
  if (!accountant.ok()) return Fail(accountant.status());
  absl::StatusOr<dp::EpsilonAtOrder> epsilon = accountant->Epsilon(flags.steps, flags.delta);
  if (!epsilon.ok()) return Fail(epsilon.status());
  if (!std::isfinite(epsilon->epsilon)) return FailBoundless();
  const dp::RecordGradient& gradient = accountant->gradient();
  std::printf("%s\n", json({{"epsilon", epsilon->epsilon},
                            {"order", epsilon->order},
                            {"scale", gradient.scale},
                            {"norm_bound_sq", gradient.norm_bound_sq},
                            {"sigma2_local", gradient.sigma2_local}})
                          .dump()
                          .c_str());
  return kSuccess;
}

int RunEpsilon(const Flags& flags) {
  absl::StatusOr<dp::GaussianAccountant> accountant =
      dp::GaussianAccountant::Create(flags.sampling_rate, flags.gradient.noise_multiplier);
  if (!accountant.ok()) return Fail(accountant.status());
  absl::StatusOr<dp::EpsilonAtOrder> epsilon = accountant->Epsilon(flags.steps, flags.delta);
  if (!epsilon.ok()) return Fail(epsilon.status());
  if (!std::isfinite(epsilon->epsilon)) return FailBoundless();
  std::printf("%s\n", json({{"epsilon", epsilon->epsilon},
                            {"delta", flags.delta},
                            {"accountant", "rdp"},
                            {"order", epsilon->order}})
                          .dump()
                          .c_str());
  return kSuccess;
}

}  // namespace

void AddPrivacyCommands(CLI::App& app, int* exit_code) {
  CLI::App* privacy =
      AddCommand(app, "privacy", "Computes what training costs in privacy, as JSON", "");
  privacy->require_subcommand(1);

  auto record = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      *privacy, "record", "epsilon per record in mode \"gradient\", without a trusted party",
      "dure privacy record --sampling-rate 0.01 --noise-multiplier 1 --steps 300 --delta 1e-5 "
      "--clip 1 --dim 26010 --honest-survivors 6");
  AddSteps(command, record.get());
  command->add_option("--sampling-rate", record->sampling_rate, "q of each attempt")->required();
  command->add_option("--clip", record->gradient.clip_norm, "C, norm of one record's gradient")
      ->required();
  command->add_option("--dim", record->gradient.dim, "d, parameters")
      ->required()
      ->check(WholeNumber(1));
  command
      ->add_option("--honest-survivors", record->gradient.honest_survivors,
                   "members in the sum that do not collude with the coordinator")
      ->required();
  command->callback([record, exit_code] { *exit_code = RunRecord(*record); });

  auto epsilon = std::make_shared<Flags>();
  command = AddCommand(*privacy, "epsilon",
                       "epsilon of the (Poisson-subsampled) Gaussian with a trusted party",
                       "dure privacy epsilon --noise-multiplier 1 --steps 300 --delta 1e-5 "
                       "--sampling-rate 0.01");
  AddSteps(command, epsilon.get());
  command->add_option("--sampling-rate", epsilon->sampling_rate, "q; 1: no sampling")
      ->capture_default_str();
  command->callback([epsilon, exit_code] { *exit_code = RunEpsilon(*epsilon); });
}

}  // namespace dure::cli
