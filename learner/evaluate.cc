#include "learner/evaluate.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "learner/on_threads.h"

namespace dure {

EvalResult EvaluateNetwork(const Network& network, const Dataset& data, int threads) {
  DURE_CHECK(data.records() > 0 && threads >= 1);
  // Added up in the order of the records, whoever computed them.
  std::vector<Outcome> outcomes(data.records());
  const size_t workers = std::min<size_t>(static_cast<size_t>(threads), data.records());
  OnThreads(workers, [&](size_t worker) {
    NetworkWorkspace workspace = network.MakeWorkspace();
    for (size_t i = worker; i < outcomes.size(); i += workers) {
      outcomes[i] = Judge(network.Logits(data.Record(i), &workspace), data.labels[i]);
    }
  });
  double loss = 0;
  uint64_t right = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    loss += outcomes[i].loss;
    right += outcomes[i].predicted == data.labels[i];
  }
  const auto records = static_cast<double>(data.records());
  return {.loss = loss / records,
          .accuracy = static_cast<double>(right) / records,
          .records = data.records()};
}

}  // namespace dure
