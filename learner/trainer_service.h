// The trainer's side of the channel: one client, one model, one dataset, one request at a time.
// Not thread-safe.
#ifndef DURE_LEARNER_TRAINER_SERVICE_H_
#define DURE_LEARNER_TRAINER_SERVICE_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "learner/trainer_channel.h"
#include "learner/trainer_parts.h"

namespace dure {

// Where the client puts the socket.
inline constexpr int kTrainerSocket = 3;

class TrainerService {
 public:
  // `socket` is borrowed; `sandbox` is what TrainerLoaded will report. `parts` has both functions.
  TrainerService(int socket, std::vector<SandboxLayer> sandbox, TrainerParts parts);
  ~TrainerService();

  // Answers requests until the client goes: OK then, or what made it impossible to go on.
  absl::Status Run();

 private:
  struct Loaded;
  absl::StatusOr<TrainerReply> Answer(TrainerRequest request, TrainerPacket packet);
  absl::StatusOr<TrainerReply> Load(const TrainerLoad& load, TrainerPacket packet);
  absl::StatusOr<TrainerReply> Gradient(GradientPlan plan, TrainerTrain train);
  absl::StatusOr<TrainerReply> Train(TrainerRequest request);
  absl::StatusOr<TrainerReply> Sums(const LocalPlan& plan);
  absl::StatusOr<TrainerReply> Evaluate();
  void TellTrouble();

  int socket_;
  std::vector<SandboxLayer> sandbox_;
  TrainerParts parts_;
  std::unique_ptr<Loaded> loaded_;
  bool told_trouble_ = false;
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_SERVICE_H_
