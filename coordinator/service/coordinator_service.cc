#include "coordinator/service/coordinator_service.h"

#include <algorithm>
#include <future>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/evidence_folder.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/membership.h"
#include "coordinator/service/new_terms.h"
#include "coordinator/service/own_certificate.h"
#include "coordinator/service/signing_folder.h"

namespace dure {
namespace {

constexpr absl::Duration kShutdownGrace = absl::Seconds(5);
// In one answer over the control socket.
constexpr size_t kMaxReportedRounds = 1000;
// How often the strand looks whether it still runs, and how late that is when it did not.
constexpr absl::Duration kBeat = absl::Seconds(1);
constexpr absl::Duration kStandstill = absl::Seconds(5);
// How often this coordinator looks at its own certificate, and says again that it ends.
constexpr absl::Duration kCertificateLook = absl::Minutes(1);
constexpr absl::Duration kCertificateWarning = absl::Hours(24);
// A timer that is due is looked at again this much later at the earliest.
constexpr absl::Duration kTimerResolution = absl::Milliseconds(5);

// As many as are asked for and a piece may have.
uint64_t PieceBytes(const FetchRequest& request) {
  return request.max_bytes() == 0 ? kFetchPieceBytes
                                  : std::min<uint64_t>(kFetchPieceBytes, request.max_bytes());
}

// A Welcome says what time it is here: a member whose clock is wrong is told so by its client.
std::shared_ptr<const ServerMessage> WithTime(std::shared_ptr<const ServerMessage> message,
                                              absl::Time now) {
  if (!message->has_welcome()) return message;
  auto timed = std::make_shared<ServerMessage>(*message);
  timed->mutable_welcome()->set_time_unix_ms(absl::ToUnixMillis(now));
  return timed;
}

ControlReply ErrorReply(const absl::Status& status) {
  ControlReply reply;
  reply.set_code(static_cast<int>(status.code()));
  reply.set_error(std::string(status.message()));
  return reply;
}

}  // namespace

CoordinatorService::CoordinatorService(CoordinatorOptions options, FederationFolder federation)
    : options_(std::move(options)),
      federation_(std::move(federation)),
      staged_(options_.folder + "/state", &random_),
      published_(options_.folder + "/state"),
      verifier_(federation_.ca_certificate, &clock_) {}

CoordinatorService::~CoordinatorService() {
  control_.reset();
  if (server_) server_->Shutdown(kShutdownGrace);  // no event comes after it
  strand_.reset();                                 // its tasks use the server
  server_.reset();
}

absl::StatusOr<std::unique_ptr<CoordinatorService>> CoordinatorService::Start(
    CoordinatorOptions options) {
  DURE_ASSIGN_OR_RETURN(FederationFolder federation, ReadFederationFolder(options.folder));
  return Start(std::move(options), std::move(federation));
}

absl::StatusOr<std::unique_ptr<CoordinatorService>> CoordinatorService::Start(
    CoordinatorOptions options, FederationFolder federation) {
  auto service = std::unique_ptr<CoordinatorService>(
      new CoordinatorService(std::move(options), std::move(federation)));
  DURE_RETURN_IF_ERROR(service->Open());
  return service;
}

absl::Status CoordinatorService::Open() {
  DURE_ASSIGN_OR_RETURN(const CertificateLook look,
                        LookAfterCertificate(federation_, clock_.Now(), random_));
  if (look.newer) federation_.certificate = *look.newer;
  DURE_ASSIGN_OR_RETURN(files_, OpenFiles(federation_));
  DURE_ASSIGN_OR_RETURN(ModelFile initial, ReadInitialModel(options_.folder, federation_.spec));
  DURE_ASSIGN_OR_RETURN(ModelParts parts,
                        ModelParts::Create(std::move(initial.manifest), federation_.spec.model()));
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema,
                        ReadFederationSchema(options_.folder, federation_.spec));
  DURE_ASSIGN_OR_RETURN(
      store_, Store::Open(options_.folder + "/state", federation_.spec_digest,
                          options_.new_terms ? TermsChange::kAccepted : TermsChange::kRefused));
  DURE_ASSIGN_OR_RETURN(registrar_, Registrar::Create(&federation_, store_.get(), &random_));
  DURE_ASSIGN_OR_RETURN(RunState state, store_->LoadRun());
  DURE_RETURN_IF_ERROR(AdoptTerms(federation_, state.attempts, *store_));
  if (!state.history.empty()) {
    traffic_ = {state.history.back().bytes_received, state.history.back().bytes_sent};
  }
  DURE_ASSIGN_OR_RETURN(engine_,
                        FederationEngine::Create({.spec = federation_.spec,
                                                  .spec_digest = federation_.spec_digest,
                                                  .initial_model = std::move(initial.params),
                                                  .parts = std::move(parts),
                                                  .schema = std::move(schema),
                                                  .key = &federation_.key,
                                                  .verifier = &verifier_,
                                                  .random = &random_},
                                                 std::move(state)));
  strand_ = std::make_unique<Strand>();
  DURE_RETURN_IF_ERROR(Listen());
  DURE_ASSIGN_OR_RETURN(
      control_, ControlServer::Start(FederationPrivateFolder(options_.folder),
                                     [this](const ControlRequest& request) {
                                       ControlReply reply;
                                       strand_->PostAndWait([&] { reply = Control(request); });
                                       return reply;
                                     }));
  DURE_ASSIGN_OR_RETURN(const bool paused, store_->SavedPaused());
  strand_->Post([this, paused] {
    Beat();
    if (paused) Step(run::SetPaused{true});
    Step(run::Tick{});
  });
  return absl::OkStatus();
}

