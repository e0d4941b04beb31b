#include "transport/stream_pump.h"

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/strand.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Pump = StreamPump<std::string>;

// Writes down what is started; with `reenter`, writes end inside StartWrite, as gRPC's may.
struct Operations final : StreamOperations<std::string> {
  void StartRead() override { log.push_back("read"); }
  void StartWrite(const std::string& message) override {
    log.push_back("write " + message);
    if (reenter != nullptr) reenter->OnWriteDone(true);
  }
  void Cancel() override { log.push_back("cancel"); }
  void EndWrites() override { log.push_back("end writes"); }
  void Release() override { log.push_back("release"); }
  std::vector<std::string> Take() { return std::exchange(log, {}); }

  std::vector<std::string> log;
  Pump* reenter = nullptr;
};

constexpr Pump::Options kServer = {StreamEnd::kServer, 10, 3};
constexpr Pump::Options kClient = {StreamEnd::kClient, 10, 3};

Pump::Sent Send(Pump& pump, std::string text) {
  size_t bytes = text.size();
  return pump.Send(std::make_shared<const std::string>(std::move(text)), bytes);
}

TEST(StreamPumpTest, NothingStartsBeforeBegin) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.AllowRead();
  Send(pump, "a");
  pump.End();
  EXPECT_THAT(operations.Take(), IsEmpty());
  pump.Begin();
  EXPECT_THAT(operations.Take(), ElementsAre("write a", "read"));
}

TEST(StreamPumpTest, OneWriteAndOneReadAtATime) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.Begin();
  Send(pump, "a");
  Send(pump, "b");
  pump.AllowRead();
  pump.AllowRead();
  EXPECT_THAT(operations.Take(), ElementsAre("write a", "read"));
  pump.OnWriteDone(true);
  EXPECT_THAT(operations.Take(), ElementsAre("write b"));
  pump.OnReadDone(true);
  EXPECT_THAT(operations.Take(), ElementsAre("read"));
}

TEST(StreamPumpTest, WritesThatEndAtOnceKeepTheOrder) {
  Operations operations;
  Pump pump(&operations, kServer);
  Send(pump, "a");
  Send(pump, "b");
  operations.reenter = &pump;
  pump.Begin();
  Send(pump, "c");
  pump.End();
  EXPECT_THAT(operations.Take(),
              ElementsAre("write a", "write b", "write c", "end writes", "release"));
}

TEST(StreamPumpTest, TheQueueHasLimits) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.Begin();
  EXPECT_EQ(Send(pump, "longer than the limit"), Pump::Sent::kQueued);
  EXPECT_EQ(Send(pump, "a"), Pump::Sent::kFull);
  pump.OnWriteDone(true);
  EXPECT_EQ(Send(pump, "12345"), Pump::Sent::kQueued);
  EXPECT_EQ(Send(pump, "678901"), Pump::Sent::kFull);
  EXPECT_EQ(Send(pump, "6"), Pump::Sent::kQueued);
  EXPECT_EQ(Send(pump, "7"), Pump::Sent::kQueued);
  EXPECT_EQ(Send(pump, "8"), Pump::Sent::kFull);
}

TEST(StreamPumpTest, AServerEndsAfterItsQueue) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.AllowRead();
  Send(pump, "a");
  pump.Begin();
  pump.End();
  EXPECT_EQ(Send(pump, "b"), Pump::Sent::kEnded);
  EXPECT_THAT(operations.Take(), ElementsAre("write a", "read"));
  pump.OnWriteDone(true);
  EXPECT_THAT(operations.Take(), ElementsAre("end writes", "release"));
  pump.OnReadDone(false);
  pump.AllowRead();
  EXPECT_THAT(operations.Take(), IsEmpty());
}

TEST(StreamPumpTest, AServerAbortsWithoutItsQueue) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.Begin();
  pump.Abort();
  EXPECT_THAT(operations.Take(), ElementsAre("end writes", "release"));
}

TEST(StreamPumpTest, AServerCancelsAWriteThatIsUnderWay) {
  Operations operations;
  Pump pump(&operations, kServer);
  pump.Begin();
  Send(pump, "a");
  Send(pump, "b");
  operations.Take();
  pump.Abort();
  pump.Abort();
  EXPECT_THAT(operations.Take(), ElementsAre("cancel"));
  EXPECT_EQ(Send(pump, "c"), Pump::Sent::kEnded);
  pump.OnWriteDone(false);
  EXPECT_THAT(operations.Take(), ElementsAre("end writes", "release"));
}

