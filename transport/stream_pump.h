// The order of operations on one stream of gRPC's callback interface, for either end. gRPC wants
// one read and one write at a time and nothing after the last operation, while messages to send,
// finished operations and reasons to stop come on any thread. The pump keeps the queue and the
// rules; it knows neither gRPC nor sockets.
//
// Thread-safe. Operations are started by one thread at a time and without the lock, because gRPC
// may call back from inside them.
#ifndef DURE_TRANSPORT_STREAM_PUMP_H_
#define DURE_TRANSPORT_STREAM_PUMP_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "base/check.h"

namespace dure {

// What may be started on a stream.
template <typename Message>
class StreamOperations {
 public:
  virtual ~StreamOperations() = default;
  // Ends with OnReadDone of the pump.
  virtual void StartRead() = 0;
  // Ends with OnWriteDone of the pump; `message` lives until then.
  virtual void StartWrite(const Message& message) = 0;
  // Makes what is under way end soon. Once.
  virtual void Cancel() = 0;
  // Says that no write follows. Once, and not while a write is under way.
  virtual void EndWrites() = 0;
  // Says that no operation follows at all. Last, and once.
  virtual void Release() = 0;
};

// At the server's end EndWrites ends the call, and the reads with it. At the client's end reads go
// on until the server has ended the call.
enum class StreamEnd { kServer, kClient };

template <typename Message>
class StreamPump {
 public:
  struct Options {
    StreamEnd end;
    size_t max_bytes;
    size_t max_messages;
  };
  enum class Sent { kQueued, kFull, kEnded };

  // `operations` is borrowed. Nothing but Cancel is started before Begin.
  StreamPump(StreamOperations<Message>* operations, const Options& options)
      : operations_(operations), options_(options) {}

  // Lets operations start. Later calls do nothing.
  void Begin() {
    Change([this] { begun_ = true; });
  }

  // Queues a message of `bytes`. kFull, and nothing is queued, if that would pass a limit; an
  // empty queue takes a message of any length. kEnded after End or Abort.
  Sent Send(std::shared_ptr<const Message> message, size_t bytes) {
    Sent sent = Sent::kQueued;
    Change([&] {
      if (ending_ || aborted_) {
        sent = Sent::kEnded;
      } else if (!queue_.empty() && (queue_.size() >= options_.max_messages ||
                                     queued_bytes_ + bytes > options_.max_bytes)) {
        sent = Sent::kFull;
      } else {
        queue_.push_back({std::move(message), bytes});
        queued_bytes_ += bytes;
      }
    });
    return sent;
  }

  // Asks for one more read. Asking twice before it has begun is the same as once.
  void AllowRead() {
    Change([this] { read_wanted_ = true; });
  }

  // Ends the writes when the queue is empty.
  void End() {
    Change([this] { ending_ = true; });
  }

  // Drops what is queued and ends. At the server's end a write under way is cancelled, at the
  // client's end the call.
  void Abort() {
    Change([this] {
      AbortLocked();
      cancel_wanted_ = true;
    });
  }

  // The call has ended by itself: drops what is queued and ends, and cancels nothing, so that the
  // status that is under way is not lost.
  void OnCallOver() {
    Change([this] { AbortLocked(); });
  }

  // The read that was started is over. `ok` false: no read follows, the peer has ended its half.
  void OnReadDone(bool ok) {
    Change([this, ok] {
      DURE_CHECK(reading_);
      reading_ = false;
      if (ok) return;
      reads_ended_ = true;
      if (AtClient()) AbortLocked();  // the call is over
    });
  }

  // The write that was started is over. `ok` false: no further write can succeed. At the client's
  // end reads go on: what came before the end has to be read before the status arrives.
  void OnWriteDone(bool ok) {
    Change([this, ok] {
      DURE_CHECK(writing_);
      writing_ = false;
      queued_bytes_ -= queue_.front().bytes;
      queue_.pop_front();
      if (!ok) DropLocked();
      if (!ok && !AtClient()) reads_ended_ = true;
    });
  }

 private:
  enum class Next { kNothing, kRead, kWrite, kCancel, kEndWrites, kRelease };
  struct Entry {
    std::shared_ptr<const Message> message;
    size_t bytes;
  };

  void AbortLocked() {
    DropLocked();
    reads_ended_ = true;
  }

  // The message that is being written stays at the front of the queue.
  void DropLocked() {
    aborted_ = true;
    while (queue_.size() > (writing_ ? 1 : 0)) {
      queued_bytes_ -= queue_.back().bytes;
      queue_.pop_back();
    }
  }

  // Changes the state, then starts whatever has become possible, unless a caller further up or on
  // another thread is at it: that one sees the change.
  template <typename Function>
  void Change(Function change) {
    std::unique_lock lock(mutex_);
    change();
    if (pumping_) return;
    pumping_ = true;
    for (Next next = Choose(); next != Next::kNothing; next = Choose()) {
      const Message* message = next == Next::kWrite ? queue_.front().message.get() : nullptr;
      lock.unlock();
      switch (next) {
        case Next::kRead:
          operations_->StartRead();
          break;
        case Next::kWrite:
          operations_->StartWrite(*message);
          break;
        case Next::kCancel:
          operations_->Cancel();
          break;
        case Next::kEndWrites:
          operations_->EndWrites();
          break;
        case Next::kRelease:
          operations_->Release();
          break;
        case Next::kNothing:
          break;
      }
      lock.lock();
    }
    pumping_ = false;
  }

  // The next operation, already noted as begun.
  Next Choose() {
    if (released_) return Next::kNothing;
    if (cancel_wanted_ && !cancelled_ && (writing_ || AtClient())) {
      cancelled_ = true;
      return Next::kCancel;
    }
    if (!begun_) return Next::kNothing;
    if (!writing_ && !writes_ended_ && !queue_.empty()) {
      writing_ = true;
      return Next::kWrite;
    }
    if (read_wanted_ && !reading_ && !reads_ended_ && (!writes_ended_ || AtClient())) {
      read_wanted_ = false;
      reading_ = true;
      return Next::kRead;
    }
    if (writing_) return Next::kNothing;
    if (!writes_ended_ && queue_.empty() && ShouldEndWrites()) {
      writes_ended_ = true;
      return Next::kEndWrites;
    }
    if (AtClient() ? reads_ended_ : writes_ended_) {
      released_ = true;
      return Next::kRelease;
    }
    return Next::kNothing;
  }

  bool ShouldEndWrites() const {
    // At a client's end nobody listens any more when the reads have ended.
    return AtClient() ? ending_ && !aborted_ && !reads_ended_ : ending_ || aborted_;
  }

  bool AtClient() const { return options_.end == StreamEnd::kClient; }

  StreamOperations<Message>* const operations_;
  const Options options_;
  std::mutex mutex_;
  std::deque<Entry> queue_;
  size_t queued_bytes_ = 0;
  bool begun_ = false;
  bool pumping_ = false;
  bool read_wanted_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool cancel_wanted_ = false;
  bool cancelled_ = false;
  bool ending_ = false;
  bool aborted_ = false;
  bool reads_ended_ = false;
  bool writes_ended_ = false;
  bool released_ = false;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_STREAM_PUMP_H_