void CoordinatorService::Identify(ServerOptions* server) {
  server->ca_pem = CertificateToPem(federation_.ca_certificate);
  server->certificate_pem = CertificateToPem(federation_.certificate);
  server->key_pem = ToString(federation_.key.ToPem().view());
  server->clock = &clock_;
}

absl::Status CoordinatorService::ListenAgain() {
  server_->Shutdown(kShutdownGrace);  // what its events posted comes after this task
  ServerOptions server;
  server.listen = listening_;
  Identify(&server);
  DURE_ASSIGN_OR_RETURN(server_, Server::Start(server, this));
  return absl::OkStatus();
}

absl::Status CoordinatorService::Listen() {
  const std::string& address = federation_.spec.federation().address();
  ServerOptions server;
  server.listen =
      options_.listen.empty() ? absl::StrCat("127.0.0.1:", PortOf(address)) : options_.listen;
  const bool any_port = PortOf(server.listen) == "0";
  int former_port = 0;
  if (any_port) {
    DURE_ASSIGN_OR_RETURN(former_port, store_->SavedPort());
    server.listen = WithPort(server.listen, former_port);
  }
  Identify(&server);
  // Events may come before Start returns; their tasks wait until there is a server to answer with.
  std::promise<void> started;
  strand_->Post([future = started.get_future().share()] { future.wait(); });
  absl::StatusOr<std::unique_ptr<Server>> made = Server::Start(server, this);
  if (made.ok()) server_ = *std::move(made);
  started.set_value();
  if (absl::IsAlreadyExists(made.status()) && former_port != 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(made.status().message(),
                     "; it is the port that members dial: end the program that has it"));
  }
  DURE_RETURN_IF_ERROR(made.status());
  if (any_port) DURE_RETURN_IF_ERROR(store_->SavePort(server_->port()));
  listening_ = absl::StrCat(HostOf(server.listen), ":", server_->port());
  address_ = WithPort(address, server_->port());
  return absl::OkStatus();
}

// Events of the network, on gRPC's threads: each is posted.

void CoordinatorService::OnDescribe(DescribeRequest request, DescribeCallback reply) {
  strand_->Post(
      [this, request = std::move(request), reply = std::move(reply)] { reply(Describe(request)); });
}

void CoordinatorService::OnEnrol(EnrolRequest request, EnrolCallback reply) {
  strand_->Post(
      [this, request = std::move(request), reply = std::move(reply)] {
        reply(registrar_->Enrol(request, clock_.Now()));
      });
}

