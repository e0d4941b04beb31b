// A member that takes part: the shell around MemberEngine. Messages, the trainer's results and
// timers are posted to one strand; the ledger is on disk before what it is for is sent; a lost
// coordinator is dialled again for as long as it takes. Thread-safe.
#ifndef DURE_CLIENT_SERVICE_CLIENT_SERVICE_H_
#define DURE_CLIENT_SERVICE_CLIENT_SERVICE_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strand.h"
#include "client/engine.h"
#include "client/service/certificate_keeper.h"
#include "client/service/client_watch.h"
#include "client/service/input_upload.h"
#include "client/service/ledgers.h"
#include "client/service/model_download.h"
#include "client/service/node.h"
#include "crypto/random.h"
#include "learner/trainer_process.h"
#include "privacy/secagg/certificate_cache.h"
#include "proto/control.pb.h"
#include "transport/backoff.h"
#include "transport/client.h"
#include "transport/control_socket.h"

namespace dure {

struct ClientOptions {
  std::string node_folder;
  std::string trainer_program;  // path of dure-trainer
  int threads = 1;              // of the trainer
  // Charges that a ledger lacks are added in full, instead of taking no part (docs/recovery.md).
  bool charge_missing = false;
  // Called with what the person at this machine should see, on the service's thread.
  std::function<void(const member::Tell&)> tell;

  // For tests and measurements; programs leave them empty.
  // Makes the trainer instead of starting `trainer_program`.
  std::function<absl::StatusOr<std::unique_ptr<Trainer>>(const Node&)> make_trainer;
  // Of that trainer's data; empty: they have no ledger.
  std::optional<Digest> data_identity;
  // Called on the service's thread with each message just before it is sent, after what must be in
  // the ledger for it, and with each that was received, before it is dealt with.
  std::function<void(const ClientMessage&)> before_send;
  // How the machine is doing, in the place of a look at it.
  std::function<MachineState(const GuestLimits&)> look_at_machine;
  std::function<void(const ServerMessage&)> on_receive;
};

// Whether Start or Wait ended because this member did not agree: with its limits, its budget, or
// the terms.
bool IsRefusal(const absl::Status& status);

class ClientService final : private SessionEvents {
 public:
  // Reads the node and its ledger, starts the trainer on the registered data and begins to dial.
  // FailedPrecondition, with the remedy, if no data is registered, if it does not fit the
  // federation's model or limits, or if another client runs on the node. IsRefusal if the member's
  // own limits forbid to take part here.
  static absl::StatusOr<std::unique_ptr<ClientService>> Start(ClientOptions options);
  // The same with a node that was read already.
  static absl::StatusOr<std::unique_ptr<ClientService>> Start(ClientOptions options, Node node);
  ~ClientService() override;

  const Node& node() const { return node_; }
  const DataSummary& data() const { return trainer_->data(); }
  // Layers of the trainer's sandbox, in the order of its report.
  const std::vector<SandboxLayer>& sandbox() const { return sandbox_; }

  // Leaves at once; Wait returns Cancelled.
  void Stop();
  // Waits for the end of the run, at most `timeout`. OK: the coordinator said that it is over.
  // Nothing if it goes on.
  std::optional<absl::Status> Wait(absl::Duration timeout);
  // What the coordinator said at the end.
  std::string end_text();

 private:
  ClientService(ClientOptions options, Node node, FileLock lock);
  absl::Status Open();
  // A status for which IsRefusal holds.
  static absl::Status Refusal(absl::string_view message);
  // In the order in which Open calls them.
  absl::Status CheckPins() const;
  absl::StatusOr<std::optional<Digest>> CheckData() const;
  absl::Status CheckTrainer(const ParamManifest& manifest) const;
  absl::Status OpenLedgers(const std::optional<Digest>& data, uint64_t dim);
  absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer();
  // client_sums.cc
  absl::StatusOr<std::optional<Schema>> ReadFederationSchema() const;
  absl::StatusOr<TrainerOptions> OptionsOfTrainer() const;
  absl::StatusOr<LocalUpdate> MeasureHeldOut(const member::StartTraining& measure);
  absl::StatusOr<LocalUpdate> TrainNow(const member::StartTraining& training);
  absl::Duration train_timeout() const;

  void OnOpen(Certificate coordinator, std::string certificate_der) override;
  void OnMessage(ServerMessage message, std::shared_ptr<void> credit) override;
  void OnClose(absl::Status status) override;

  // All below on the strand.
  void Dial();
  void Closed(const absl::Status& status);
  // What the coordinator said, with a model that travels apart filled in when it is here.
  void Hear(ServerMessage message);
  void FetchModelOf(ServerMessage message);
  void ModelFetched(const Digest& sha256, absl::StatusOr<std::shared_ptr<const ByteSource>> model);
  void SendNow(ClientMessage message, std::function<void()> sent);
  void ForgetLater();
  void Step(member::Input input);
  // False, and nothing that follows may be done, if the entry was not written.
  bool Write(const member::WriteLedger& write);
  void Handle(member::Output output);
  void KeepEvidence(const audit::Contradiction& contradiction);
  void Keep(const LocalState& state);
  std::string WhoDecidesMembers();
  // Limits and spending as they are now.
  absl::Status LookAgain();
  void OnTermsOffered(const FederationSpec& spec);
  // Ends when the coordinator has read the last words.
  void Leave(absl::Status why);
  void Train(member::StartTraining training);
  void Evaluate(member::StartEvaluation evaluation);
  void Tell(member::Tell::Level level, std::string text);
  void End(absl::Status status, std::string text);
  ControlReply Control(const ControlRequest& request);
  // client_certificate.cc
  absl::StatusOr<PublicKey> PinnedCoordinator() const;
  void SawCoordinator(const std::string& certificate_der);
  void BeginKeeping();
  void KeepCertificate();
  void LookLater();
  void Renewed(const absl::StatusOr<RenewalAnswer>& answer);
  // client_guest.cc
  void BeginWatch();

  const ClientOptions options_;
  Node node_;  // but for certificates that are renewed it stays as it was read
  const FileLock lock_;
  Policy policy_;
  std::optional<FileStamp> policy_stamp_;
  std::unique_ptr<Ledgers> ledgers_;
  SystemClock clock_;
  SystemRandom random_;
  secagg::CertificateCache verifier_;
  PublicKey coordinator_{};
  Backoff backoff_;
  InputUpload upload_;
  // An offer or a request to measure whose model is being fetched, and the model if it is here.
  std::optional<ServerMessage> without_model_;
  std::shared_ptr<const ByteSource> fetched_;
  uint64_t most_model_bytes_ = 0;  // that the terms can mean
  uint64_t connections_ = 0;
  bool over_ = false;  // nothing more is done
  bool connected_ = false;
  bool said_who_decides_ = false;
  std::optional<absl::Status> leaving_;
  std::optional<MemberEngine> engine_;
  std::unique_ptr<Trainer> trainer_;  // used on worker_ once it has started
  std::vector<SandboxLayer> sandbox_;
  std::atomic<uint64_t> newest_training_ = 0;

  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<absl::Status> end_;
  std::string end_text_;

  std::unique_ptr<ClientWatch> watch_;  // used on strand_
  std::unique_ptr<CertificateKeeper> keeper_;
  bool said_unsigned_ = false;
  std::unique_ptr<Strand> strand_;
  std::unique_ptr<Strand> worker_;  // training takes long: a strand of its own
  std::unique_ptr<Session> session_;
  std::unique_ptr<ModelDownload> download_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_CLIENT_SERVICE_H_
