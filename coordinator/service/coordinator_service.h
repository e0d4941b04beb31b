// A running coordinator: the shell around FederationEngine. Events of the network and of the
// clock are posted to one strand; each is one Step; facts are written to the store before anything
// that follows from them is sent. Thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_COORDINATOR_SERVICE_H_
#define DURE_COORDINATOR_SERVICE_COORDINATOR_SERVICE_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/strand.h"
#include "coordinator/federation_engine.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/standing.h"
#include "coordinator/service/published_models.h"
#include "coordinator/service/registrar.h"
#include "coordinator/service/staged_inputs.h"
#include "coordinator/service/store.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "federation/attachments.h"
#include "privacy/secagg/certificate_cache.h"
#include "proto/control.pb.h"
#include "transport/control_socket.h"
#include "transport/server.h"

namespace dure {

struct CoordinatorOptions {
  std::string folder;
  // HOST:PORT to listen on. Empty: the port of the federation's address, on this machine only.
  // Port 0: the one that this coordinator had before, or at first any that is free.
  std::string listen;
  // federation.toml may have changed since members agreed to it: they are asked to approve it.
  bool new_terms = false;

  // For logs, tests and measurements. Called on the service's thread with each output of the
  // engine, before and after it is carried out.
  std::function<void(const run::Output&)> before;
  std::function<void(const run::Output&)> after;
  // For tests. Called first, with all outputs of one step: a coordinator that says more than it should.
  std::function<void(std::vector<run::Output>*)> alter;
};

class CoordinatorService final : private ServerEvents {
 public:
  // Reads the folder, opens the store and the port, and goes on where the run stopped.
  static absl::StatusOr<std::unique_ptr<CoordinatorService>> Start(CoordinatorOptions options);
  // The same with what federation.toml and the keys say already read.
  static absl::StatusOr<std::unique_ptr<CoordinatorService>> Start(CoordinatorOptions options,
                                                                   FederationFolder federation);
  ~CoordinatorService() override;

  // Where members reach it, HOST:PORT.
  const std::string& address() const { return address_; }
  // What it listens on, HOST:PORT, with the port that the system chose.
  const std::string& listening() const { return listening_; }
  const FederationSpec& spec() const { return federation_.spec; }

  // With all released rounds after `after_round`, and their evaluations.
  RunStatus Status(RoundNumber after_round);
  // Everybody who ever joined, and what those who are here are doing.
  absl::StatusOr<MembersReply> Members();
  // Ends the attempt under way and then the run: Wait returns.
  void Stop();
  // Waits for the end of the run, at most `timeout`. The status is OK if all rounds were released;
  // Cancelled after Stop(); otherwise why not. Nothing if it goes on.
  std::optional<absl::Status> Wait(absl::Duration timeout);

 private:
  CoordinatorService(CoordinatorOptions options, FederationFolder federation);

  absl::Status Open();
  // `dim`: parameters of the model.
  absl::Status Listen();
  void OnDescribe(DescribeRequest request, DescribeCallback reply) override;
  void OnEnrol(EnrolRequest request, EnrolCallback reply) override;
  void OnFetch(FetchRequest request, std::optional<Certificate> member,
               FetchCallback reply) override;
  void OnRenew(RenewRequest request, Certificate member, RenewCallback reply) override;
  void OnOpen(Peer peer) override;
  void OnMessage(PeerId peer, ClientMessage message, ReadCredit credit) override;
  void OnClose(PeerId peer, absl::Status status) override;

  // All below on the strand.
  absl::StatusOr<DescribeReply> Describe(const DescribeRequest& request);
  absl::StatusOr<RenewReply> Renew(const RenewRequest& request, const Certificate& member);
  absl::StatusOr<FetchReply> Fetch(const FetchRequest& request,
                                   const std::optional<Certificate>& member);
  // PermissionDenied, or NotFound, for who is no member any more.
  absl::StatusOr<MemberRecord> ActiveMember(const Certificate& certificate);
  void Open(const Peer& peer);
  absl::StatusOr<FetchReply> FetchModel(const FetchRequest& request, const secagg::MemberId& member,
                                        const ByteSource& model);
  void Take(PeerId peer, const secagg::MemberId& member, ClientMessage message);
  void Announced(PeerId peer, const secagg::MemberId& member, const InputAhead& ahead);
  // True if the member, which says its first words, takes part under these terms.
  bool Greet(PeerId peer, const ClientMessage& message);
  void Step(run::Input input);
  void Handle(std::vector<run::Output> outputs);
  // False, and the run is over, if the fact could not be written down.
  bool Record(const Fact& fact);
  void KeepEvidence(const run::WriteEvidence& evidence);
  void ArmTimer();
  void Beat();
  void NoticeStandstill(absl::Time now);
  void TellStandings();
  // The coordinator's own certificate: takes a newer one, and says what ends soon once a day.
  void LookAfterOwnCertificate();
  // Listens anew with the newest certificate; members come back by themselves.
  absl::Status ListenAgain();
  void Identify(ServerOptions* server);
  void End(absl::Status status);
  ControlReply Control(const ControlRequest& request);
  absl::Status Revoke(const std::string& name);
  RunStatus StatusNow(RoundNumber after_round, size_t max_rounds);
  // coordinator_view.cc
  void FillPresence(MembersReply* reply) const;
  void NotePhase(absl::Time now);

  struct Presence {
    secagg::MemberId member;
    std::string name;
    Role role = MEMBER;
    bool arrived = false;  // it has said that it agrees to the terms
  };
  struct Traffic {
    uint64_t received = 0;
    uint64_t sent = 0;
  };

  const CoordinatorOptions options_;
  FederationFolder federation_;
  std::string address_;
  std::string listening_;
  SystemClock clock_;
  EvenClock engine_clock_;  // a system clock that jumps ends no phase
  SystemRandom random_;
  StagedInputs staged_;
  PublishedModels published_;
  std::map<secagg::MemberId, uint64_t> fetched_;  // up to where of a model
  secagg::CertificateCache verifier_;
  std::optional<Registrar> registrar_;
  std::map<Digest, OpenAttachment> files_;  // that members may fetch, as they were at the start
  std::unique_ptr<Store> store_;
  std::unique_ptr<FederationEngine> engine_;

  std::map<PeerId, Presence> present_;
  std::map<secagg::MemberId, PeerId> peer_of_;
  StandingNews standing_{federation_.spec.rounds().has_cohort()
                             ? federation_.spec.rounds().cohort()
                             : federation_.spec.rounds().minimum()};
  Traffic traffic_;
  absl::Time beat_due_ = absl::InfiniteFuture();  // of engine_clock_
  absl::Time certificate_look_due_ = absl::InfinitePast();    // of engine_clock_
  absl::Time certificate_warning_due_ = absl::InfinitePast();  // of engine_clock_
  absl::Time armed_for_ = absl::InfiniteFuture();
  std::string phase_;  // what it was at the last beat, and since when it is so
  absl::Time phase_since_ = absl::InfinitePast();
  bool over_ = false;  // the run has ended, or its state could not be written

  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<absl::Status> end_;

  std::unique_ptr<Strand> strand_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_COORDINATOR_SERVICE_H_
