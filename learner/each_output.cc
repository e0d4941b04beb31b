#include "learner/each_output.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"
#include "learner/on_threads.h"

namespace dure {
namespace {

// Fewer are not worth making what runs several at once.
constexpr uint64_t kWorthBatches = 32;

using Visit = std::function<void(size_t, uint64_t, std::span<const float>)>;

void OneByOne(const TrainableModel& model, const DataView& data, size_t thread, size_t threads,
              const Visit& visit) {
  const std::unique_ptr<ModelWorkspace> workspace = model.MakeWorkspace();
  for (uint64_t i = thread; i < data.records(); i += threads) {
    visit(thread, i, model.Outputs(data.Record(i), *workspace));
  }
}

void InBatches(BatchOutputs& batches, const DataView& data, size_t thread, size_t threads,
               const Visit& visit) {
  const uint64_t most = batches.most();
  std::vector<uint32_t> places;
  for (uint64_t first = thread * most; first < data.records(); first += threads * most) {
    const uint64_t count = std::min(most, data.records() - first);
    places.resize(count);
    for (uint64_t i = 0; i < count; ++i) {
      places[i] = static_cast<uint32_t>(data.place(first + i));
    }
    batches.Run(data.dataset(), places);
    for (uint64_t i = 0; i < count; ++i) visit(thread, first + i, batches.Of(i));
  }
}

}  // namespace

void ForEachOutput(const TrainableModel& model, const DataView& data, int threads,
                   const Visit& visit) {
  DURE_CHECK(threads >= 1);
  // Which way it goes must not depend on the threads: the two agree to rounding only.
  const bool worth = data.records() >= kWorthBatches;
  const size_t used =
      std::clamp<size_t>(static_cast<size_t>(threads), 1, std::max<uint64_t>(1, data.records()));
  OnThreads(used, [&](size_t thread) {
    const std::unique_ptr<BatchOutputs> batches = worth ? model.MakeBatchOutputs() : nullptr;
    if (batches != nullptr) {
      InBatches(*batches, data, thread, used, visit);
    } else {
      OneByOne(model, data, thread, used, visit);
    }
  });
}

}  // namespace dure