void CoordinatorService::OnRenew(RenewRequest request, Certificate member, RenewCallback reply) {
  strand_->Post([this, request = std::move(request), member = std::move(member),
                 reply = std::move(reply)] { reply(Renew(request, member)); });
}

void CoordinatorService::OnFetch(FetchRequest request, std::optional<Certificate> member,
                                 FetchCallback reply) {
  strand_->Post([this, request = std::move(request), member = std::move(member),
                 reply = std::move(reply)] { reply(Fetch(request, member)); });
}

void CoordinatorService::OnOpen(Peer peer) {
  strand_->Post([this, peer = std::move(peer)] { Open(peer); });
}

void CoordinatorService::OnMessage(PeerId peer, ClientMessage message, ReadCredit credit) {
  auto shared = std::make_shared<ClientMessage>(std::move(message));
  strand_->Post([this, peer, shared, credit = std::move(credit)] {
    traffic_.received += shared->ByteSizeLong();
    auto present = present_.find(peer);
    if (present == present_.end()) return;
    if (!present->second.arrived && !Greet(peer, *shared)) return;
    if (shared->has_decline() && shared->decline().session_id().empty() &&
        present->second.role == MEMBER) {
      // Of no attempt: somebody has typed `dure leave`.
      LogWarning(absl::StrCat(present->second.name, ": ", Printable(shared->decline().text()),
                              "; `dure revoke` ends its certificate"));
    }
    Take(peer, present->second.member, std::move(*shared));
  });
}

void CoordinatorService::OnClose(PeerId peer, absl::Status status) {
  strand_->Post([this, peer, status = std::move(status)] {
    auto present = present_.find(peer);
    if (present == present_.end()) return;
    Presence gone = present->second;
    present_.erase(present);
    if (peer_of_[gone.member] != peer) return;  // it is here again
    peer_of_.erase(gone.member);
    LogInfo(absl::StrCat(gone.name, " has left",
                         status.ok() ? "" : absl::StrCat(": ", status.message())),
            gone.name);
    if (!gone.arrived) return;
    // A stream that a newer one of the same member replaces was lost, too: its Hello is on the way.
    const bool lost = absl::IsUnavailable(status) || absl::IsAborted(status);
    Step(run::Left{.member = gone.member, .lost = lost});
  });
}

// A member's message; its input may have come ahead of it.
void CoordinatorService::Take(PeerId peer, const secagg::MemberId& member, ClientMessage message) {
  if (message.has_input_ahead()) return Announced(peer, member, message.input_ahead());
  if (message.has_input_piece()) {
    // Of an attempt that is over, or after a disk error: nobody waits for it.
    if (!staged_.Has(member)) return;
    const absl::Status added = staged_.Add(member, message.input_piece());
    if (added.ok()) return Step(run::Moved{member, message.input_piece().data().size()});
    LogWarning(absl::StrCat("an input cannot be taken in: ", added.message()));
    if (absl::IsInvalidArgument(added)) server_->Close(peer, added);
    return;
  }
  run::Said said{.member = member, .message = std::move(message)};
  const secagg::UpMessage& up = said.message.secagg();
  if ((up.has_masked_input() && up.masked_input().packed().empty()) ||
      (up.has_plain_input() && up.plain_input().packed().empty())) {
    absl::StatusOr<secagg::StagedInput> staged = staged_.Take(member, up.session_id());
    // Without its input the message says nothing: the engine rejects it.
    if (staged.ok()) said.staged = *std::move(staged);
  }
  Step(std::move(said));
}

void CoordinatorService::Announced(PeerId peer, const secagg::MemberId& member,
                                   const InputAhead& ahead) {
  const std::optional<uint64_t> expected = engine_->ExpectedInput(member, ahead.session_id());
  if (expected != ahead.size()) return;  // of another attempt, or it is here already
  staged_.KeepSession(engine_->session_id());
  absl::StatusOr<uint64_t> offset = staged_.Announce(member, ahead);
  if (!offset.ok()) {
    LogWarning(absl::StrCat("an input cannot be taken in: ", offset.status().message()));
    return;
  }
  ServerMessage send;
  send.mutable_send_input()->set_session_id(ahead.session_id());
  send.mutable_send_input()->set_offset(*offset);
  server_->Send(peer, std::move(send));
  Step(run::Moved{member, 0});
}

