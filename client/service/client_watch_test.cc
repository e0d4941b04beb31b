#include "client/service/client_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/random.h"
#include "transport/backoff.h"
#include "transport/connect_fault.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

// A watch whose strand, clock, machine and network are the test's.
class ClientWatchTest : public ::testing::Test {
 protected:
  ClientWatchTest() : clock_(kStart) {
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    SystemRandom random;
    node_ = std::make_unique<Node>(Node{.folder = folder_,
                                        .membership = {.address = "coordinator:7000"},
                                        .key = SigningKey::Generate(random)});
    watch_ = std::make_unique<ClientWatch>(
        node_.get(), &clock_,
        ClientWatch::Owner{
            .send =
                [this](ClientMessage message) {
                  sent_.push_back(message.availability().available());
                },
            .end_training = [this] { ++ended_; },
            .tell = [this](member::Tell::Level, std::string text) { told_.push_back(text); },
            .post =
                [this](Strand::Task task) {
                  std::lock_guard lock(mutex_);
                  posted_.push_back(std::move(task));
                  changed_.notify_all();
                },
            .post_after = [this](absl::Duration, Strand::Task task) { timer_ = std::move(task); },
            .look_at_address = [this] { return seen_; },
            .look_at_machine =
                [this](const GuestLimits&) {
                  MachineState state = machine_;
                  state.now = clock_.Now();
                  return state;
                },
            .even_now = [this] { return clock_.Now(); }});
    watch_->Start();
  }
  ~ClientWatchTest() override {
    watch_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Advance(absl::Duration by) {
    clock_.Advance(by);
    timer_();
  }
  void RunPosted() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return !posted_.empty(); });
    ASSERT_FALSE(posted_.empty());
    const Strand::Task task = std::move(posted_.back());
    posted_.pop_back();
    lock.unlock();
    task();
  }

  const std::string folder_ = ::testing::TempDir() + "client_watch_test";
  ManualClock clock_;
  MachineState machine_;
  AddressLook seen_;
  std::unique_ptr<Node> node_;
  std::vector<bool> sent_;
  std::vector<std::string> told_;
  int ended_ = 0;
  Strand::Task timer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Strand::Task> posted_;
  std::unique_ptr<ClientWatch> watch_;
};

TEST_F(ClientWatchTest, ADayWithoutACoordinatorIsALineAnHour) {
  SystemRandom random;
  Backoff backoff(&random);
  while (clock_.Now() < kStart + absl::Hours(24)) {
    const absl::Duration wait = backoff.Next();
    watch_->Disconnected(absl::UnavailableError("cannot reach the coordinator"), wait);
    clock_.Advance(wait);
    watch_->Dialling();
  }
  EXPECT_GE(told_.size(), 24u);
  EXPECT_LE(told_.size(), 25u);
  EXPECT_THAT(told_[0], HasSubstr("next attempt in 1 second; it is tried again for as long"));
}

TEST_F(ClientWatchTest, TheCoordinatorHearsOfAPauseAndOfItsEnd) {
  watch_->Connected("");
  EXPECT_TRUE(sent_.empty()) << "without a word a member may be asked";
  ASSERT_TRUE(watch_->SetPaused(true).ok());
  ASSERT_TRUE(watch_->SetPaused(true).ok());
  EXPECT_THAT(sent_, ElementsAre(false));
  EXPECT_EQ(watch_->Report().now().reason(), "paused");
  // A new connection knows nothing of it.
  watch_->Disconnected(absl::UnavailableError("broke"), absl::Seconds(1));
  watch_->Connected("");
  EXPECT_THAT(sent_, ElementsAre(false, false));
  ASSERT_TRUE(watch_->SetPaused(false).ok());
  EXPECT_THAT(sent_, ElementsAre(false, false, true));
}

TEST_F(ClientWatchTest, APauseOutlivesTheProcess) {
  ASSERT_TRUE(watch_->SetPaused(true).ok());
  EXPECT_TRUE(IsPausedHere(folder_));
}

