#include "client/service/client_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/evidence_folder.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "client/service/data_schema.h"
#include "client/service/local_state_file.h"
#include "client/service/node_files.h"
#include "client/service/spending.h"
#include "crypto/x509.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/sums_terms.h"
#include "google/protobuf/util/time_util.h"
#include "transport/connect_fault.h"

namespace dure {
namespace {

// Whether dialling again can help.
bool IsLasting(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
      return true;
    default:
      return false;
  }
}

// An update that comes after the deadline is of no use: a trainer that hangs is ended before it,
// with a tenth left for what follows, and this member's part is then noise alone.
absl::Duration TrainTimeout(const FederationSpec& spec) {
  return 0.9 * absl::Milliseconds(google::protobuf::util::TimeUtil::DurationToMilliseconds(
                   spec.rounds().deadline()));
}

// How long a member that leaves waits for the coordinator to have read why.
constexpr absl::Duration kLeavePatience = absl::Seconds(3);
// What may travel beside the parameters: how columns are standardised.
constexpr uint64_t kMostBesideModel = uint64_t{1} << 20;
// How long the secrets of an attempt wait for its connection to come back.
constexpr absl::Duration kResumeLimit = absl::Minutes(10);

// Nothing that an entry is for may leave when it could not be written.
absl::Status LedgerBroken(const absl::Status& status) {
  return absl::UnknownError(
      absl::StrCat("the ledger could not be written, and this member takes no further part until "
                   "it can: ",
                   status.message()));
}

std::optional<FileStamp> StampOfPolicy(const std::string& node_folder) {
  absl::StatusOr<FileStamp> stamp = StampOfFile(PolicyPath(node_folder));
  if (!stamp.ok()) return std::nullopt;
  return *std::move(stamp);
}

}  // namespace

ClientService::ClientService(ClientOptions options, Node node, FileLock lock)
    : options_(std::move(options)),
      node_(std::move(node)),
      lock_(std::move(lock)),
      policy_(node_.policy),
      policy_stamp_(StampOfPolicy(node_.folder)),
      verifier_(node_.ca_certificate, &clock_),
      backoff_(&random_),
      upload_([this](ClientMessage message, std::function<void()> sent) {
        SendNow(std::move(message), std::move(sent));
      }) {}

ClientService::~ClientService() {
  control_.reset();
  // From here on nothing starts training or dials.
  if (strand_) {
    strand_->PostAndWait([this] {
      over_ = true;
      if (watch_) watch_->End();
    });
  }
  newest_training_ = 0;  // nothing that waits begins
  if (trainer_) trainer_->Cancel();
  worker_.reset();  // what runs ends first
  download_.reset();
  keeper_.reset();
  session_.reset();
  strand_.reset();
}

absl::StatusOr<std::unique_ptr<ClientService>> ClientService::Start(ClientOptions options) {
  DURE_ASSIGN_OR_RETURN(Node node, ReadNode(options.node_folder));
  return Start(std::move(options), std::move(node));
}

absl::StatusOr<std::unique_ptr<ClientService>> ClientService::Start(ClientOptions options,
                                                                    Node node) {
  absl::StatusOr<FileLock> lock = FileLock::Acquire(PrivateFolder(node.folder) + "/lock");
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("a client is running in ", node.folder, " already"));
  }
  DURE_RETURN_IF_ERROR(lock.status());
  auto service = std::unique_ptr<ClientService>(
      new ClientService(std::move(options), std::move(node), *std::move(lock)));
  DURE_RETURN_IF_ERROR(service->Open());
  return service;
}

