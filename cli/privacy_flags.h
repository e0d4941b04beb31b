// The flags that the commands `dure privacy …` share, and what follows from them: which accountant,
// of which noise. Numbers out of range are refused while the command line is read, by the name of
// their flag.
#ifndef DURE_CLI_PRIVACY_FLAGS_H_
#define DURE_CLI_PRIVACY_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "privacy/dp/distributed_accountant.h"
#include "privacy/dp/gaussian_accountant.h"
#include "privacy/dp/record_accountant.h"

namespace dure::cli {

// For CLI::Option::check: a number within the accountants' limits, or an error that names it.
CLI::Validator NoiseMultiplier();
CLI::Validator SamplingRate();
CLI::Validator Delta();
CLI::Validator PositiveNumber(const std::string& name);

// Gaussian noise with a trusted party, or a member's own.
struct GaussianFlags {
  double noise_multiplier = 0;
  double sampling_rate = 1;
  uint64_t steps = 0;
  double delta = 0;
  std::vector<std::string> segments;  // q:z:T
  std::string accountant = "rdp";
  std::string sampling = "poisson";
  bool tree = false;
};
// --sampling-rate, --accountant, --sampling, --tree.
void AddGaussianFlags(CLI::App* command, GaussianFlags* flags);
// epsilon by the accountant that is asked for. InvalidArgument for flags that exclude each other
// and for a segment that is none.
absl::StatusOr<dp::EpsilonAtOrder> AccountFor(const GaussianFlags& flags);

// Noise of all members together, client level.
struct DistributedFlags {
  dp::ClientEncodingParams encoding;
  uint32_t minimum = 0;  // U_min, as given
  uint32_t corrupt = 0;  // c_max
  uint64_t participations = 0;
  double delta = 0;
  std::string mechanism = "discrete_gaussian";
};
// --cohort, --u-min, --c-max, --mechanism, --rotation.
void AddDistributedFlags(CLI::App* command, DistributedFlags* flags);
absl::StatusOr<dp::DistributedAccountant> AccountantFor(const DistributedFlags& flags);

// Noise of all members together, record level.
struct RecordFlags {
  dp::RecordGradientParams gradient;
  double sampling_rate = 1;
  uint64_t steps = 0;
  double delta = 0;
};

// Prints `result` and gives the exit code.
int PrintJson(const nlohmann::json& result);
// An error that concerns numbers on the command line: exit code 2.
int FailUsage(const absl::Status& status);

// calibrate and graph, each in a file of its own.
void AddPrivacyCalibrate(CLI::App& privacy, int* exit_code);
void AddPrivacyGraph(CLI::App& privacy, int* exit_code);

}  // namespace dure::cli

#endif  // DURE_CLI_PRIVACY_FLAGS_H_