TEST_F(ClientWatchTest, OnBatteryTrainingEndsAfterAMinute) {
  watch_->Connected("");
  watch_->TrainingBegins();
  machine_.on_battery = true;
  Advance(ClientWatch::kInterval);
  EXPECT_EQ(ended_, 0);
  EXPECT_EQ(watch_->Report().now().reason(), "training");
  Advance(kPauseGrace - absl::Seconds(1));
  EXPECT_EQ(ended_, 0);
  Advance(absl::Seconds(1));
  EXPECT_EQ(ended_, 1);
  Advance(ClientWatch::kInterval);
  EXPECT_EQ(ended_, 1) << "once a training";
  watch_->TrainingEnds();
  EXPECT_EQ(watch_->Report().now().reason(), "on_battery");
}

TEST_F(ClientWatchTest, WhatWasAskedForLetsTrainingEndByItself) {
  watch_->TrainingBegins();
  ASSERT_TRUE(watch_->SetPaused(true).ok());
  for (int i = 0; i < 100; ++i) Advance(ClientWatch::kInterval);
  EXPECT_EQ(ended_, 0);
}

TEST_F(ClientWatchTest, LimitsAreReadAgainWhenTheyChange) {
  GuestFile file;
  file.limits.hours = *Hours::Parse("sat");  // it is a Friday
  file.origins["hours"] = "set here";
  ASSERT_TRUE(WriteGuestFile(folder_, file).ok());
  watch_->Connected("");
  Advance(ClientWatch::kInterval);
  EXPECT_EQ(watch_->Report().now().reason(), "outside_hours");
  ASSERT_TRUE(WriteFileAtomic(GuestPath(folder_), "{").ok());
  Advance(ClientWatch::kInterval);
  EXPECT_THAT(told_.back(), HasSubstr("guest.json is damaged"));
  EXPECT_EQ(watch_->Report().now().reason(), "outside_hours");
}

TEST_F(ClientWatchTest, WhoAnswersInThePlaceOfTheCoordinatorIsLookedAtAndNamed) {
  seen_.tls = absl::UnauthenticatedError("expected CA AB, got issuer CD");
  const absl::Status fault =
      MarkNotCoordinator(absl::UnauthenticatedError("it is not the coordinator"));
  watch_->Disconnected(fault, absl::Seconds(5));
  RunPosted();
  EXPECT_EQ(watch_->Report().now().reason(), "tls_intercepted");
  EXPECT_THAT(told_.back(), HasSubstr("expected CA AB, got issuer CD; next attempt in 5 seconds"));
  watch_->Disconnected(fault, absl::Seconds(5));
  EXPECT_EQ(told_.size(), 1u) << "once an hour";
}

TEST_F(ClientWatchTest, AClockThatIsWrongIsToldAtTheWelcome) {
  watch_->Connected("");
  ServerMessage welcome;
  welcome.mutable_welcome()->set_time_unix_ms(
      absl::ToUnixMillis(kStart + absl::Minutes(11) + absl::Seconds(5)));
  watch_->Heard(welcome);
  EXPECT_THAT(told_.back(), HasSubstr("this machine's clock is off by 11 minutes"));
  ASSERT_EQ(watch_->Report().notes_size(), 1);
  EXPECT_EQ(watch_->Report().notes(0).reason(), "clock_off");
}

TEST_F(ClientWatchTest, AStandingHoldsUntilSomethingElseIsSaid) {
  watch_->Connected("");
  ServerMessage message;
  message.mutable_standing()->set_state(Standing::NOT_SELECTED);
  watch_->Heard(message);
  EXPECT_EQ(watch_->Report().now().reason(), "not_selected");
  ServerMessage offer;
  offer.mutable_offer();
  watch_->Heard(offer);
  EXPECT_EQ(watch_->Report().now().reason(), "ready");
}

TEST_F(ClientWatchTest, ALimitOfBandwidthMakesTheNextWait) {
  GuestFile file;
  file.limits.max_upload = 65536;
  file.origins["max_upload"] = "set here";
  EXPECT_EQ(watch_->TakeUpload(1 << 30), absl::ZeroDuration());
  ASSERT_TRUE(WriteGuestFile(folder_, file).ok());
  Advance(ClientWatch::kInterval);
  EXPECT_EQ(watch_->TakeUpload(65536), absl::ZeroDuration());
  EXPECT_EQ(watch_->TakeUpload(65536), absl::Seconds(1));
}

}  // namespace
}  // namespace dure
