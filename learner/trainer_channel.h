// What the client and its trainer speak over: packets of a SOCK_SEQPACKET socket, descriptors
// passed with them, and memory shared through sealed memfds. No LibTorch. The parsers at the end
// are the client's: they treat the trainer as hostile. Thread-safe: pure functions, and values.
#ifndef DURE_LEARNER_TRAINER_CHANNEL_H_
#define DURE_LEARNER_TRAINER_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "learner/trainer.h"
#include "proto/trainer.pb.h"

namespace dure {

inline constexpr size_t kMaxTrainerPacketBytes = size_t{1} << 16;
// Images, labels, parameters, update; then module, vocabulary and schema, where there are such.
inline constexpr size_t kTrainerDescriptors = 4;
inline constexpr size_t kMaxTrainerDescriptors = 7;
inline constexpr size_t kMaxRecordsPerPacket = 8192;
inline constexpr size_t kMaxTrainerTextBytes = 1000;
inline constexpr size_t kMaxSandboxLayers = 16;

struct TrainerPacket {
  std::string bytes;
  std::vector<FileDescriptor> descriptors;
};

// Sends one packet. `descriptors` are borrowed. InvalidArgument above a limit; Unavailable if the
// other end is gone; DeadlineExceeded if it takes nothing for `timeout`.
absl::Status SendTrainerPacket(int socket, std::string_view bytes, std::span<const int> descriptors,
                               absl::Duration timeout);

// Waits for one packet. Descriptors are taken only up to `max_descriptors`; others are closed by
// the kernel. Unavailable if the other end is gone; DeadlineExceeded; InvalidArgument if a packet
// is larger than kMaxTrainerPacketBytes.
absl::StatusOr<TrainerPacket> ReceiveTrainerPacket(int socket, size_t max_descriptors,
                                                   absl::Duration timeout);

// Whether a packet waits to be received, or the other end is gone. Does not wait.
bool TrainerPacketWaits(int socket);

// Memory that two processes share, of a size that neither can change.
class SharedMemory {
 public:
  enum class Peer { kReads, kWrites };

  // New zeros, writable here; a peer that only reads can map it only for reading.
  static absl::StatusOr<SharedMemory> Create(const char* name, size_t bytes, Peer peer);
  // What a peer created. InvalidArgument unless it is sealed and has exactly `bytes`.
  static absl::StatusOr<SharedMemory> Map(FileDescriptor descriptor, size_t bytes, bool writable);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  int descriptor() const { return descriptor_.get(); }
  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  SharedMemory(FileDescriptor descriptor, void* data, size_t size);

  FileDescriptor descriptor_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

// One thing the trainer gave up before it saw model or data, as it reported itself after trying to
// do what it should no longer be able to do.
struct SandboxLayer {
  std::string name;  // "no network", "no files", ...
  bool applied = false;
  std::string detail;  // why not, if it is not applied
};

// Layers that stand behind others: what one of these forbids is forbidden without it, too. A system
// that lacks it is told of, and no reason not to train.
inline constexpr char kNetworkNamespace[] = "own network namespace";
inline constexpr char kLandlock[] = "Landlock";
inline bool IsSpareLayer(std::string_view name) {
  return name == kNetworkNamespace || name == kLandlock;
}

struct LoadedReply {
  ParamManifest manifest;  // as asked for; of a TorchScript module with the names of its parameters
  DataSummary data;
  std::vector<SandboxLayer> sandbox;
};

// The client's parsers. Each returns what was asked for; or, if the trainer reports an error, that
// error as InvalidArgument, FailedPrecondition, NotFound, ResourceExhausted or Cancelled; or
// Internal for anything else: bytes that do not parse, another kind of reply, numbers out of range,
// counts that do not fit together. Texts are cut at kMaxTrainerTextBytes and hold printable
// characters only.
//
// `classes` is 0 where labels are no classes and none are counted.
absl::StatusOr<LoadedReply> ParseLoadedReply(std::string_view bytes, const ParamManifest& manifest,
                                             uint32_t classes);
// `records` as in TrainerTrained.
absl::Status ParseTrainedReply(std::string_view bytes, uint64_t records);
absl::StatusOr<ModelMetrics> ParseEvaluatedReply(std::string_view bytes, uint64_t records);

// Internal if a coordinate of `update` is larger than `records` clipped gradients can make it:
// records * F s C (privacy/dp/fixed_point.h).
absl::Status CheckUpdate(std::span<const int64_t> update, uint64_t records, double clip_norm,
                         int scale_log2);
// The same unless every coordinate is a finite number of at most kMaxLocalChange.
absl::Status CheckUpdate(std::span<const float> update);

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_CHANNEL_H_