absl::StatusOr<DescribeReply> CoordinatorService::Describe(const DescribeRequest& request) {
  DURE_ASSIGN_OR_RETURN(InvitationRecord invitation,
                        store_->FindInvitation(Sha256(AsBytes(request.secret())), clock_.Now()));
  DescribeReply reply;
  *reply.mutable_spec() = federation_.spec;
  reply.set_coordinator_certificate(federation_.certificate);
  reply.set_name(invitation.name);
  reply.set_organisation(invitation.organisation);
  reply.set_role(invitation.role);
  return reply;
}

absl::StatusOr<RenewReply> CoordinatorService::Renew(const RenewRequest& request,
                                                     const Certificate& member) {
  DURE_ASSIGN_OR_RETURN(const MemberRecord record, ActiveMember(member));
  return registrar_->Renew(request, member, record, clock_.Now());
}

absl::StatusOr<FetchReply> CoordinatorService::Fetch(const FetchRequest& request,
                                                     const std::optional<Certificate>& member) {
  if (member) {
    DURE_RETURN_IF_ERROR(ActiveMember(*member).status());
  } else {
    DURE_RETURN_IF_ERROR(
        store_->FindInvitation(Sha256(AsBytes(request.secret())), clock_.Now()).status());
  }
  const std::optional<Digest> digest = DigestFromBytes(request.sha256());
  if (const ByteSource* model = digest && member ? published_.Find(*digest) : nullptr) {
    return FetchModel(request, secagg::MemberIdOf(member->key), *model);
  }
  const auto found = digest ? files_.find(*digest) : files_.end();
  if (found == files_.end()) {
    return absl::NotFoundError(
        "no file of the federation's terms has this SHA-256: the terms have changed; look at them "
        "again");
  }
  const OpenAttachment& file = found->second;
  if (request.offset() > file.bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file ends at ", file.bytes, ", before ", request.offset()));
  }
  FetchReply reply;
  reply.set_size(file.bytes);
  if (request.size_only()) return reply;
  DURE_ASSIGN_OR_RETURN(
      *reply.mutable_data(),
      ReadPiece(file, request.offset(),
                std::min(PieceBytes(request), file.bytes - request.offset())));
  traffic_.sent += reply.data().size();
  return reply;
}

absl::StatusOr<FetchReply> CoordinatorService::FetchModel(const FetchRequest& request,
                                                          const secagg::MemberId& member,
                                                          const ByteSource& model) {
  if (request.offset() > model.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model ends at ", model.size(), ", before ", request.offset()));
  }
  FetchReply reply;
  reply.set_size(model.size());
  if (request.size_only()) return reply;
  std::string& data = *reply.mutable_data();
  data.resize(std::min(PieceBytes(request), model.size() - request.offset()));
  DURE_RETURN_IF_ERROR(model.Read(
      request.offset(), {reinterpret_cast<uint8_t*>(data.data()), data.size()}));
  traffic_.sent += data.size();
  // Whoever asks for a piece has the ones before it.
  uint64_t& had = fetched_[member];
  Step(run::Moved{member, request.offset() > had ? request.offset() - had : 0});
  had = request.offset();
  return reply;
}

absl::StatusOr<MemberRecord> CoordinatorService::ActiveMember(const Certificate& certificate) {
  DURE_ASSIGN_OR_RETURN(MemberRecord record,
                        store_->FindMember(secagg::MemberIdOf(certificate.key)));
  if (!record.revoked) return record;
  return absl::PermissionDeniedError("this membership was ended by the organiser");
}