absl::Status ClientService::Open() {
  if (!node_.data_folder) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no data is registered: add it with `dure data add PATH --node ", node_.folder, "`"));
  }
  DURE_RETURN_IF_ERROR(CheckPins());
  DURE_RETURN_IF_ERROR(FetchFiles(node_.spec, node_.folder, SourceOf(node_)));
  if (!options_.make_trainer) DURE_RETURN_IF_ERROR(FitTableToSchema(node_));
  DURE_ASSIGN_OR_RETURN(coordinator_, PinnedCoordinator());
  DURE_ASSIGN_OR_RETURN(ModelParts parts, PartsOf(node_.spec.model()));
  const ParamManifest manifest = parts.whole();
  const uint64_t dim = parts.travelling().dim();
  most_model_bytes_ = parts.whole().dim() * sizeof(float) + kMostBesideModel;
  DURE_ASSIGN_OR_RETURN(const std::optional<Digest> data, CheckData());
  DURE_RETURN_IF_ERROR(OpenLedgers(data, dim));
  DURE_ASSIGN_OR_RETURN(trainer_, MakeTrainer());
  DURE_RETURN_IF_ERROR(CheckTrainer(manifest));
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, ReadFederationSchema());
  LocalState local;
  if (node_.membership.role == MEMBER) {
    DURE_ASSIGN_OR_RETURN(local, ReadLocalState(node_.folder, node_.spec, parts));
  }
  engine_.emplace(MemberEngine::Options{.spec = node_.spec,
                                        .spec_digest = node_.spec_digest,
                                        .role = node_.membership.role,
                                        .policy = policy_,
                                        .dim = dim,
                                        .parts = std::move(parts),
                                        .schema = std::move(schema),
                                        .local = std::move(local),
                                        .records = static_cast<uint32_t>(trainer_->data().records),
                                        .key = &node_.key,
                                        .certificate = node_.certificate,
                                        .coordinator = coordinator_,
                                        .verifier = &verifier_,
                                        .random = &random_,
                                        .data = ledgers_->spent(),
                                        .charge_missing = options_.charge_missing},
                  ledgers_->ledger());
  strand_ = std::make_unique<Strand>();
  strand_->PostAndWait([this] { BeginWatch(); });
  worker_ = std::make_unique<Strand>();
  download_ = std::make_unique<ModelDownload>(
      node_.folder, &random_,
      [this](const Digest& sha256, absl::StatusOr<std::shared_ptr<const ByteSource>> model) {
        strand_->Post([this, sha256, model = std::move(model)] { ModelFetched(sha256, model); });
      });
  DURE_ASSIGN_OR_RETURN(
      control_,
      ControlServer::Start(PrivateFolder(node_.folder), [this](const ControlRequest& request) {
        ControlReply reply;
        strand_->PostAndWait([&] { reply = Control(request); });
        return reply;
      }));
  BeginKeeping();
  strand_->Post([this] { Dial(); });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Trainer>> ClientService::MakeTrainer() {
  if (options_.make_trainer) return options_.make_trainer(node_);
  DURE_ASSIGN_OR_RETURN(TrainerOptions options, OptionsOfTrainer());
  options.train_timeout = train_timeout();
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<TrainerProcess> trainer,
                        TrainerProcess::Start(std::move(options)));
  sandbox_ = trainer->sandbox();
  return trainer;
}

absl::Duration ClientService::train_timeout() const { return TrainTimeout(node_.spec); }

void ClientService::Dial() {
  if (over_) return;
  watch_->Dialling();
  session_.reset();
  absl::StatusOr<std::unique_ptr<Session>> session =
      Session::Open({.address = node_.membership.address,
                     .ca_pem = CertificateToPem(node_.ca_certificate),
                     .certificate_pem = CertificateToPem(node_.certificate),
                     .key_pem = ToString(node_.key.ToPem().view())},
                    this);
  if (!session.ok()) return End(session.status(), "");
  session_ = *std::move(session);
}

// Said once: whom a member without a list of members relies on.
std::string ClientService::WhoDecidesMembers() {
  if (said_who_decides_ || policy_.member_list || node_.membership.role != MEMBER ||
      !node_.spec.secure_aggregation().enabled()) {
    return "";
  }
  said_who_decides_ = true;
  return "; who else is a member the coordinator's CA says, as no list of members is set (`dure "
         "policy set members`)";
}