TEST(StreamPumpTest, AClientReadsOnAfterItsLastWrite) {
  Operations operations;
  Pump pump(&operations, kClient);
  pump.Begin();
  pump.AllowRead();
  Send(pump, "a");
  pump.End();
  pump.OnWriteDone(true);
  EXPECT_THAT(operations.Take(), ElementsAre("read", "write a", "end writes"));
  pump.OnReadDone(true);
  pump.AllowRead();
  EXPECT_THAT(operations.Take(), ElementsAre("read"));
  pump.OnReadDone(false);
  EXPECT_THAT(operations.Take(), ElementsAre("release"));
}

TEST(StreamPumpTest, AClientWritesNothingAfterTheCallHasEnded) {
  Operations operations;
  Pump pump(&operations, kClient);
  pump.Begin();
  pump.AllowRead();
  Send(pump, "a");
  Send(pump, "b");
  operations.Take();
  pump.OnReadDone(false);
  EXPECT_THAT(operations.Take(), IsEmpty());
  pump.OnWriteDone(false);
  EXPECT_THAT(operations.Take(), ElementsAre("release"));
  EXPECT_EQ(Send(pump, "c"), Pump::Sent::kEnded);
  pump.End();
  EXPECT_THAT(operations.Take(), IsEmpty());
}

TEST(StreamPumpTest, AClientReadsOnAfterAWriteThatFailed) {
  Operations operations;
  Pump pump(&operations, kClient);
  pump.Begin();
  Send(pump, "a");
  Send(pump, "b");
  pump.OnWriteDone(false);
  EXPECT_EQ(Send(pump, "c"), Pump::Sent::kEnded);
  pump.End();
  pump.AllowRead();
  EXPECT_THAT(operations.Take(), ElementsAre("write a", "read"));
  pump.OnReadDone(false);
  EXPECT_THAT(operations.Take(), ElementsAre("release"));
}

TEST(StreamPumpTest, AClientCancelsEvenBeforeItsBegin) {
  Operations operations;
  Pump pump(&operations, kClient);
  pump.Abort();
  EXPECT_THAT(operations.Take(), ElementsAre("cancel"));
  pump.Begin();
  EXPECT_THAT(operations.Take(), ElementsAre("release"));
}

TEST(StreamPumpTest, ACallThatEndedByItselfIsNotCancelled) {
  Operations operations;
  Pump pump(&operations, kClient);
  Send(pump, "a");
  pump.OnCallOver();
  pump.Begin();
  EXPECT_THAT(operations.Take(), ElementsAre("release"));
  EXPECT_EQ(Send(pump, "b"), Pump::Sent::kEnded);
}

TEST(StreamPumpTest, AClientWithACreditOutstandingCanAbort) {
  Operations operations;
  Pump pump(&operations, kClient);
  pump.Begin();
  pump.AllowRead();
  pump.OnReadDone(true);
  operations.Take();
  pump.Abort();
  EXPECT_THAT(operations.Take(), ElementsAre("cancel", "release"));
  pump.AllowRead();
  EXPECT_THAT(operations.Take(), IsEmpty());
}

TEST(StreamPumpTest, ManyThreadsMaySendAtOnce) {
  // Ends every write on another thread, and notices if two overlap.
  struct Slow final : StreamOperations<std::string> {
    void StartRead() override {}
    void StartWrite(const std::string& message) override {
      EXPECT_EQ(under_way.fetch_add(1), 0);
      strand.Post([this, bytes = message.size()] {
        written += bytes;
        under_way.fetch_sub(1);
        pump->OnWriteDone(true);
      });
    }
    void Cancel() override {}
    void EndWrites() override {}
    void Release() override { released.set_value(); }

    Pump* pump = nullptr;
    std::atomic<int> under_way = 0;
    std::atomic<size_t> written = 0;
    std::promise<void> released;
    Strand strand;
  };
  constexpr size_t kThreads = 4, kMessages = 250;
  Slow operations;
  Pump pump(&operations, {StreamEnd::kServer, 1 << 20, kThreads * kMessages});
  operations.pump = &pump;
  pump.Begin();
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < kMessages; ++i) EXPECT_EQ(Send(pump, "x"), Pump::Sent::kQueued);
    });
  }
  for (std::thread& thread : threads) thread.join();
  pump.End();
  operations.released.get_future().wait();
  EXPECT_EQ(operations.written, kThreads * kMessages);
}

}  // namespace
}  // namespace dure