void CoordinatorService::Open(const Peer& peer) {
  if (over_) return;
  secagg::MemberId member = secagg::MemberIdOf(peer.certificate.key);
  absl::StatusOr<MemberRecord> record = ActiveMember(peer.certificate);
  if (!record.ok()) {
    LogWarning(absl::StrCat(peer.certificate.name, " at ", peer.address,
                            " was turned away: ", record.status().message()),
               peer.certificate.name);
    return server_->Close(peer.id, record.status());
  }
  store_->Seen(member, clock_.Now()).IgnoreError();  // for people only
  present_[peer.id] = Presence{.member = member, .name = record->name, .role = record->role};
  peer_of_[member] = peer.id;
  LogInfo(absl::StrCat(record->name, " is here"), record->name);
}

// A member of other terms is told these, before anything is begun with it.
bool CoordinatorService::Greet(PeerId peer, const ClientMessage& message) {
  Presence& presence = present_[peer];
  if (!message.has_hello()) {
    server_->Close(peer, absl::InvalidArgumentError("the first message is not Hello"));
    return false;
  }
  const bool agrees = message.hello().spec_digest() == ToString(federation_.spec_digest);
  if (agrees && !message.hello().terms_only()) {
    presence.arrived = true;
    Step(run::Arrived{presence.member, presence.name, presence.role, message.hello().resume()});
    return true;
  }
  ServerMessage terms;
  *terms.mutable_terms_changed()->mutable_spec() = federation_.spec;
  if (message.hello().terms_only()) {
    ServerMessage time;
    time.mutable_welcome()->set_time_unix_ms(absl::ToUnixMillis(clock_.Now()));
    server_->Send(peer, std::move(time));
  }
  server_->Send(peer, std::move(terms));
  if (message.hello().terms_only()) {
    server_->Close(peer, absl::OkStatus());
    return false;
  }
  LogWarning(absl::StrCat(presence.name, " has approved other terms: it was shown these"),
             presence.name);
  server_->Close(peer, absl::FailedPreconditionError(
                           "the terms that this member approved are not this federation's any "
                           "more: see `dure terms show`"));
  return false;
}

void CoordinatorService::Step(run::Input input) {
  if (over_) return;
  const absl::Time now = engine_clock_.Now();
  NoticeStandstill(now);
  std::vector<run::Output> outputs;
  engine_->set_traffic(traffic_.received, traffic_.sent);
  standing_.Heard(input);
  engine_->Step(now, std::move(input), &outputs);
  if (options_.alter) options_.alter(&outputs);
  Handle(std::move(outputs));
  ArmTimer();
}

void CoordinatorService::Handle(std::vector<run::Output> outputs) {
  for (run::Output& output : outputs) {
    if (options_.before) options_.before(output);
    if (const auto* write = std::get_if<run::Write>(&output);
        write != nullptr && !Record(write->fact)) {
      return;  // nothing that follows from it may be told to anybody
    }
    if (const auto* publish = std::get_if<run::Publish>(&output)) {
      if (absl::Status status =
              published_.Publish(publish->sha256, publish->model, publish->state);
          !status.ok()) {
        LogWarning(absl::StrCat("the model cannot be offered: ", status.message()));
      }
    } else if (const auto* send = std::get_if<run::SendTo>(&output)) {
      standing_.Sent(*send);
      auto peer = peer_of_.find(send->member);
      if (peer == peer_of_.end()) continue;
      traffic_.sent += send->message->ByteSizeLong();
      server_->Send(peer->second, WithTime(send->message, clock_.Now()));
    } else if (const auto* evidence = std::get_if<run::WriteEvidence>(&output)) {
      KeepEvidence(*evidence);
    } else if (const auto* expel = std::get_if<run::Expel>(&output)) {
      auto peer = peer_of_.find(expel->member);
      if (peer != peer_of_.end()) server_->Close(peer->second, expel->why);
    } else if (const auto* note = std::get_if<run::Note>(&output)) {
      note->warning ? LogWarning(note->text) : LogInfo(note->text);
    } else if (const auto* ended = std::get_if<run::Ended>(&output)) {
      End(ended->status);
    }
    if (options_.after) options_.after(output);
    output.emplace<run::Note>();  // a model's memory is wanted for what follows
  }
}

