// A member and a coordinator that fail at a chosen moment, for scripts: the real services, without
// a trainer process, so that what a round released shows exactly whose input is in it.
//
//   faulty client --node DIR [--initial FILE] [--train-ms N] [--network FILE] [--data NAME]
//       [--charge-missing yes]
//     Takes part as `dure client` does. Its training is known beforehand: each round whose sum has
//     the input of member "NAME-K" in it moves coordinate K of the model by 1, if the server's
//     optimiser is fedavg. Its data are called NAME, or as its folder. It tells what happens to it,
//     a line each:
//       offer ROUND ATTEMPT MODEL_HASH MOVED SESSION   MOVED: see `faulty model`
//       sends STEP ROUND ATTEMPT                 just before the message is sent
//       released ROUND ATTEMPT                   the coordinator said so
//       failed ROUND ATTEMPT
//       welcome ROUND, finished ROUND
//       fault STEP WHAT ROUND ATTEMPT
//       says TEXT                                what a person would see
//     The file DIR/fault, "STEP WHAT", is taken when the next attempt is offered. STEP is a row of
//     the table in docs/secure-aggregation.md section 1.2: when that message has been received
//     (even), or is about to be sent and what must be in the ledger for it is there (odd). WHAT:
//       kill     the process ends as by SIGKILL
//       stop     the process stops, until SIGCONT
//       swallow, hold   written to the network FILE, which a relay obeys (wiretap_main.cc)
//       hang     the trainer does not answer before the file DIR/answer is there; STEP is 0
//   faulty coordinator DIR [--listen ADDRESS] [--moment before|after --at WHAT --nth N]
//     Runs the federation as `dure coordinator` does, and ends as by SIGKILL before or after the
//     Nth time that it writes down a fact (begun, failed, released, evaluation) or gives a message
//     to the network (welcome, offer, roster, dealt, survivors, quorum, ended, evaluate, finished).
//   faulty coordinator DIR [--listen ADDRESS] --contradict roster|dealt|survivors --to NAME
//     The same, but member NAME gets that message twice in each session, the second time another
//     one, both signed.
//   faulty model FILE --initial FILE
//     Prints how far each coordinate of a released model has been moved: "2.001,3.002,0.000".
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "client/service/client_service.h"
#include "coordinator/service/coordinator_service.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "crypto/digest.h"
#include "federation/manifest.h"
#include "federation/model_file.h"
#include "learner/trainer.h"
#include "tests/support/contradiction.h"
#include "tests/support/steps.h"

namespace dure {
namespace {

using testing::StepOf;

constexpr absl::Duration kPoll = absl::Milliseconds(20);

volatile std::sig_atomic_t stop_requested = 0;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "faulty: %s\n", what.c_str());
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) Die(std::string(value.status().message()));
  return *std::move(value);
}

// One line at once, so that it is there even if the process ends after it.
void Print(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::_Exit(1);
  }
}

using Flags = std::map<std::string, std::string>;

Flags ReadFlags(std::span<char*> words) {
  Flags flags;
  for (size_t i = 0; i < words.size(); i += 2) {
    const std::string name = words[i];
    if (!name.starts_with("--") || i + 1 == words.size()) Die("not understood: " + name);
    flags[name.substr(2)] = words[i + 1];
  }
  return flags;
}

std::string Flag(const Flags& flags, const std::string& name) {
  auto found = flags.find(name);
  return found == flags.end() ? "" : found->second;
}

int NumberFlag(const Flags& flags, const std::string& name) {
  int number = 0;
  const std::string text = Flag(flags, name);
  if (!text.empty() && !absl::SimpleAtoi(text, &number)) Die("no number: " + text);
  return number;
}

std::vector<float> InitialParams(const std::string& path) {
  return OrDie(DecodeSafetensors(OrDie(ReadFile(path, kMaxInitialModelBytes)), path)).params;
}

// "2.003,2.999,3.001,0.000": how far each coordinate has been moved.
std::string Moved(std::span<const float> params, std::span<const float> initial) {
  std::vector<std::string> moved;
  for (size_t i = 0; i < params.size(); ++i) {
    moved.push_back(absl::StrFormat("%.3f", params[i] - initial[i]));
  }
  return absl::StrJoin(moved, ",");
}

