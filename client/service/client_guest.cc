// What ClientService has to do with its watch.
#include <memory>
#include <utility>

#include "client/service/client_service.h"

namespace dure {

void ClientService::BeginWatch() {
  watch_ = std::make_unique<ClientWatch>(
      &node_, &clock_,
      ClientWatch::Owner{
          .send =
              [this](ClientMessage message) {
                if (options_.before_send) options_.before_send(message);
                SendNow(std::move(message), nullptr);
              },
          .end_training = [this] { trainer_->Cancel(); },
          .tell = [this](member::Tell::Level level,
                         std::string text) { Tell(level, std::move(text)); },
          .post = [this](Strand::Task task) { strand_->Post(std::move(task)); },
          .post_after = [this](absl::Duration delay,
                               Strand::Task task) { strand_->PostAfter(delay, std::move(task)); },
          .look_at_machine = options_.look_at_machine});
  watch_->Start();
}

}  // namespace dure
