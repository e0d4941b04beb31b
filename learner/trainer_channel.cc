#include "learner/trainer_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "federation/model_metrics.h"
#include "learner/local_plan.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

// Room for the largest number of descriptors in one control message.
constexpr size_t kControlBytes = CMSG_SPACE(kMaxTrainerDescriptors * sizeof(int));
constexpr int kSharedSeals = F_SEAL_SHRINK | F_SEAL_GROW;

// Waits until `socket` is ready for `events`.
absl::Status WaitFor(int socket, short events, absl::Time deadline) {
  for (;;) {
    pollfd entry = {.fd = socket, .events = events, .revents = 0};
    const absl::Duration left = std::max(absl::ZeroDuration(), deadline - absl::Now());
    // Rounded up, so that a wait of less than a millisecond does not spin; in slices below an hour.
    const auto ms =
        deadline == absl::InfiniteFuture()
            ? -1
            : static_cast<int>(std::min<int64_t>(
                  3'600'000, absl::ToInt64Milliseconds(left) + (left > absl::ZeroDuration())));
    const int ready = poll(&entry, 1, ms);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "cannot wait for the other process");
    if (ready == 0 && absl::Now() >= deadline) {
      return absl::DeadlineExceededError("the other process did not answer in time");
    }
  }
}

absl::Status Gone() { return absl::UnavailableError("the other process has ended"); }

}  // namespace

absl::Status SendTrainerPacket(int socket, std::string_view bytes, std::span<const int> descriptors,
                               absl::Duration timeout) {
  if (bytes.empty() || bytes.size() > kMaxTrainerPacketBytes ||
      descriptors.size() > kMaxTrainerDescriptors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a packet of ", bytes.size(), " bytes with ", descriptors.size(), " descriptors (1 to ",
        kMaxTrainerPacketBytes, ", at most ", kMaxTrainerDescriptors, ")"));
  }
  iovec part = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return absl::OkStatus();
    if (errno == EAGAIN) {
      DURE_RETURN_IF_ERROR(WaitFor(socket, POLLOUT, deadline));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Gone();
    } else if (errno != EINTR) {
      return ErrnoStatus(errno, "cannot send to the other process");
    }
  }
}

absl::StatusOr<TrainerPacket> ReceiveTrainerPacket(int socket, size_t max_descriptors,
                                                   absl::Duration timeout) {
  DURE_CHECK(max_descriptors <= kMaxTrainerDescriptors);
  const absl::Time deadline = absl::Now() + timeout;
  TrainerPacket packet;
  packet.bytes.resize(kMaxTrainerPacketBytes);
  alignas(cmsghdr) std::array<char, kControlBytes> control = {};
  msghdr message = {};
  iovec part = {.iov_base = packet.bytes.data(), .iov_len = packet.bytes.size()};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (max_descriptors > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(max_descriptors * sizeof(int));
  }
  ssize_t got;
  for (;;) {
    DURE_RETURN_IF_ERROR(WaitFor(socket, POLLIN, deadline));
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got >= 0) break;
    if (errno == ECONNRESET) return Gone();
    if (errno != EINTR && errno != EAGAIN) {
      return ErrnoStatus(errno, "cannot receive from the other process");
    }
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor;
      std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      packet.descriptors.emplace_back(descriptor);
    }
  }
  // An empty packet is never sent: it is the end of the stream.
  if (got == 0) return Gone();
  if (message.msg_flags & MSG_TRUNC) {
    return absl::InvalidArgumentError(
        absl::StrCat("a packet of more than ", kMaxTrainerPacketBytes, " bytes"));
  }
  packet.bytes.resize(static_cast<size_t>(got));
  return packet;
}

bool TrainerPacketWaits(int socket) {
  pollfd entry = {.fd = socket, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) > 0;
}

SharedMemory::SharedMemory(FileDescriptor descriptor, void* data, size_t size)
    : descriptor_(std::move(descriptor)), data_(data), size_(size) {}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

absl::StatusOr<SharedMemory> SharedMemory::Create(const char* name, size_t bytes, Peer peer) {
  FileDescriptor descriptor(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!descriptor.valid() || ftruncate(descriptor.get(), static_cast<off_t>(bytes)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", bytes, " bytes of shared memory"));
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (data == MAP_FAILED) {
    return ErrnoStatus(errno, absl::StrCat("cannot map ", bytes, " bytes of shared memory"));
  }
  SharedMemory memory(std::move(descriptor), data, bytes);
  // FUTURE_WRITE: the mapping made above stays writable, no other can be.
  const int seals = kSharedSeals | (peer == Peer::kReads ? F_SEAL_FUTURE_WRITE : 0) | F_SEAL_SEAL;
  if (fcntl(memory.descriptor(), F_ADD_SEALS, seals) != 0) {
    return ErrnoStatus(errno, "cannot seal shared memory");
  }
  return memory;
}

absl::StatusOr<SharedMemory> SharedMemory::Map(FileDescriptor descriptor, size_t bytes,
                                               bool writable) {
  struct stat info;
  if (fstat(descriptor.get(), &info) != 0) return ErrnoStatus(errno, "cannot see shared memory");
  if (info.st_size < 0 || static_cast<uint64_t>(info.st_size) != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("shared memory of ", info.st_size, " bytes where ", bytes, " are needed"));
  }
  const int seals = fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSharedSeals) != kSharedSeals) {
    return absl::InvalidArgumentError("shared memory whose size is not sealed");
  }
  const int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  void* data = mmap(nullptr, bytes, protection, MAP_SHARED, descriptor.get(), 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, "cannot map shared memory");
  return SharedMemory(std::move(descriptor), data, bytes);
}