// ---- the member ----

class StubTrainer final : public Trainer {
 public:
  struct Options {
    size_t coordinate = 0;  // the member's own
    uint32_t records = 0;
    double sum = 0;  // of the clipped gradients there
    absl::Duration duration;
    std::string answer;       // a file
    std::atomic<bool>* hang;  // until that file is there
  };

  StubTrainer(ParamManifest manifest, const Options& options)
      : manifest_(std::move(manifest)), options_(options), data_{.records = options.records} {}

  const ParamManifest& manifest() const override { return manifest_; }
  const DataSummary& data() const override { return data_; }
  absl::StatusOr<LocalUpdate> Train(std::span<const float>, const LocalPlan& plan) override {
    absl::SleepFor(options_.duration);
    if (*options_.hang) {
      while (!FileExists(options_.answer)) absl::SleepFor(kPoll);
      *options_.hang = false;
      return absl::DeadlineExceededError("the trainer hung and was ended");
    }
    std::vector<int64_t> sums(manifest_.dim());
    sums.at(options_.coordinate) = static_cast<int64_t>(
        options_.sum * std::exp2(16 + std::get<GradientPlan>(plan).scale_log2));
    return sums;
  }
  absl::StatusOr<ModelMetrics> Evaluate(std::span<const float>) override {
    ModelMetrics metrics;
    metrics.set_loss(1);
    metrics.set_accuracy(0.5);
    metrics.set_records(100);
    return metrics;
  }

 private:
  const ParamManifest manifest_;
  const Options options_;
  const DataSummary data_;
};

class FaultyMember {
 public:
  explicit FaultyMember(const Flags& flags)
      : folder_(Flag(flags, "node")),
        network_(Flag(flags, "network")),
        train_time_(absl::Milliseconds(NumberFlag(flags, "train-ms"))) {
    if (const std::string path = Flag(flags, "initial"); !path.empty()) {
      initial_ = InitialParams(path);
    }
  }

  // `data` names the data that it trains on: members that say the same share a ledger.
  ClientOptions Options(const std::string& data, bool charge_missing) {
    return {.node_folder = folder_,
            .charge_missing = charge_missing,
            .tell = [](const member::Tell& tell) { Print(absl::StrCat("says ", tell.text)); },
            .make_trainer = [this](const Node& node) { return MakeTrainer(node); },
            .data_identity = Sha256(AsBytes(data)),
            .before_send = [this](const ClientMessage& message) { OnSend(message); },
            .on_receive = [this](const ServerMessage& message) { OnReceive(message); }};
  }

