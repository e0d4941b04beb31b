// A model that is too long for a message: fetched by its digest into a file without a name, on a
// thread of its own, for as long as it takes and over as many connections. An attempt that begins
// again with the same model goes on with the same download. Thread-safe.
#ifndef DURE_CLIENT_SERVICE_MODEL_DOWNLOAD_H_
#define DURE_CLIENT_SERVICE_MODEL_DOWNLOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/byte_source.h"
#include "base/strand.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "transport/client.h"

namespace dure {

class ModelDownload {
 public:
  // Called on this class's thread, once for each Want() that no other has followed.
  using Done =
      std::function<void(const Digest& sha256, absl::StatusOr<std::shared_ptr<const ByteSource>>)>;

  // The file is in `folder`. `random` is borrowed.
  ModelDownload(std::string folder, Random* random, Done done)
      : folder_(std::move(folder)), random_(random), done_(std::move(done)) {}
  // Waits for what is under way to notice that it is not wanted.
  ~ModelDownload();

  // Fetches the bytes with that SHA-256, of which there are `bytes`; those that are here are done
  // at once, and those that are coming come on. What was wanted before is wanted no more. Errors as
  // FetchPatiently, or of the disk.
  void Want(const FetchSource& source, const Digest& sha256, uint64_t bytes);

  // Bytes a second of what comes from here on; 0: no limit.
  void set_rate(uint64_t bytes_per_second) { rate_ = bytes_per_second; }

  // Of what is coming, or came last.
  uint64_t received_bytes() const { return received_; }

 private:
  void Run(const FetchSource& source, const Digest& sha256, uint64_t bytes, uint64_t wanted);

  const std::string folder_;
  Random* const random_;
  const Done done_;
  std::mutex mutex_;
  std::optional<Digest> coming_;
  std::atomic<uint64_t> wanted_ = 0;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<uint64_t> rate_ = 0;
  // On the thread: the newest that is whole.
  Digest sha256_{};
  std::shared_ptr<const ByteSource> file_;
  std::unique_ptr<Strand> thread_;  // made when it is needed
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_MODEL_DOWNLOAD_H_