namespace {

std::string Printable(const std::string& text) {
  std::string clean = text.substr(0, kMaxTrainerTextBytes);
  for (char& c : clean) {
    if (c < ' ' || c > '~') c = '?';
  }
  return clean;
}

absl::Status Nonsense(const std::string& what) {
  return absl::InternalError(absl::StrCat("the trainer answered nonsense: ", what));
}

// The status that the trainer reports; it may only blame its input.
absl::Status ReportedError(const TrainerError& error) {
  const auto code = static_cast<absl::StatusCode>(error.code());
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
      return absl::Status(code, Printable(error.text()));
    default:
      return Nonsense(absl::StrCat("error code ", error.code()));
  }
}

absl::StatusOr<TrainerReply> ParseReply(std::string_view bytes, TrainerReply::KindCase wanted) {
  TrainerReply reply;
  if (bytes.size() > kMaxTrainerPacketBytes ||
      !reply.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Nonsense("bytes that are no reply");
  }
  if (reply.kind_case() == TrainerReply::kError) return ReportedError(reply.error());
  if (reply.kind_case() != wanted) return Nonsense("another reply than was asked for");
  return reply;
}

// What the trainer says it trains, which must be what `wanted` asks for.
absl::StatusOr<ParamManifest> ReadParams(const TrainerLoaded& loaded,
                                         const ParamManifest& wanted) {
  ParamManifest named;
  for (const TrainerLoaded::Param& param : loaded.params()) {
    ParamEntry entry{.name = Printable(param.name()),
                     .shape = {param.shape().begin(), param.shape().end()}};
    uint64_t size = 1;
    for (uint64_t side : entry.shape) {
      if (__builtin_mul_overflow(size, side, &size) || size > kMaxModelParams) {
        return Nonsense(absl::StrCat("a shape of ", entry.name, " that is too large"));
      }
    }
    named.params.push_back(std::move(entry));
  }
  if (!FitsManifest(named, wanted)) return Nonsense("other parameters than the model has");
  return named;
}

}  // namespace

absl::StatusOr<LoadedReply> ParseLoadedReply(std::string_view bytes, const ParamManifest& manifest,
                                             uint32_t classes) {
  DURE_ASSIGN_OR_RETURN(TrainerReply reply, ParseReply(bytes, TrainerReply::kLoaded));
  const TrainerLoaded& loaded = reply.loaded();
  LoadedReply result;
  DURE_ASSIGN_OR_RETURN(result.manifest, ReadParams(loaded, manifest));
  result.data.records = loaded.records();
  result.data.label_counts.assign(loaded.label_counts().begin(), loaded.label_counts().end());
  uint64_t sum = 0;
  for (uint64_t count : result.data.label_counts) {
    if (__builtin_add_overflow(sum, count, &sum)) return Nonsense("label counts that overflow");
  }
  if (loaded.records() == 0 || loaded.records() > UINT32_MAX ||
      result.data.label_counts.size() != classes || (classes > 0 && sum != loaded.records())) {
    return Nonsense("label counts that do not add up");
  }
  if (static_cast<size_t>(loaded.sandbox_size()) > kMaxSandboxLayers) {
    return Nonsense("too many sandbox layers");
  }
  for (const TrainerLoaded::Layer& layer : loaded.sandbox()) {
    result.sandbox.push_back({Printable(layer.name()), layer.applied(), Printable(layer.detail())});
  }
  return result;
}

absl::Status ParseTrainedReply(std::string_view bytes, uint64_t records) {
  DURE_ASSIGN_OR_RETURN(TrainerReply reply, ParseReply(bytes, TrainerReply::kTrained));
  if (reply.trained().records() != records) return Nonsense("another number of records");
  return absl::OkStatus();
}

absl::StatusOr<ModelMetrics> ParseEvaluatedReply(std::string_view bytes, uint64_t records) {
  DURE_ASSIGN_OR_RETURN(TrainerReply reply, ParseReply(bytes, TrainerReply::kEvaluated));
  const ModelMetrics& metrics = reply.evaluated().metrics();
  if (metrics.records() != records) return Nonsense("another number of records");
  if (const absl::Status status = CheckMetrics(metrics); !status.ok()) {
    return Nonsense(std::string(status.message()));
  }
  return metrics;
}

absl::Status CheckUpdate(std::span<const int64_t> update, uint64_t records, double clip_norm,
                         int scale_log2) {
  const double bound =
      static_cast<double>(records) * std::ldexp(clip_norm, dp::kFixedPointLog2 + scale_log2);
  double sum_of_squares = 0;
  for (int64_t value : update) {
    const auto real = static_cast<double>(value);
    sum_of_squares += real * real;
  }
  // The L2 norm of a sum of clipped gradients; binary64 is off by far less than the slack.
  if (!(std::sqrt(sum_of_squares) <= bound * (1 + 1e-9))) {
    return Nonsense("an update larger than clipped gradients can be");
  }
  return absl::OkStatus();
}

absl::Status CheckUpdate(std::span<const float> update) {
  // What is not a number fails every comparison.
  if (!std::all_of(update.begin(), update.end(), [](float value) {
        return std::abs(static_cast<double>(value)) <= kMaxLocalChange * (1 + 1e-6);
      })) {
    return Nonsense("an update that is not finite");
  }
  return absl::OkStatus();
}

}  // namespace dure