 private:
  absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const Node& node) {
    const FederationSpec& spec = node.spec;
    const std::string& name = node.membership.name;
    uint32_t coordinate = 0;
    if (node.membership.role == MEMBER &&
        !absl::SimpleAtoi(name.substr(name.rfind('-') + 1), &coordinate)) {
      Die(name + " does not end with its coordinate");
    }
    // The server divides by the expected batch and multiplies by its learning rate.
    const double batch = spec.local().sampling_rate() * spec.privacy().total_records();
    StubTrainer::Options options{
        .coordinate = coordinate,
        .records = static_cast<uint32_t>(spec.privacy().max_records_per_member()),
        .sum = batch / spec.server().learning_rate(),
        .duration = train_time_,
        .answer = folder_ + "/answer",
        .hang = &hang_};
    return std::make_unique<StubTrainer>(OrDie(BuiltInManifest(spec.model())), options);
  }

  void OnReceive(const ServerMessage& message) {
    if (message.has_offer()) {
      const secagg::Offer& offer = message.offer().offer();
      session_ = offer.session_id();
      attempt_ = absl::StrCat(offer.config().round(), " ", offer.config().attempt());
      std::string moved = "-";
      if (!initial_.empty()) {
        moved = Moved(OrDie(ParamsFromBytes(message.offer().model(), initial_.size())), initial_);
      }
      Print(absl::StrCat("offer ", attempt_, " ", ToHex(Sha256(AsBytes(message.offer().model()))),
                         " ", moved, " ", ToHex(AsBytes(session_))));
      TakeFault();
    } else if (message.has_attempt_ended() && message.attempt_ended().session_id() == session_) {
      Print(absl::StrCat(message.attempt_ended().released() ? "released " : "failed ", attempt_));
    } else if (message.has_welcome()) {
      Print(absl::StrCat("welcome ", message.welcome().round()));
    } else if (message.has_finished()) {
      Print(absl::StrCat("finished ", message.finished().rounds()));
    }
    FailAt(StepOf(message));
  }

  void OnSend(const ClientMessage& message) {
    const int step = StepOf(message);
    FailAt(step);
    if (step >= 0) Print(absl::StrCat("sends ", step, " ", attempt_));
  }

  void TakeFault() {
    const std::string path = folder_ + "/fault";
    std::ifstream file(path);
    if (!file) return;
    file >> fault_step_ >> fault_;
    unlink(path.c_str());
  }

  void FailAt(int step) {
    if (step < 0 || fault_.empty() || step != fault_step_) return;
    const std::string what = std::exchange(fault_, "");
    if (what == "swallow" || what == "hold") std::ofstream(network_) << what;
    if (what == "hang") hang_ = true;
    Print(absl::StrCat("fault ", step, " ", what, " ", attempt_));
    if (what == "kill") kill(getpid(), SIGKILL);
    if (what == "stop") raise(SIGSTOP);  // this thread at once, and the others with it
  }

  const std::string folder_;
  const std::string network_;
  const absl::Duration train_time_;
  std::vector<float> initial_;
  std::atomic<bool> hang_ = false;
  // On the service's thread:
  std::string session_;
  std::string attempt_;  // "ROUND ATTEMPT"
  std::string fault_;    // what to do, once
  int fault_step_ = -1;
};

int Refused(const absl::Status& status) {
  std::fprintf(stderr, "faulty: %s\n", std::string(status.message()).c_str());
  return 3;
}

// Until `service` has ended, or is asked to stop.
template <typename Service>
int WaitForEnd(Service& service) {
  for (;;) {
    if (std::optional<absl::Status> end = service.Wait(kPoll)) {
      if (end->ok() || absl::IsCancelled(*end)) return 0;
      if (IsRefusal(*end)) return Refused(*end);
      Die(std::string(end->message()));
    }
    if (stop_requested) service.Stop();
  }
}

int RunMember(const Flags& flags) {
  FaultyMember member(flags);
  Node node = OrDie(ReadNode(Flag(flags, "node")));
  node.data_folder = node.folder;  // the trainer needs none
  const std::string data = Flag(flags, "data").empty() ? node.folder : Flag(flags, "data");
  absl::StatusOr<std::unique_ptr<ClientService>> service = ClientService::Start(
      member.Options(data, !Flag(flags, "charge-missing").empty()), std::move(node));
  if (IsRefusal(service.status())) return Refused(service.status());
  return WaitForEnd(*OrDie(std::move(service)));
}

// ---- the coordinator ----

std::string NameOf(const run::Output& output) {
  if (const auto* write = std::get_if<run::Write>(&output)) {
    static constexpr const char* kFacts[] = {"begun", "failed", "released", "evaluation", "sums"};
    static_assert(std::variant_size_v<Fact> == std::size(kFacts));
    return kFacts[write->fact.index()];
  }
  const auto* send = std::get_if<run::SendTo>(&output);
  if (send == nullptr) return "";
  switch (send->message->kind_case()) {
    case ServerMessage::kWelcome:
      return "welcome";
    case ServerMessage::kAttemptEnded:
      return "ended";
    case ServerMessage::kEvaluate:
      return "evaluate";
    case ServerMessage::kFinished:
      return "finished";
    default:
      break;
  }
  static const std::map<int, std::string> kSteps = {
      {0, "offer"}, {2, "roster"}, {4, "dealt"}, {6, "survivors"}, {8, "quorum"}};
  auto step = kSteps.find(StepOf(*send->message));
  return step == kSteps.end() ? "" : step->second;
}

