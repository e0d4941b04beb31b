#include "learner/epochs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "learner/on_threads.h"
#include "learner/tile_kernels.h"
#include "privacy/dp/blocks.h"

namespace dure {
namespace {

// Floats of block sums that are held at a time, if there is more than a block a thread.
constexpr size_t kHeldFloats = size_t{1} << 21;

// Uniform on [0, n), n >= 1.
uint64_t Below(uint64_t n, AesCtrRandom& random) {
  const uint64_t limit = UINT64_MAX / n * n;
  uint64_t word;
  do {
    word = random.NextU64();
  } while (word >= limit);
  return word % n;
}

// Fisher-Yates: every order is as likely as any other.
void Shuffle(std::vector<uint32_t>& records, AesCtrRandom& random) {
  for (size_t i = records.size(); i > 1; --i) {
    std::swap(records[i - 1], records[Below(i, random)]);
  }
}

}  // namespace

EpochTraining::EpochTraining(TrainableModel* model, int threads)
    : model_(*model), batch_steps_(model->MakeBatchSteps(threads)), now_(model->dim()) {
  DURE_CHECK(threads >= 1);
  if (batch_steps_ != nullptr) return;
  for (int i = 0; i < threads; ++i) workspaces_.push_back(model->MakeWorkspace());
  for (std::vector<double>* sums : {&sum_, &direction_, &moved_}) sums->resize(model->dim());
}

void EpochTraining::SumBatch(const Dataset& data, std::span<const uint32_t> records) {
  std::fill(sum_.begin(), sum_.end(), 0.0);
  const size_t dim = model_.dim();
  const size_t block_records = model_.block_records();
  const size_t held = std::max(workspaces_.size(), kHeldFloats / dim);
  while (!records.empty()) {
    const auto now = records.first(std::min(records.size(), held * block_records));
    records = records.subspan(now.size());
    const size_t blocks = (now.size() + block_records - 1) / block_records;
    while (blocks_.size() < blocks) blocks_.emplace_back(dim);
    const size_t threads = std::min(workspaces_.size(), blocks);
    OnThreads(threads, [&](size_t thread) {
      for (size_t block = thread; block < blocks; block += threads) {
        const size_t first = block * block_records;
        float* sum = blocks_[block].data();
        std::fill_n(sum, dim, 0.0f);
        model_.AddDirections(data, now.subspan(first, std::min(block_records, now.size() - first)),
                             {sum, dim}, *workspaces_[thread]);
      }
    });
    dp::ForEachBlock(dim, static_cast<int>(threads), [&](const dp::Block& part) {
      for (size_t block = 0; block < blocks; ++block) {
        const float* from = blocks_[block].data() + part.first;
        double* to = sum_.data() + part.first;
        for (size_t i = 0; i < part.size; ++i) to[i] += static_cast<double>(from[i]);
      }
    });
  }
}

absl::Status EpochTraining::Run(const DataView& data, std::span<const float> params,
                                const EpochsPlan& plan, std::span<float> change,
                                const CancelCheck& cancelled) {
  const size_t dim = model_.dim();
  DURE_CHECK(params.size() == dim && change.size() == dim);
  DURE_CHECK(plan.correction.empty() || plan.correction.size() == dim);
  DURE_RETURN_IF_ERROR(CheckPlan(plan, data.records()));
  AesCtrRandom order(plan.seed);
  order_.resize(data.records());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<uint32_t>(data.place(i));
  Begin(params, plan);
  for (uint32_t epoch = 0; epoch < plan.epochs; ++epoch) {
    Shuffle(order_, order);
    for (size_t first = 0; first < order_.size(); first += plan.batch_size) {
      const size_t size = std::min<size_t>(plan.batch_size, order_.size() - first);
      const auto batch = std::span<const uint32_t>(order_).subspan(first, size);
      if (batch_steps_ != nullptr) {
        batch_steps_->Step(data.dataset(), batch);
      } else {
        Step(data.dataset(), params, plan, batch);
      }
      if (cancelled && cancelled()) return absl::CancelledError("local training was cancelled");
    }
  }
  return TakeChange(params, change);
}

void EpochTraining::Begin(std::span<const float> params, const EpochsPlan& plan) {
  if (batch_steps_ != nullptr) {
    batch_steps_->Begin(params, {.learning_rate = plan.learning_rate,
                                 .proximal_mu = plan.proximal_mu,
                                 .correction = plan.correction});
    return;
  }
  std::copy(params.begin(), params.end(), now_.begin());
  std::fill(moved_.begin(), moved_.end(), 0.0);
}

void EpochTraining::Step(const Dataset& data, std::span<const float> params, const EpochsPlan& plan,
                         std::span<const uint32_t> batch) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  model_.SetParams(now_);
  SumBatch(data, batch);
  model_.ToManifestOrder(std::span<const double>(sum_), std::span(direction_));
  const double size = static_cast<double>(batch.size());
  const double factor = plan.learning_rate / size;
  for (size_t i = 0; i < plan.correction.size(); ++i) direction_[i] -= size * plan.correction[i];
  const double back = plan.learning_rate * plan.proximal_mu;  // of the way from the beginning
  for (size_t i = 0; i < now_.size(); ++i) {
    moved_[i] += factor * direction_[i] - back * moved_[i];
    now_[i] = static_cast<float>(std::clamp(params[i] + moved_[i], -kLargest, kLargest));
  }
}

// Parameters that are no numbers any more never become numbers again, so to look at the end is
// enough.
absl::Status EpochTraining::TakeChange(std::span<const float> params, std::span<float> change) {
  bool fine = true;
  constexpr auto kLimit = static_cast<float>(kMaxLocalChange);
  if (batch_steps_ != nullptr) {
    batch_steps_->Params(now_);
    fine = kernels::BestTileKernels().subtract(params.data(), kLimit, now_.data(), now_.size());
  } else {
    std::copy(moved_.begin(), moved_.end(), now_.begin());
    // What is not a number fails every comparison.
    for (const float value : now_) fine &= std::abs(value) <= kLimit;
  }
  if (!fine) {
    return absl::FailedPreconditionError(
        "local training diverged, the model is no longer finite: lower local.learning_rate");
  }
  std::copy(now_.begin(), now_.end(), change.begin());
  return absl::OkStatus();
}

}  // namespace dure
