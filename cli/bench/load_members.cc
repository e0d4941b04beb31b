// Many members in one process, for `dure bench load`: each has its own connection over mutual TLS,
// its own session and engine, and says what a client says. What a client has besides, a trainer, a
// control socket and ledgers on disk, they have not, so that a thousand fit beside the coordinator
// that they are to load.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/strand.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/exit_code.h"
#include "client/engine.h"
#include "client/service/input_upload.h"
#include "federation/manifest.h"
#include "privacy/secagg/certificate_cache.h"
#include "transport/backoff.h"
#include "transport/client.h"

namespace dure::bench {
namespace {

constexpr uint32_t kRecords = 1000;
// Members that dial at the same time: a handshake takes processor time at both ends.
constexpr uint32_t kDialling = 16;

// What all members of the process share. Used on one strand.
struct Shared {
  explicit Shared(FederationFolder read) : federation(std::move(read)) {}

  FederationFolder federation;
  std::string address;
  uint64_t dim = 0;
  PublicKey coordinator{};
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<secagg::CertificateCache> verifier;
  std::function<void()> arrived;  // one more member is connected
  Strand strand;
};

// Lives on the strand.
class LoadMember final : private SessionEvents {
 public:
  LoadMember(Shared* shared, LoadIdentity identity)
      : shared_(*shared),
        identity_(std::move(identity)),
        backoff_(&shared->random),
        upload_([this](ClientMessage message, std::function<void()> sent) {
          SendNow(std::move(message), std::move(sent));
        }) {
    const FederationSpec& spec = shared_.federation.spec;
    engine_ = std::make_unique<MemberEngine>(
        MemberEngine::Options{.spec = spec,
                              .spec_digest = shared_.federation.spec_digest,
                              .policy = PolicyOf(spec),
                              .dim = shared_.dim,
                              .records = kRecords,
                              .key = &identity_.key,
                              .certificate = identity_.certificate,
                              .coordinator = shared_.coordinator,
                              .verifier = shared_.verifier.get(),
                              .random = &shared_.random},
        Ledger());
  }

  void Dial() {
    session_.reset();
    absl::StatusOr<std::unique_ptr<Session>> session =
        Session::Open({.address = shared_.address,
                       .ca_pem = CertificateToPem(shared_.federation.ca_certificate),
                       .certificate_pem = CertificateToPem(identity_.certificate),
                       .key_pem = ToString(identity_.key.ToPem().view())},
                      this);
    if (session.ok()) session_ = *std::move(session);
  }

 private:
  // On gRPC's threads.
  void OnOpen(Certificate, std::string) override {
    shared_.strand.Post([this] {
      connected_ = true;
      backoff_.Reset();
      if (!std::exchange(was_connected_, true)) shared_.arrived();
      Step(member::Connected{});
    });
  }
  void OnMessage(ServerMessage message, std::shared_ptr<void> credit) override {
    auto shared = std::make_shared<ServerMessage>(std::move(message));
    shared_.strand.Post([this, shared, credit = std::move(credit)] {
      if (!connected_) return;
      upload_.Heard(*shared);
      Step(member::FromCoordinator{std::move(*shared)});
    });
  }
  void OnClose(absl::Status) override {
    shared_.strand.Post([this] {
      connected_ = false;
      upload_.Disconnected();
      Step(member::Disconnected{});
      shared_.strand.PostAfter(backoff_.Next(), [this] { Dial(); });
    });
  }

  void SendNow(ClientMessage message, std::function<void()> sent) {
    if (!connected_ || !session_) return;
    std::function<void()> on_strand;
    if (sent) on_strand = [this, sent = std::move(sent)] { shared_.strand.Post(sent); };
    session_->Send(std::move(message), std::move(on_strand)).IgnoreError();
  }

  void Step(member::Input input) {
    std::vector<member::Output> outputs;
    engine_->Step(std::move(input), &outputs);
    for (member::Output& output : outputs) {
      if (auto* send = std::get_if<member::Send>(&output)) {
        if (!upload_.Take(&send->message)) SendNow(std::move(send->message), nullptr);
      } else if (auto* training = std::get_if<member::StartTraining>(&output)) {
        // Training that takes no time: the direction is zero.
        shared_.strand.Post([this, number = training->training] {
          Step(member::TrainingDone{number, LocalUpdate(std::vector<int64_t>(shared_.dim))});
        });
      }
    }
  }

  Shared& shared_;
  const LoadIdentity identity_;
  Backoff backoff_;
  InputUpload upload_;
  std::unique_ptr<MemberEngine> engine_;
  bool connected_ = false;
  bool was_connected_ = false;
  std::unique_ptr<Session> session_;
};

}  // namespace

int RunLoadMembers(const std::vector<std::string>& arguments) {
  uint32_t first = 0, count = 0;
  if (arguments.size() != 4 || !absl::SimpleAtoi(arguments[1], &first) ||
      !absl::SimpleAtoi(arguments[2], &count) || count == 0) {
    return cli::kUsage;
  }
  absl::StatusOr<FederationFolder> federation = ReadFixtureFederation(arguments[0]);
  if (!federation.ok()) return cli::Fail(federation.status());
  Shared shared(*std::move(federation));
  shared.address = arguments[3];
  shared.coordinator = shared.federation.key.public_key();
  shared.verifier =
      std::make_unique<secagg::CertificateCache>(shared.federation.ca_certificate, &shared.clock);
  absl::StatusOr<ParamManifest> manifest = BuiltInManifest(shared.federation.spec.model());
  if (!manifest.ok()) return cli::Fail(manifest.status());
  shared.dim = manifest->dim();
  std::vector<std::unique_ptr<LoadMember>> members;
  for (uint32_t i = 0; i < count; ++i) {
    absl::StatusOr<LoadIdentity> identity = ReadLoadIdentity(arguments[0], first + i);
    if (!identity.ok()) return cli::Fail(identity.status());
    members.push_back(std::make_unique<LoadMember>(&shared, *std::move(identity)));
  }
  uint32_t dialled = 0, here = 0;
  shared.arrived = [&] {
    ++here;
    Say(absl::StrCat("here ", here));
    if (dialled < count) members[dialled++]->Dial();
  };
  shared.strand.PostAndWait([&] {
    while (dialled < std::min(count, kDialling)) members[dialled++]->Dial();
  });
  for (;;) pause();  // until it is killed
}

}  // namespace dure::bench