// Events of the network, on gRPC's threads: each is posted.

void ClientService::OnOpen(Certificate coordinator, std::string certificate_der) {
  strand_->Post([this, key = coordinator.key, der = std::move(certificate_der)] {
    if (key != coordinator_) {
      return End(absl::UnauthenticatedError(
                     "the coordinator has another key than the one pinned when this member "
                     "joined: ask the organiser, and join again if it is meant"),
                 "");
    }
    connected_ = true;
    ++connections_;
    SawCoordinator(der);
    backoff_.Reset();
    Step(member::Connected{});
    watch_->Connected(WhoDecidesMembers());
    KeepCertificate();
  });
}

void ClientService::OnMessage(ServerMessage message, std::shared_ptr<void> credit) {
  auto shared = std::make_shared<ServerMessage>(std::move(message));
  strand_->Post([this, shared, credit = std::move(credit)] {
    if (!connected_) return;
    if (options_.on_receive) options_.on_receive(*shared);
    Hear(std::move(*shared));
  });
}

void ClientService::OnClose(absl::Status status) {
  strand_->Post([this, status = std::move(status)] { Closed(status); });
}

void ClientService::Closed(const absl::Status& status) {
  connected_ = false;
  upload_.Disconnected();
  Step(member::Disconnected{});
  ForgetLater();
  if (leaving_) return End(*leaving_, "");
  if (over_) return;
  if (IsLasting(status) && !IsNotCoordinator(status)) return End(status, "");
  if (absl::IsAborted(status)) {
    return End(absl::FailedPreconditionError(
                   absl::StrCat("another client took part as ", node_.membership.name,
                                ": two machines may not share one membership; ", status.message())),
               "");
  }
  const absl::Duration next_try = backoff_.Next();
  watch_->Disconnected(status, next_try);
  strand_->PostAfter(next_try, [this] { Dial(); });
}

void ClientService::Hear(ServerMessage message) {
  watch_->Heard(message);
  upload_.Heard(message);
  if (message.has_welcome()) without_model_.reset();  // it goes on with nothing
  if (message.has_attempt_ended() && without_model_ &&
      message.attempt_ended().session_id() == without_model_->offer().offer().session_id()) {
    without_model_.reset();
  }
  const bool apart = message.offer().model_bytes() > 0 || message.evaluate().model_bytes() > 0;
  if (apart) return FetchModelOf(std::move(message));
  if (message.has_offer()) without_model_.reset();
  Step(member::FromCoordinator{std::move(message)});
}

// The engine hears of it when the model is here.
void ClientService::FetchModelOf(ServerMessage message) {
  const bool offer = message.has_offer();
  if (offer && engine_->TakesPartIn(message.offer().offer().session_id())) {
    return Step(member::FromCoordinator{std::move(message)});  // said once more
  }
  const std::optional<Digest> sha256 =
      DigestFromBytes(offer ? message.offer().offer().config().model_hash()
                            : message.evaluate().model_sha256());
  const uint64_t bytes = offer ? message.offer().model_bytes() : message.evaluate().model_bytes();
  const uint64_t state = offer ? message.offer().state_bytes() : 0;
  if (!sha256 || bytes > most_model_bytes_ || state > most_model_bytes_) {
    return Tell(member::Tell::Level::kWarning,
                absl::StrCat("the coordinator offers a model of ", bytes + state,
                             " bytes; that of the terms has at most ", most_model_bytes_,
                             ": ignored"));
  }
  const bool other = !without_model_ || without_model_->offer().offer().session_id() !=
                                            message.offer().offer().session_id();
  without_model_ = std::move(message);
  if (!other && fetched_ != nullptr) return ModelFetched(*sha256, fetched_);
  fetched_.reset();
  FetchSource source = SourceOf(node_);
  download_->set_rate(watch_->limits().max_download);
  download_->Want(source, *sha256, bytes + state);
}