// What `faulty coordinator --contradict` does to the outputs of a step.
struct Lie {
  FederationFolder federation;  // for the key
  secagg::MemberId to{};
  std::optional<testing::Contradiction> contradiction;

  void Tell(std::vector<run::Output>* outputs) {
    for (size_t i = 0; i < outputs->size(); ++i) {
      const auto* send = std::get_if<run::SendTo>(&(*outputs)[i]);
      if (send == nullptr || send->member != to) continue;
      std::optional<ServerMessage> second = contradiction->Against(*send->message);
      if (!second) continue;
      auto message = std::make_shared<const ServerMessage>(*std::move(second));
      outputs->insert(outputs->begin() + static_cast<ptrdiff_t>(i) + 1,
                      run::SendTo{to, std::move(message)});
      ++i;
    }
  }
};

std::shared_ptr<Lie> MakeLie(const std::string& folder, const Flags& flags) {
  using At = testing::Contradiction::At;
  const std::map<std::string, At> kinds = {
      {"roster", At::kRoster}, {"dealt", At::kDealt}, {"survivors", At::kSurvivors}};
  const auto kind = kinds.find(Flag(flags, "contradict"));
  if (kind == kinds.end()) Die("--contradict roster, dealt or survivors");
  auto lie = std::make_shared<Lie>(Lie{.federation = OrDie(ReadFederationFolder(folder))});
  lie->contradiction.emplace(&lie->federation.key, kind->second);
  auto store = OrDie(Store::OpenForReading(folder + "/state"));
  for (const MemberRecord& member : OrDie(store->Members())) {
    if (member.name == Flag(flags, "to")) lie->to = member.client_id;
  }
  if (lie->to == secagg::MemberId{}) Die("--to: no such member");
  return lie;
}

int RunCoordinator(const std::string& folder, const Flags& flags) {
  CoordinatorOptions options{.folder = folder, .listen = Flag(flags, "listen")};
  if (flags.contains("contradict")) {
    options.alter = [lie = MakeLie(folder, flags)](std::vector<run::Output>* outputs) {
      lie->Tell(outputs);
    };
  }
  const std::string at = Flag(flags, "at"), moment = Flag(flags, "moment");
  auto left = std::make_shared<int>(std::max(1, NumberFlag(flags, "nth")));
  auto fail = [=](const run::Output& output) {
    if (NameOf(output) == at && --*left == 0) kill(getpid(), SIGKILL);
  };
  if (moment == "before") options.before = fail;
  if (moment == "after") options.after = fail;
  auto service = OrDie(CoordinatorService::Start(std::move(options)));
  Print(absl::StrCat("listening on ", service->listening()));
  return WaitForEnd(*service);
}

// ---- the model ----

int PrintModel(const std::string& path, const Flags& flags) {
  const std::vector<float> initial = InitialParams(Flag(flags, "initial"));
  const std::string bytes = OrDie(ReadFile(path, kMaxInitialModelBytes));
  Print(Moved(OrDie(ParamsFromBytes(bytes, initial.size())), initial));
  return 0;
}

int Main(int argc, char** argv) {
  std::span<char*> words(argv + 1, static_cast<size_t>(argc - 1));
  const std::string command = words.empty() ? "" : words[0];
  std::signal(SIGPIPE, SIG_IGN);
  auto on_stop = [](int) { stop_requested = 1; };
  std::signal(SIGTERM, on_stop);
  std::signal(SIGINT, on_stop);
  if (command == "client") return RunMember(ReadFlags(words.subspan(1)));
  if (words.size() >= 2) {
    const Flags flags = ReadFlags(words.subspan(2));
    if (command == "coordinator") return RunCoordinator(words[1], flags);
    if (command == "model") return PrintModel(words[1], flags);
  }
  Die("usage: faulty client|coordinator|model ...; see tests/support/faulty_main.cc");
}

}  // namespace
}  // namespace dure

int main(int argc, char** argv) { return dure::Main(argc, argv); }
