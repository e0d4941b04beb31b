// The coordinator's side of SCAFFOLD (Karimireddy et al. 2020, algorithm 1): its control variate c,
// the mean over the population of what members keep, which travels beside the model and moves by
// the mean change of those who took part. Kept in one file with the state of the server optimiser,
// so that both are of one round. Not thread-safe.
#ifndef DURE_COORDINATOR_SERVER_CONTROL_H_
#define DURE_COORDINATOR_SERVER_CONTROL_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/terms/terms.h"

namespace dure {

class ServerControl {
 public:
  // Not used: there is no variate, and nothing changes.
  ServerControl() = default;
  // `dim` zeros, in a federation of `population` members.
  ServerControl(uint64_t dim, uint32_t population) : values_(dim), population_(population) {}

  bool used() const { return !values_.empty(); }
  std::span<const float> values() const { return values_; }

  // c += survivors / population * mean change. `mean_change` as it was added up, times
  // terms.control_scale. Precondition (DURE_CHECK): as long as c.
  void Move(std::span<const float> mean_change, uint32_t survivors, const RoundTerms& terms);

  // The state of the optimiser with the variate before it: docs/formats/optimizer-state.md. Not
  // used: the state of the optimiser as it is.
  std::string Save(std::string optimizer) const;
  // Takes the variate out of what Save wrote and returns the state of the optimiser. DataLoss, and
  // nothing changed, if it is not of this length.
  absl::StatusOr<std::string> Load(std::string_view saved);

 private:
  std::vector<float> values_;
  uint32_t population_ = 1;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVER_CONTROL_H_
