// Models that are too long for a message, for members to fetch by their digest: in files without a
// name beside the state, so that they are not in this process's memory. The newest are kept.
// Not thread-safe: lives on the coordinator's strand.
#ifndef DURE_COORDINATOR_SERVICE_PUBLISHED_MODELS_H_
#define DURE_COORDINATOR_SERVICE_PUBLISHED_MODELS_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_source.h"
#include "base/nameless_file.h"
#include "crypto/digest.h"

namespace dure {

class PublishedModels {
 public:
  explicit PublishedModels(std::string folder) : folder_(std::move(folder)) {}

  // model || state, which have the SHA-256 `sha256`.
  absl::Status Publish(const Digest& sha256, const std::string& model, const std::string& state);
  // Null if it was not published, or not lately.
  const ByteSource* Find(const Digest& sha256) const;

 private:
  struct Model {
    Digest sha256{};
    NamelessFile file;
  };
  const std::string folder_;
  std::deque<Model> models_;  // the newest last
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_PUBLISHED_MODELS_H_