void ClientService::ModelFetched(const Digest& sha256,
                                 absl::StatusOr<std::shared_ptr<const ByteSource>> model) {
  if (!without_model_ || over_) return;
  ServerMessage& message = *without_model_;
  const std::string& wanted = message.has_offer()
                                  ? message.offer().offer().config().model_hash()
                                  : message.evaluate().model_sha256();
  if (wanted != ToString(sha256)) return;
  if (model.ok() && !connected_) {
    fetched_ = *std::move(model);  // the offer comes again with the connection
    return;
  }
  absl::Status read = model.status();
  const auto fill = [&](uint64_t offset, uint64_t bytes, std::string* text) {
    text->resize(bytes);
    if (read.ok()) {
      read = (*model)->Read(offset, {reinterpret_cast<uint8_t*>(text->data()), text->size()});
    }
  };
  if (read.ok() && message.has_offer()) {
    RoundOffer& offer = *message.mutable_offer();
    fill(0, offer.model_bytes(), offer.mutable_model());
    fill(offer.model_bytes(), offer.state_bytes(), offer.mutable_state());
  } else if (read.ok()) {
    fill(0, message.evaluate().model_bytes(), message.mutable_evaluate()->mutable_model());
  }
  fetched_.reset();
  ServerMessage whole = *std::exchange(without_model_, std::nullopt);
  if (read.ok()) return Step(member::FromCoordinator{std::move(whole)});
  Tell(member::Tell::Level::kWarning,
       absl::StrCat("the model of the attempt could not be fetched: ", read.message()));
  ClientMessage decline;
  decline.mutable_decline()->set_session_id(whole.offer().offer().session_id());
  decline.mutable_decline()->set_reason(Decline::PROTOCOL);
  decline.mutable_decline()->set_text("the model could not be fetched");
  SendNow(std::move(decline), nullptr);
}

// The secrets of an attempt whose connection is gone are not kept for ever.
void ClientService::ForgetLater() {
  strand_->PostAfter(kResumeLimit, [this, connections = connections_] {
    if (!connected_ && connections == connections_) Step(member::Forget{});
  });
}

void ClientService::SendNow(ClientMessage message, std::function<void()> sent) {
  // What cannot be sent because the stream is gone is told by OnClose.
  if (!connected_ || !session_) return;
  std::function<void()> on_strand;
  if (sent) {
    // Under a limit of bandwidth what follows waits.
    on_strand = [this, bytes = message.ByteSizeLong(), sent = std::move(sent)] {
      strand_->Post([this, bytes, sent] { strand_->PostAfter(watch_->TakeUpload(bytes), sent); });
    };
  }
  session_->Send(std::move(message), std::move(on_strand)).IgnoreError();
}

void ClientService::Step(member::Input input) {
  if (over_) return;
  if (const auto* from = std::get_if<member::FromCoordinator>(&input);
      from != nullptr && from->message.has_offer()) {
    if (absl::Status status = LookAgain(); !status.ok()) return End(std::move(status), "");
  }
  std::vector<member::Output> outputs;
  engine_->Step(std::move(input), &outputs);
  for (member::Output& output : outputs) {
    if (const auto* write = std::get_if<member::WriteLedger>(&output)) {
      if (!Write(*write)) return;
    } else {
      Handle(std::move(output));
    }
  }
}

bool ClientService::Write(const member::WriteLedger& write) {
  const absl::StatusOr<bool> written =
      ledgers_->Write(write, policy_.total_epsilon, policy_.total_delta);
  if (!written.ok()) {
    End(LedgerBroken(written.status()), "");
  } else if (!*written) {
    Step(member::BudgetSpent{});
  }
  return written.ok() && *written;
}

