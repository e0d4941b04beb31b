#include "tests/world/recorder.h"

namespace dure {

// coordinator/mean_update.cc as it is, under another name (changes.cmake).
absl::StatusOr<MeanUpdate> UnrecordedMeanUpdate(std::vector<GroupSum> sums,
                                                const RoundTerms& terms,
                                                const std::string& rotation_seed, Random& random);

absl::StatusOr<MeanUpdate> ToMeanUpdate(std::vector<GroupSum> sums, const RoundTerms& terms,
                                        const std::string& rotation_seed, Random& random) {
  absl::StatusOr<MeanUpdate> update = UnrecordedMeanUpdate(sums, terms, rotation_seed, random);
  if (update.ok()) world::Recorder::Get().Open({sums, *update});
  return update;
}

namespace world {

Recorder& Recorder::Get() {
  static Recorder& recorder = *new Recorder();
  return recorder;
}

}  // namespace world
}  // namespace dure
