#include "learner/dp_sgd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"
#include "privacy/dp/blocks.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

AesCtrRandom SeededBy(Random& source) { return AesCtrRandom(source); }

// The random side of a plan and the change that its steps add up to.
class NoisySteps {
 public:
  // Precondition (DURE_CHECK): the plan passes CheckPlan.
  NoisySteps(const DpSgdPlan& plan, size_t dim, int threads)
      : NoisySteps(plan, dim, threads, AesCtrRandom(plan.seed)) {}
  ~NoisySteps() {
    WipeBytes({reinterpret_cast<uint8_t*>(noise_.data()), noise_.size() * sizeof(int64_t)});
  }
  NoisySteps(const NoisySteps&) = delete;
  NoisySteps& operator=(const NoisySteps&) = delete;

  void DrawNoise() {
    const dp::BlockSeeds seeds(dp::CountBlocks(noise_.size()), noise_stream_);
    dp::ForEachBlock(noise_.size(), threads_, [&](const dp::Block& block) {
      AesCtrRandom random = seeds.RandomOf(block);
      gaussian_.Fill(random, std::span(noise_).subspan(block.first, block.size));
    });
  }

  std::vector<uint32_t> TossCoins(uint32_t records) {
    AesCtrRandom random = SeededBy(coins_);
    return dp::PoissonSample(records, plan_.sampling_rate, random);
  }

  // A step with the noise that was drawn and `sums` in units of 1 / (F s), which are rounded in
  // place; or with the noise alone if there are none.
  void Step(std::span<int64_t> sums) {
    const dp::BlockSeeds seeds(dp::CountBlocks(noise_.size()), rounding_);
    dp::ForEachBlock(noise_.size(), threads_, [&](const dp::Block& block) {
      const std::span<const int64_t> noise = std::span(noise_).subspan(block.first, block.size);
      const std::span<double> change = std::span(change_).subspan(block.first, block.size);
      if (sums.empty()) {
        for (size_t i = 0; i < block.size; ++i) change[i] = Moved(change[i], noise[i]);
        return;
      }
      const std::span<int64_t> sum = sums.subspan(block.first, block.size);
      AesCtrRandom random = seeds.RandomOf(block);
      dp::RoundSum(sum, random, sum);
      for (size_t i = 0; i < block.size; ++i) change[i] = Moved(change[i], sum[i] + noise[i]);
    });
  }

  const std::vector<double>& change() const { return change_; }

 private:
  NoisySteps(const DpSgdPlan& plan, size_t dim, int threads, AesCtrRandom seed)
      : plan_(plan),
        threads_(threads),
        gaussian_(*dp::DiscreteGaussian::Create(plan.sigma2)),
        coins_(SeededBy(seed)),
        rounding_(SeededBy(seed)),
        noise_stream_(SeededBy(seed)),
        factor_(plan.learning_rate / std::ldexp(plan.batch_size, plan.scale_log2)),
        noise_(dim),
        change_(dim) {}

  // What a step that runs away would make infinite stops at the limit: the member must answer, and
  // its answer must not tell more than the noised sums do. A function of them alone, so the
  // accounting stands.
  double Moved(double change, int64_t noised_sum) const {
    return std::clamp(change + factor_ * static_cast<double>(noised_sum), -kMaxLocalChange,
                      kMaxLocalChange);
  }

  const DpSgdPlan& plan_;
  const int threads_;
  const dp::DiscreteGaussian gaussian_;
  AesCtrRandom coins_, rounding_, noise_stream_;  // seeds of what each step draws
  const double factor_;
  std::vector<int64_t> noise_;
  std::vector<double> change_;
};

}  // namespace

DpSgd::DpSgd(TrainableModel* model, int threads)
    : model_(*model), threads_(threads), gradient_sum_(*model, threads) {}

absl::Status DpSgd::Run(const DataView& data, std::span<const float> params, const DpSgdPlan& plan,
                        std::span<float> change, const CancelCheck& cancelled) {
  DURE_CHECK(params.size() == model_.dim() && change.size() == model_.dim());
  DURE_RETURN_IF_ERROR(CheckPlan(plan, data.records()));
  NoisySteps steps(plan, model_.dim(), threads_);
  GradientPlan gradient{.records = {}, .clip_norm = plan.clip_norm, .scale_log2 = plan.scale_log2};
  std::vector<int64_t> sums(model_.dim());
  std::vector<float> model(params.begin(), params.end());
  constexpr double kLargest = std::numeric_limits<float>::max();
  for (uint32_t step = 0; step < plan.steps; ++step) {
    steps.DrawNoise();
    gradient.records = steps.TossCoins(static_cast<uint32_t>(data.records()));
    model_.SetParams(model);
    DURE_RETURN_IF_ERROR(gradient_sum_.Run(data, gradient, sums));
    steps.Step(sums);
    if (cancelled && cancelled()) return absl::CancelledError("local training was cancelled");
    for (size_t i = 0; i < model.size(); ++i) {
      model[i] = static_cast<float>(std::clamp(params[i] + steps.change()[i], -kLargest, kLargest));
    }
  }
  std::copy(steps.change().begin(), steps.change().end(), change.begin());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> DpSgdNoiseAlone(const DpSgdPlan& plan, size_t dim, int threads) {
  DURE_RETURN_IF_ERROR(CheckPlan(plan, 0));
  NoisySteps steps(plan, dim, threads);
  for (uint32_t step = 0; step < plan.steps; ++step) {
    steps.DrawNoise();
    steps.Step({});
  }
  return std::vector<float>(steps.change().begin(), steps.change().end());
}

}  // namespace dure