// The person at this machine may have changed the limits, and others may have spent on the data.
absl::Status ClientService::LookAgain() {
  if (std::optional<FileStamp> stamp = StampOfPolicy(node_.folder); stamp != policy_stamp_) {
    DURE_ASSIGN_OR_RETURN(LimitsFile limits, ReadPolicy(node_));
    policy_ = std::move(limits.policy);
    policy_stamp_ = std::move(stamp);
    engine_->set_policy(policy_);
    DURE_RETURN_IF_ERROR(CheckPins());
    DURE_RETURN_IF_ERROR(CheckTrainer(trainer_->manifest()));
    Tell(member::Tell::Level::kNote, "the limits have changed and hold from here on");
  }
  return ledgers_->Refresh();
}

// Evidence that cannot be written is told, and changes nothing else: the member leaves either way.
void ClientService::KeepEvidence(const audit::Contradiction& contradiction) {
  absl::StatusOr<std::string> path = audit::KeepEvidence(
      EvidenceFolder(node_.folder), contradiction,
      {.ca_certificate = node_.ca_certificate, .certificate = node_.coordinator_certificate});
  Tell(member::Tell::Level::kWarning,
       path.ok() ? absl::StrCat("the coordinator has contradicted itself, and the proof is in ",
                                *path, "; anybody can check it: dure audit evidence ", *path,
                                " --ca ", CaPath(node_.folder))
                 : absl::StrCat("the coordinator has contradicted itself, but the proof could not "
                                "be kept: ",
                                path.status().message()));
}

// What cannot be written is in memory still, and is written with the next round.
void ClientService::Keep(const LocalState& state) {
  const absl::Status written = WriteLocalState(node_.folder, node_.spec, state);
  if (written.ok()) return;
  Tell(member::Tell::Level::kWarning,
       absl::StrCat("what this member keeps from round to round could not be written, and is lost "
                    "if it ends before the next round: ",
                    written.message()));
}

void ClientService::Handle(member::Output output) {
  if (auto* send = std::get_if<member::Send>(&output)) {
    if (options_.before_send) options_.before_send(send->message);
    // An offer whose model is still to come is gone on with, too.
    if (send->message.has_hello() && send->message.hello().resume().empty() && without_model_) {
      send->message.mutable_hello()->set_resume(without_model_->offer().offer().session_id());
    }
    if (!upload_.Take(&send->message)) SendNow(std::move(send->message), nullptr);
  } else if (const auto* evidence = std::get_if<member::WriteEvidence>(&output)) {
    KeepEvidence(evidence->contradiction);
  } else if (const auto* keep = std::get_if<member::KeepLocalState>(&output)) {
    Keep(keep->state);
  } else if (auto* training = std::get_if<member::StartTraining>(&output)) {
    Train(std::move(*training));
  } else if (auto* evaluation = std::get_if<member::StartEvaluation>(&output)) {
    Evaluate(std::move(*evaluation));
  } else if (auto* tell = std::get_if<member::Tell>(&output)) {
    Tell(tell->level, std::move(tell->text));
  } else if (std::holds_alternative<member::WantIdle>(output)) {
    strand_->Post([this] { Step(member::Idle{}); });
  } else if (auto* done = std::get_if<member::Done>(&output)) {
    End(absl::OkStatus(), std::move(done->text));
  } else if (const auto* offered = std::get_if<member::TermsOffered>(&output)) {
    OnTermsOffered(offered->spec);
  } else if (const auto* refused = std::get_if<member::Refused>(&output)) {
    Leave(Refusal(refused->why.message()));
  }
}

void ClientService::OnTermsOffered(const FederationSpec& spec) {
  if (absl::Status valid = ValidateFederation(spec); !valid.ok()) {
    return End(Refusal(absl::StrCat("the coordinator asks for terms that make no sense: ",
                                    Printable(std::string(valid.message())))),
               "");
  }
  if (absl::Status written = WriteOfferedTerms(node_.folder, spec); !written.ok()) {
    return End(std::move(written), "");
  }
  End(Refusal("the coordinator now asks for other terms: see `dure terms show`"), "");
}

