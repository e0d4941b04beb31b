// A trainer program with a model, a data format and a metric of its own: how many visits a ward
// gets in an hour, by Poisson regression (McCullagh and Nelder 1989, chapter 6). dure has none of
// the three built in.
//
//   rate(x) = exp(w x + b);  a record's loss is rate - y log(rate)
//
// The stock client starts this program in the place of dure-trainer (`dure client --trainer`), in
// the same sandbox: no network, no keys, no file but what it is handed.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "learner/trainer_program.h"

namespace {

// ---- the model ----

struct Gradient final : dure::ModelWorkspace {
  std::vector<float> direction;
  std::vector<float> output;
};

class PoissonRegression final : public dure::TrainableModel {
 public:
  explicit PoissonRegression(uint32_t features) : features_(features), params_(features + 1) {
    manifest_.params = {{"rate.weight", {1, features}}, {"rate.bias", {1}}};
  }

  const dure::ParamManifest& manifest() const override { return manifest_; }
  size_t dim() const override { return params_.size(); }
  // What Judge makes of the output: the squared error of the rate. The training below is its own.
  dure::Loss loss() const override { return dure::ModelSection::MSE; }
  uint32_t classes() const override { return 1; }
  std::unique_ptr<dure::ModelWorkspace> MakeWorkspace() const override {
    auto workspace = std::make_unique<Gradient>();
    workspace->direction.resize(dim());
    workspace->output.resize(1);
    return workspace;
  }
  void SetParams(std::span<const float> params) override {
    params_.assign(params.begin(), params.end());
  }

  // Minus the gradient: (y - rate) x, and (y - rate) for the bias.
  std::span<const float> Direction(dure::FeatureView record, float visits,
                                   dure::ModelWorkspace& workspace) const override {
    auto& own = static_cast<Gradient&>(workspace);
    const float error = visits - Rate(record);
    for (uint32_t i = 0; i < features_; ++i) own.direction[i] = error * record[i];
    own.direction[features_] = error;
    return own.direction;
  }
  std::span<const float> Outputs(dure::FeatureView record,
                                 dure::ModelWorkspace& workspace) const override {
    auto& own = static_cast<Gradient&>(workspace);
    own.output[0] = Rate(record);
    return own.output;
  }

 private:
  float Rate(dure::FeatureView record) const {
    float sum = params_[features_];
    for (uint32_t i = 0; i < features_; ++i) sum += params_[i] * record[i];
    return std::exp(std::min(sum, 20.0f));
  }

  uint32_t features_;
  dure::ParamManifest manifest_;
  std::vector<float> params_;
};

// ---- the data: one hour a line, "DAY HOUR TEMPERATURE VISITS", numbers between blanks ----

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr uint32_t kFeatures = 5;  // weekend; sine and cosine of the hour; temperature; its square

absl::StatusOr<dure::Dataset> ReadVisits(const dure::DataFiles& files, const dure::ModelSection&) {
  std::string text(kMaxBytes + 1, '\0');
  size_t size = 0;
  for (;;) {
    const ssize_t got =
        pread(files.images.get(), text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (got < 0) return absl::InvalidArgumentError(files.images_path + " cannot be read");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(files.images_path, " has more than ", kMaxBytes, " bytes, the limit"));
  }
  text.resize(size);
  dure::Dataset data{.shape = {kFeatures}, .features = {}, .labels = {}};
  std::istringstream lines(text);
  std::string line;
  for (uint64_t number = 1; std::getline(lines, line); ++number) {
    std::istringstream values(line);
    int day = 0, hour = 0;
    float temperature = 0, visits = 0;
    if (!(values >> day >> hour >> temperature >> visits) || day < 0 || day > 6 || hour < 0 ||
        hour > 23 || !(visits >= 0 && visits < 1e6)) {
      return absl::InvalidArgumentError(
          absl::StrCat(files.images_path, ":", number,
                       ": a line is DAY (0 to 6) HOUR (0 to 23) TEMPERATURE VISITS"));
    }
    const double angle = hour * 2 * M_PI / 24;
    const float degrees = temperature / 30;
    for (float feature : {day >= 5 ? 1.0f : 0.0f, static_cast<float>(std::sin(angle)),
                          static_cast<float>(std::cos(angle)), degrees, degrees * degrees}) {
      data.numbers.push_back(feature);
    }
    data.labels.push_back(visits);
  }
  return data;
}

// ---- the metric: the deviance of a record, 0 for a rate that is exactly right ----

double Deviance(std::span<const float> outputs, dure::FeatureView, float visits) {
  const double rate = std::max(static_cast<double>(outputs[0]), 1e-9);
  const double saturated = visits > 0 ? visits * std::log(visits / rate) : 0;
  return 2 * (saturated - (visits - rate));
}

absl::StatusOr<std::unique_ptr<dure::TrainableModel>> MakeModel(const dure::ModelSection& section,
                                                                int /*threads*/) {
  if (section.own() != "poisson-visits") {
    return absl::FailedPreconditionError(
        absl::StrCat("this program trains poisson-visits, the federation asks for ",
                     section.own().empty() ? "a built-in model" : section.own()));
  }
  return std::make_unique<PoissonRegression>(kFeatures);
}

}  // namespace

int main(int argc, char** argv) {
  return dure::TrainerMain(argc, argv,
                           {.name = "visits-trainer",
                            .parts = {.make_model = MakeModel,
                                      .read_data = ReadVisits,
                                      .metric = {.name = "deviance", .of_record = Deviance}}});
}
