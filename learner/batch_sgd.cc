#include "learner/batch_sgd.h"

#include <algorithm>

#include "base/check.h"
#include "learner/on_threads.h"
#include "privacy/dp/blocks.h"

namespace dure {

using kernels::Then;

BatchSgd::BatchSgd(const Architecture& architecture, int threads,
                   const kernels::TileKernels& tile_kernels)
    : network_(architecture, tile_kernels),
      dim_(architecture.manifest.dim()),
      weights_(network_.layout().size()),
      scratch_(static_cast<size_t>(threads)),
      sums_(static_cast<size_t>(threads)) {
  DURE_CHECK(threads >= 1 && dim_ > 0);
}

void BatchSgd::Begin(std::span<const float> params, const Rule& rule) {
  DURE_CHECK(params.size() == dim_);
  DURE_CHECK(rule.correction.empty() || rule.correction.size() == dim_);
  const BatchLayout& layout = network_.layout();
  layout.Pack(network_.kernels(), params, weights_.data());
  learning_rate_ = static_cast<float>(rule.learning_rate);
  proximal_mu_ = static_cast<float>(rule.proximal_mu);
  proximal_ = rule.proximal_mu > 0;
  corrected_ = !rule.correction.empty();
  if (proximal_) {
    began_.Reserve(layout.size());
    std::copy_n(weights_.data(), layout.size(), began_.data());
  }
  if (corrected_) {
    correction_.Reserve(layout.size());
    layout.Pack(network_.kernels(), rule.correction, correction_.data());
  }
}

void BatchSgd::Params(std::span<float> params) const {
  DURE_CHECK(params.size() == dim_);
  network_.layout().Unpack(network_.kernels(), weights_.data(), params);
}

void BatchSgd::Step(const Dataset& data, std::span<const uint32_t> records) {
  DURE_CHECK(!records.empty());
  const float factor = learning_rate_ / static_cast<float>(records.size());
  if (records.size() <= network_.most_records() && !proximal_ && !corrected_) {
    network_.Backpropagate(weights_.data(), data, records,
                           {.then = Then::kStep, .factor = factor, .to = weights_.data()},
                           scratch_[0]);
    return;
  }
  SumChunks(data, records);
  const int threads =
      records.size() <= network_.most_records() ? 1 : static_cast<int>(scratch_.size());
  dp::ForEachBlock(weights_.size(), threads, [&](const dp::Block& part) {
    network_.kernels().sgd_step(
        {.n = part.size,
         .w = weights_.data() + part.first,
         .g = sums_[0].data() + part.first,
         .factor = factor,
         .correction = corrected_ ? correction_.data() + part.first : nullptr,
         .rate = learning_rate_,
         .began = proximal_ ? began_.data() + part.first : nullptr,
         .back = learning_rate_ * proximal_mu_});
  });
}

void BatchSgd::SumChunks(const Dataset& data, std::span<const uint32_t> records) {
  const size_t most = network_.most_records();
  bool first = true;
  while (!records.empty()) {
    const size_t chunks = (records.size() + most - 1) / most;
    const size_t threads = std::min(chunks, scratch_.size());
    OnThreads(threads, [&](size_t thread) {
      const auto chunk = records.subspan(thread * most);
      sums_[thread].Reserve(weights_.size());
      // The first of these chunks follows all that have been added up.
      const Then then = thread == 0 && !first ? Then::kAdd : Then::kStore;
      network_.Backpropagate(weights_.data(), data, chunk.first(std::min(chunk.size(), most)),
                             {.then = then, .to = sums_[thread].data()}, scratch_[thread]);
    });
    AddSums(threads);
    first = false;
    records = records.subspan(std::min(records.size(), threads * most));
  }
}

void BatchSgd::AddSums(size_t threads) {
  if (threads == 1) return;
  dp::ForEachBlock(weights_.size(), static_cast<int>(threads), [&](const dp::Block& part) {
    for (size_t thread = 1; thread < threads; ++thread) {
      network_.kernels().apply(Then::kAdd, 0, sums_[thread].data() + part.first,
                               sums_[0].data() + part.first, part.size);
    }
  });
}

}  // namespace dure