void ClientService::Leave(absl::Status why) {
  over_ = true;
  leaving_ = std::move(why);
  if (!connected_ || !session_) return End(*leaving_, "");
  session_->Close();
  strand_->PostAfter(kLeavePatience, [this] { End(*leaving_, ""); });
}

void ClientService::Train(member::StartTraining training) {
  newest_training_ = training.training;
  watch_->TrainingBegins();
  trainer_->Cancel();  // what runs is for an attempt that is over
  // Shared, and not copied: model and update may be as long as the rest of the memory.
  auto shared = std::make_shared<member::StartTraining>(std::move(training));
  worker_->Post([this, shared] {
    if (shared->training != newest_training_) {  // its attempt is over
      return strand_->Post([this] { watch_->TrainingEnds(); });
    }
    auto done = std::make_shared<member::TrainingDone>(
        member::TrainingDone{shared->training, TrainNow(*shared)});
    *shared = member::StartTraining();
    strand_->Post([this, done] {
      watch_->TrainingEnds();
      Step(std::move(*done));
    });
  });
}

void ClientService::Evaluate(member::StartEvaluation evaluation) {
  watch_->MeasuringBegins();
  auto shared = std::make_shared<member::StartEvaluation>(std::move(evaluation));
  worker_->Post([this, shared] {
    if (!shared->standards.empty()) trainer_->Standardise(shared->standards);
    member::EvaluationDone done{shared->round, trainer_->Evaluate(shared->params)};
    strand_->Post([this, done = std::move(done)] {
      watch_->MeasuringEnds();
      Step(done);
    });
  });
}

void ClientService::Tell(member::Tell::Level level, std::string text) {
  if (options_.tell) options_.tell(member::Tell{level, std::move(text)});
}

void ClientService::Stop() {
  strand_->Post([this] { End(absl::CancelledError("stopped"), ""); });
}

void ClientService::End(absl::Status status, std::string text) {
  over_ = true;
  if (session_) session_->Close();
  std::lock_guard lock(mutex_);
  if (!end_) {
    end_ = std::move(status);
    end_text_ = std::move(text);
  }
  ended_.notify_all();
}

std::optional<absl::Status> ClientService::Wait(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return end_.has_value(); });
  return end_;
}

std::string ClientService::end_text() {
  std::lock_guard lock(mutex_);
  return end_text_;
}

ControlReply ClientService::Control(const ControlRequest& request) {
  ControlReply reply;
  if (request.has_pause()) {
    const absl::Status set = watch_->SetPaused(request.pause().paused());
    reply.set_code(static_cast<int>(set.code()));
    reply.set_error(std::string(set.message()));
    return reply;
  }
  if (request.has_stop()) {
    End(absl::CancelledError("stopped"), "");
    return reply;
  }
  if (!request.has_status()) {
    reply.set_code(static_cast<int>(absl::StatusCode::kUnimplemented));
    reply.set_error("a client answers `dure client status|pause|resume` and `dure leave` only");
    return reply;
  }
  RunStatus* status = reply.mutable_status();
  status->set_federation(node_.spec.federation().name());
  status->set_state(connected_ ? "connected" : "dialling");
  *status->mutable_waiting() = watch_->Report();
  status->set_phase(status->waiting().now().text());
  status->set_round(engine_->round().value());
  status->set_rounds(node_.spec.rounds().count());
  status->set_attempt(engine_->charges());
  status->set_epsilon(engine_->epsilon());
  status->set_max_epsilon(policy_.max_epsilon);
  status->set_delta(node_.spec.privacy().delta());
  status->set_unit(ChoiceName(*PrivacySection::Unit_descriptor(), node_.spec.privacy().unit()));
  status->set_secure_aggregation(node_.spec.secure_aggregation().enabled());
  status->set_max_attempts(MostAttempts(node_.spec));
  if (ledgers_->data() != nullptr) {
    ledgers_->Refresh().IgnoreError();  // damage is told at the next offer
    *status->mutable_data() = SpentOnData(*ledgers_->data(), policy_);
  }
  return reply;
}

}  // namespace dure
