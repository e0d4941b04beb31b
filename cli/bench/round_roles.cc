// The processes of a round: a coordinator and members as people run them, but for the trainer.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"
#include "cli/exit_code.h"
#include "cli/memory.h"
#include "client/service/client_service.h"
#include "coordinator/service/coordinator_service.h"
#include "federation/manifest.h"

namespace dure::bench {
namespace {

constexpr uint64_t kRecords = 1000;

// Training that takes no time: the direction is zero.
class ZeroTrainer final : public Trainer {
 public:
  explicit ZeroTrainer(ParamManifest manifest) : manifest_(std::move(manifest)) {}
  const ParamManifest& manifest() const override { return manifest_; }
  const DataSummary& data() const override { return data_; }
  absl::StatusOr<LocalUpdate> Train(std::span<const float>, const LocalPlan& plan) override {
    if (std::holds_alternative<GradientPlan>(plan)) return std::vector<int64_t>(manifest_.dim());
    return std::vector<float>(manifest_.dim());
  }
  absl::StatusOr<ModelMetrics> Evaluate(std::span<const float>) override { return ModelMetrics(); }

 private:
  const ParamManifest manifest_;
  const DataSummary data_{.records = kRecords};
};

template <typename Service>
int WaitForEnd(Service& service) {
  std::optional<absl::Status> end;
  while (!end) end = service.Wait(absl::Seconds(60));
  Say(absl::StrCat(end->ok() ? "end " : "failed ", cli::OneLine(std::string(end->message()))));
  for (;;) pause();  // so that memory can be looked at
}

class RoundClock {
 public:
  void Saw(const run::Output& output) {
    if (const auto* send = std::get_if<run::SendTo>(&output)) {
      if (send->message->has_welcome()) Say("member");
      return;
    }
    const auto* write = std::get_if<run::Write>(&output);
    if (write == nullptr) return;
    if (std::holds_alternative<AttemptFailed>(write->fact)) Say("failed-attempt");
    const auto* released = std::get_if<RoundReleased>(&write->fact);
    if (released == nullptr) return;
    const double now = Now();
    Say(absl::StrFormat("round %.6f %u %u", now - last_, released->bytes_received,
                        released->bytes_sent));
    last_ = now;
  }

 private:
  double last_ = Now();
};

}  // namespace

int RunCoordinator(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return cli::kUsage;
  cli::GiveMemoryBack();
  absl::StatusOr<FederationFolder> federation = ReadFixtureFederation(arguments[0]);
  if (!federation.ok()) return cli::Fail(federation.status());
  RoundClock clock;
  CoordinatorOptions options;
  options.folder = federation->folder;
  options.after = [&](const run::Output& output) { clock.Saw(output); };
  auto service = CoordinatorService::Start(std::move(options), *std::move(federation));
  if (!service.ok()) return cli::Fail(service.status());
  Say("listening " + (*service)->listening());
  return WaitForEnd(**service);
}

int RunMember(const std::vector<std::string>& arguments) {
  uint32_t member = 0;
  if (arguments.size() != 3 || !absl::SimpleAtoi(arguments[1], &member)) return cli::kUsage;
  absl::StatusOr<Node> node = ReadFixtureNode(arguments[0], member);
  if (!node.ok()) return cli::Fail(node.status());
  node->membership.address = arguments[2];
  ClientOptions options;
  options.node_folder = node->folder;
  // Members have data, and so a second ledger, as people's have.
  setenv("DURE_DATA_LEDGERS", (arguments[0] + "/data-ledgers").c_str(), 1);
  options.data_identity = Sha256(AsBytes(node->folder));
  options.make_trainer = [](const Node& of) -> absl::StatusOr<std::unique_ptr<Trainer>> {
    absl::StatusOr<ParamManifest> manifest = BuiltInManifest(of.spec.model());
    if (!manifest.ok()) return manifest.status();
    return std::make_unique<ZeroTrainer>(*std::move(manifest));
  };
  options.on_receive = [](const ServerMessage& message) {
    if (message.has_welcome()) Say("connected");
  };
  auto service = ClientService::Start(std::move(options), *std::move(node));
  if (!service.ok()) return cli::Fail(service.status());
  return WaitForEnd(**service);
}

}  // namespace dure::bench