// Evidence that cannot be written is told, and changes nothing else: the member is excluded.
void CoordinatorService::KeepEvidence(const run::WriteEvidence& evidence) {
  absl::StatusOr<std::string> path = audit::KeepEvidence(
      FederationPrivateFolder(options_.folder) + "/evidence", evidence.contradiction,
      {.ca_certificate = federation_.ca_certificate, .certificate = evidence.certificate});
  LogWarning(path.ok() ? absl::StrCat("a member has contradicted itself, and the proof is in ",
                                      *path, "; see dure audit evidence")
                       : absl::StrCat("a member has contradicted itself, but the proof could not "
                                      "be kept: ",
                                      path.status().message()));
}

bool CoordinatorService::Record(const Fact& fact) {
  absl::Status status = store_->Record(fact);
  if (status.ok()) return true;
  // Not the code of the reason: no budget is used up, and nobody has refused anything.
  End(
      absl::UnknownError(absl::StrCat("the run stops where it was, and the same command goes on "
                                      "from there: the state could not be written: ",
                                      status.message())));
  return false;
}

// What members that wait are told of how things stand.
void CoordinatorService::TellStandings() {
  if (over_) return;
  const RunStatus status = engine_->Status(RoundNumber(UINT32_MAX), 0);
  for (StandingNews::News& news : standing_.Due(status, engine_clock_.Now())) {
    const auto peer = peer_of_.find(news.member);
    if (peer == peer_of_.end()) continue;
    ServerMessage message;
    *message.mutable_standing() = std::move(news.standing);
    traffic_.sent += message.ByteSizeLong();
    server_->Send(peer->second, std::move(message));
  }
}

// The strand's own sign of life.
void CoordinatorService::Beat() {
  TellStandings();
  const absl::Time now = engine_clock_.Now();
  NoticeStandstill(now);
  NotePhase(now);
  if (now >= certificate_look_due_ && !over_) LookAfterOwnCertificate();
  beat_due_ = now + kBeat;
  strand_->PostAfter(kBeat, [this] { Beat(); });
}

void CoordinatorService::LookAfterOwnCertificate() {
  const absl::Time now = engine_clock_.Now();
  certificate_look_due_ = now + kCertificateLook;
  absl::StatusOr<CertificateLook> look = LookAfterCertificate(federation_, clock_.Now(), random_);
  if (!look.ok()) {
    LogWarning(absl::StrCat("the certificate of this coordinator could not be renewed: ",
                            look.status().message()));
    return;
  }
  if (look->newer) {
    federation_.certificate = *std::move(look->newer);
    LogInfo("the certificate of this coordinator was renewed; members come back in a moment");
    if (absl::Status status = ListenAgain(); !status.ok()) End(std::move(status));
    return;
  }
  if (now < certificate_warning_due_) return;
  certificate_warning_due_ = now + kCertificateWarning;
  for (const std::string& warning : look->warnings) LogWarning(warning);
}

// What members sent while this process stood still is still to be read: they are not late.
void CoordinatorService::NoticeStandstill(absl::Time now) {
  const absl::Duration still = now - beat_due_;
  if (still < kStandstill) return;
  beat_due_ = now + kBeat;
  engine_->Postpone(still);
  LogWarning(absl::StrCat("this coordinator stood still for ",
                          absl::FormatDuration(absl::Trunc(still, absl::Seconds(1))),
                          "; deadlines wait as long"));
}

// One timer at a time: an earlier one replaces it, and when it rings the next is armed.
void CoordinatorService::ArmTimer() {
  absl::Time due = engine_->next_deadline();
  if (due == absl::InfinitePast()) return strand_->Post([this] { Step(run::Tick{}); });
  if (due >= armed_for_) return;
  armed_for_ = due;
  strand_->PostAfter(std::max(due - engine_clock_.Now(), kTimerResolution), [this, due] {
    if (armed_for_ != due) return;
    armed_for_ = absl::InfiniteFuture();
    Step(run::Tick{});
  });
}

void CoordinatorService::End(absl::Status status) {
  over_ = true;
  std::lock_guard lock(mutex_);
  if (!end_) end_ = std::move(status);
  ended_.notify_all();
}

RunStatus CoordinatorService::Status(RoundNumber after_round) {
  RunStatus status;
  strand_->PostAndWait(
      [&] { status = StatusNow(after_round, std::numeric_limits<size_t>::max()); });
  return status;
}

RunStatus CoordinatorService::StatusNow(RoundNumber after_round, size_t max_rounds) {
  RunStatus status = engine_->Status(after_round, max_rounds);
  status.set_bytes_received(traffic_.received);
  status.set_bytes_sent(traffic_.sent);
  if (phase_since_ != absl::InfinitePast()) {
    status.set_phase_seconds(absl::ToDoubleSeconds(engine_clock_.Now() - phase_since_));
  }
  return status;
}

void CoordinatorService::Stop() {
  strand_->Post([this] {
    Step(run::Stop{});
    End(absl::CancelledError("stopped"));
  });
}

std::optional<absl::Status> CoordinatorService::Wait(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return end_.has_value(); });
  return end_;
}

ControlReply CoordinatorService::Control(const ControlRequest& request) {
  ControlReply reply;
  switch (request.kind_case()) {
    case ControlRequest::kStatus:
      *reply.mutable_status() =
          StatusNow(RoundNumber(request.status().after_round()), kMaxReportedRounds);
      return reply;
    case ControlRequest::kInvite: {
      absl::StatusOr<InviteReply> invited =
          Invite(federation_, *store_, {.address = address_, .now = clock_.Now()}, request.invite(),
                 random_);
      if (!invited.ok()) return ErrorReply(invited.status());
      *reply.mutable_invite() = *std::move(invited);
      return reply;
    }
    case ControlRequest::kMembers: {
      absl::StatusOr<MembersReply> members = ListMembers(*store_);
      if (!members.ok()) return ErrorReply(members.status());
      FillPresence(&*members);
      *reply.mutable_members() = *std::move(members);
      return reply;
    }
    case ControlRequest::kRevoke:
      return ErrorReply(Revoke(request.revoke().name()));
    case ControlRequest::kPause:
      if (absl::Status saved = store_->SavePaused(request.pause().paused()); !saved.ok()) {
        return ErrorReply(saved);
      }
      Step(run::SetPaused{request.pause().paused()});
      return reply;
    case ControlRequest::kStop:
      Step(run::Stop{});
      End(absl::CancelledError("stopped"));
      return reply;
    case ControlRequest::KIND_NOT_SET:
      return ErrorReply(absl::UnimplementedError("a newer dure asked something unknown"));
  }
  return reply;
}

absl::Status CoordinatorService::Revoke(const std::string& name) {
  const size_t waited = WithdrawWaiting(FederationPrivateFolder(options_.folder), name);
  absl::StatusOr<std::optional<secagg::MemberId>> revoked = store_->Revoke(name, clock_.Now());
  // An invitation that has expired lives on in the request that waits.
  if (absl::IsNotFound(revoked.status()) && waited > 0) revoked = std::nullopt;
  DURE_RETURN_IF_ERROR(revoked.status());
  const std::optional<secagg::MemberId>& member = *revoked;
  if (!member) {
    LogInfo(absl::StrCat("the invitation of ", name, " was withdrawn"), name);
    return absl::OkStatus();
  }
  LogInfo(absl::StrCat(name, " is no member any more"), name);
  auto found = peer_of_.find(*member);
  if (found == peer_of_.end()) return absl::OkStatus();
  // At once: what it still sends while its stream ends is not looked at.
  const PeerId peer = found->second;
  const bool arrived = present_.at(peer).arrived;
  peer_of_.erase(found);
  present_.erase(peer);
  server_->Close(peer, absl::PermissionDeniedError("this membership was ended by the organiser"));
  if (arrived) Step(run::Left{.member = *member, .lost = false, .revoked = true});
  return absl::OkStatus();
}

}  // namespace dure
