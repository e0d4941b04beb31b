#include "learner/trainer_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/data/table.h"
#include "learner/local_plan.h"
#include "learner/metrics.h"
#include "learner/namespaces.h"
#include "learner/sandbox.h"

namespace dure {
namespace {

constexpr int kSocketInChild = 3;  // trainer_main.cc
constexpr absl::Duration kSendTimeout = absl::Seconds(30);
// A process whose socket is closed is gone a moment later: looked for this often, with a pause.
constexpr int kEndLooks = 100;
constexpr unsigned kEndPauseUs = 1000;

// What the libraries of the trainer need of the environment, if it is set: where libraries are,
// and what OpenBLAS is to take the processor for.
constexpr const char* kPassedOn[] = {"LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};

std::vector<std::string> Environment(int threads) {
  std::vector<std::string> environment = {absl::StrCat("OMP_NUM_THREADS=", threads),
                                          absl::StrCat("OPENBLAS_NUM_THREADS=", threads),
                                          "LC_ALL=C"};
  for (const char* name : kPassedOn) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(absl::StrCat(name, "=", value));
    }
  }
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Not valid for "".
absl::StatusOr<FileDescriptor> OpenIfNamed(const std::string& path) {
  if (path.empty()) return FileDescriptor();
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  return file;
}

absl::StatusOr<FileDescriptor> InMemory(const std::string& text) {
  FileDescriptor file(memfd_create("dure-schema", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "cannot make room for the schema");
  for (size_t at = 0; at < text.size();) {
    const ssize_t wrote = write(file.get(), text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return ErrnoStatus(errno, "cannot write the schema to memory");
    at += static_cast<size_t>(wrote);
  }
  return file;
}

// What the new process may not take back.
void Bind(uint64_t memory_bytes, bool background) {
  // Where it is not allowed, it is no reason not to train.
  if (background) {
    constexpr int kWhoProcess = 1, kIdleClass = 3 << 13;  // linux/ioprio.h
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, kWhoProcess, 0, kIdleClass);
  }
  rlimit limit;
  if (!kSanitized && getrlimit(RLIMIT_DATA, &limit) == 0) {
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, memory_bytes);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    if (setrlimit(RLIMIT_DATA, &limit) != 0) _exit(127);
  }
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  LeaveNamespaces();
}

// In the new process, before the program: only what is safe after fork() in a process with threads.
// Keeps standard error and the socket; anything else is closed.
[[noreturn]] void Become(const char* program, char** arguments, char** environment, int socket,
                         int null, uint64_t memory_bytes, bool background) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);  // Ctrl-C is for the client, which ends the trainer in its own time
  if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(127);
  if (socket == kSocketInChild) {
    if (fcntl(socket, F_SETFD, 0) != 0) _exit(127);
  } else if (dup2(socket, kSocketInChild) < 0) {
    _exit(127);
  }
  if (close_range(kSocketInChild + 1, ~0U, 0) != 0) {
    // A kernel before 5.9, or a container that does not know the call.
    rlimit limit;
    const int last = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (1 << 20)
                         ? static_cast<int>(limit.rlim_cur)
                         : 1 << 20;
    for (int fd = kSocketInChild + 1; fd < last; ++fd) close(fd);
  }
  Bind(memory_bytes, background);
  execve(program, arguments, environment);
  _exit(127);
}

}  // namespace

// A running trainer and what is shared with it. Ends it when destroyed.
class TrainerProcess::Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(const TrainerOptions& options, uint64_t dim) {
    auto child = std::unique_ptr<Child>(new Child);
    DURE_ASSIGN_OR_RETURN(
        SharedMemory params,
        SharedMemory::Create("dure-parameters", dim * sizeof(float), SharedMemory::Peer::kReads));
    DURE_ASSIGN_OR_RETURN(
        SharedMemory update,
        SharedMemory::Create("dure-update", std::max(dim, options.most_sums) * sizeof(int64_t),
                             SharedMemory::Peer::kWrites));
    child->params_.emplace_back(std::move(params));
    child->update_.emplace_back(std::move(update));
    DURE_RETURN_IF_ERROR(child->Spawn(options));
    return child;
  }

  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // How a process that has closed its socket ended, in words.
  std::string EndInWords() {
    int how = 0;
    pid_t ended = 0;
    for (int i = 0; i < kEndLooks && ended == 0; ++i) {
      if (i > 0) usleep(kEndPauseUs);
      ended = waitpid(pid_, &how, WNOHANG);
    }
    if (ended != pid_) return "it stopped answering";
    pid_ = -1;
    if (WIFSIGNALED(how)) {
      return absl::StrCat("it was ended by signal ", WTERMSIG(how), " (", strsignal(WTERMSIG(how)),
                          "), as by a machine that has no memory left");
    }
    return absl::StrCat("it ended by itself, with exit code ", WEXITSTATUS(how));
  }

  SharedMemory& params() { return params_.front(); }
  SharedMemory& update() { return update_.front(); }

  absl::Status Send(const TrainerRequest& request, std::span<const int> descriptors = {},
                    absl::Duration timeout = kSendTimeout) {
    return SendTrainerPacket(socket_.get(), request.SerializeAsString(), descriptors, timeout);
  }

  absl::StatusOr<std::string> Receive(absl::Duration timeout) {
    DURE_ASSIGN_OR_RETURN(TrainerPacket packet, ReceiveTrainerPacket(socket_.get(), 0, timeout));
    return std::move(packet.bytes);
  }

 private:
  Child() = default;

  absl::Status Spawn(const TrainerOptions& options) {
    if (access(options.program.c_str(), X_OK) != 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot run the trainer ", options.program, ": ", std::strerror(errno)));
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      return ErrnoStatus(errno, "cannot make the trainer's socket");
    }
    socket_ = FileDescriptor(ends[0]);
    FileDescriptor theirs(ends[1]);
    FileDescriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null.valid()) return ErrnoStatus(errno, "cannot open /dev/null");
    std::vector<std::string> arguments = {"dure-trainer"};
    std::vector<std::string> environment = Environment(options.threads);
    std::vector<char*> argument_pointers = Pointers(arguments);
    std::vector<char*> environment_pointers = Pointers(environment);
    pid_ = fork();
    if (pid_ < 0) return ErrnoStatus(errno, "cannot start the trainer's process");
    if (pid_ == 0) {
      Become(options.program.c_str(), argument_pointers.data(), environment_pointers.data(),
             theirs.get(), null.get(), options.memory_bytes, options.background);
    }
    return absl::OkStatus();
  }

  pid_t pid_ = -1;
  FileDescriptor socket_;
  std::vector<SharedMemory> params_, update_;  // one each
};

TrainerProcess::TrainerProcess(TrainerOptions options) : options_(std::move(options)) {}
TrainerProcess::~TrainerProcess() = default;

const ParamManifest& TrainerProcess::manifest() const { return manifest_; }
const DataSummary& TrainerProcess::data() const { return data_; }
const std::vector<SandboxLayer>& TrainerProcess::sandbox() const { return sandbox_; }
pid_t TrainerProcess::pid() const { return child_ ? child_->pid() : -1; }

absl::StatusOr<std::unique_ptr<TrainerProcess>> TrainerProcess::Start(TrainerOptions options) {
  auto trainer = std::unique_ptr<TrainerProcess>(new TrainerProcess(std::move(options)));
  DURE_ASSIGN_OR_RETURN(trainer->manifest_, BuiltInManifest(trainer->options_.model));
  DURE_ASSIGN_OR_RETURN(trainer->files_,
                        OpenDataFolder(trainer->options_.data_folder, trainer->options_.part));
  const TrainerOptions& asked = trainer->options_;
  DURE_ASSIGN_OR_RETURN(trainer->module_, OpenIfNamed(asked.module_file));
  DURE_ASSIGN_OR_RETURN(trainer->vocabulary_, OpenIfNamed(asked.vocabulary_file));
  DURE_ASSIGN_OR_RETURN(trainer->schema_, OpenIfNamed(asked.schema_file));
  if (asked.standards) DURE_RETURN_IF_ERROR(trainer->UseStandards(*asked.standards));
  DURE_RETURN_IF_ERROR(trainer->EnsureRunning());
  return trainer;
}

// Ends a trainer that did not answer as it should; its own complaints about what it was asked keep
// it running. Unavailable, DeadlineExceeded or the complaint.
absl::Status TrainerProcess::AfterFailure(const absl::Status& status, const char* doing) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
      return status;
    default:
      break;
  }
  const bool late = absl::IsDeadlineExceeded(status);
  // Only Unavailable says that the process is gone.
  const std::string why =
      absl::IsUnavailable(status) && child_ ? child_->EndInWords() : std::string(status.message());
  child_.reset();
  const std::string message = absl::StrCat(
      "the trainer failed while ", doing, " ", options_.data_folder, ": ", why,
      late && !options_.module_file.empty()
          ? absl::StrCat("; the module ", options_.model.torchscript(), " may never end")
          : "");
  return late ? absl::DeadlineExceededError(message) : absl::UnavailableError(message);
}

absl::Status TrainerProcess::EnsureRunning() {
  if (child_) return absl::OkStatus();
  DURE_RETURN_IF_ERROR(not_standardised_);
  DURE_ASSIGN_OR_RETURN(child_, Child::Start(options_, manifest_.dim()));
  absl::StatusOr<LoadedReply> loaded = Load();
  if (!loaded.ok()) {
    absl::Status status = AfterFailure(loaded.status(), "loading");
    child_.reset();  // without a model it is of no use
    return status;
  }
  manifest_ = std::move(loaded->manifest);
  data_ = std::move(loaded->data);
  sandbox_ = std::move(loaded->sandbox);
  return absl::OkStatus();
}

absl::StatusOr<LoadedReply> TrainerProcess::Load() {
  TrainerRequest request;
  TrainerLoad& load = *request.mutable_load();
  *load.mutable_model() = options_.model;
  load.set_threads(static_cast<uint32_t>(std::max(1, options_.threads)));
  load.set_images_name(files_.images_path);
  load.set_labels_name(files_.labels_path);
  load.set_most_sums(options_.most_sums);
  load.set_data_kind(static_cast<uint32_t>(files_.kind));
  load.set_has_module(module_.valid());
  load.set_has_vocabulary(vocabulary_.valid());
  load.set_has_schema(schema_.valid());
  std::vector<int> descriptors = {files_.images.get(), files_.labels.get(),
                                  child_->params().descriptor(), child_->update().descriptor()};
  for (const FileDescriptor* file : {&module_, &vocabulary_, &schema_}) {
    if (file->valid()) descriptors.push_back(file->get());
  }
  DURE_RETURN_IF_ERROR(child_->Send(request, descriptors));
  DURE_ASSIGN_OR_RETURN(std::string reply, child_->Receive(options_.load_timeout));
  const bool classes = options_.model.loss() == ModelSection::CROSS_ENTROPY;
  return ParseLoadedReply(reply, manifest_, classes ? options_.model.input().classes() : 0);
}

absl::Status TrainerProcess::SetParams(std::span<const float> params) {
  if (params.size() != manifest_.dim()) {
    return absl::InvalidArgumentError(
        absl::StrCat(params.size(), " parameters for a model of ", manifest_.dim()));
  }
  DURE_RETURN_IF_ERROR(EnsureRunning());
  std::memcpy(child_->params().data(), params.data(), params.size_bytes());
  return absl::OkStatus();
}

absl::StatusOr<LocalUpdate> TrainerProcess::Train(std::span<const float> params,
                                                  const LocalPlan& plan) {
  DURE_RETURN_IF_ERROR(CheckPlan(plan, data_.records));
  if (const auto* epochs = std::get_if<EpochsPlan>(&plan);
      epochs && !epochs->correction.empty() && epochs->correction.size() != manifest_.dim()) {
    return absl::InvalidArgumentError(absl::StrCat("a correction of ", epochs->correction.size(),
                                                   " numbers for a model of ", manifest_.dim()));
  }
  DURE_RETURN_IF_ERROR(SetParams(params));
  const auto* gradient = std::get_if<GradientPlan>(&plan);
  const bool sums =
      std::holds_alternative<StatisticsPlan>(plan) || std::holds_alternative<EvaluationPlan>(plan);
  absl::StatusOr<LocalUpdate> update = gradient != nullptr ? RunGradient(*gradient)
                                       : sums              ? RunSums(plan)
                                                           : RunLocal(plan);
  if (!update.ok()) return AfterFailure(update.status(), "training on");
  return update;
}

absl::StatusOr<LocalUpdate> TrainerProcess::RunGradient(const GradientPlan& plan) {
  size_t sent = 0;
  do {
    TrainerRequest request = RequestOf(plan);
    TrainerTrain& train = *request.mutable_train();
    const size_t end = std::min(plan.records.size(), sent + kMaxRecordsPerPacket);
    for (; sent < end; ++sent) train.add_records(plan.records[sent]);
    train.set_more(sent < plan.records.size());
    DURE_RETURN_IF_ERROR(child_->Send(request));
  } while (sent < plan.records.size());
  DURE_ASSIGN_OR_RETURN(std::string reply, child_->Receive(options_.train_timeout));
  DURE_RETURN_IF_ERROR(ParseTrainedReply(reply, plan.records.size()));
  // Copied first and checked afterwards: the trainer can still write to the memory.
  std::vector<int64_t> update(manifest_.dim());
  std::memcpy(update.data(), child_->update().data(), update.size() * sizeof(int64_t));
  DURE_RETURN_IF_ERROR(CheckUpdate(update, plan.records.size(), plan.clip_norm, plan.scale_log2));
  return update;
}

absl::StatusOr<LocalUpdate> TrainerProcess::RunLocal(const LocalPlan& plan) {
  if (const auto* epochs = std::get_if<EpochsPlan>(&plan); epochs && !epochs->correction.empty()) {
    std::memcpy(child_->update().data(), epochs->correction.data(),
                epochs->correction.size() * sizeof(float));
  }
  DURE_RETURN_IF_ERROR(child_->Send(RequestOf(plan)));
  SetTraining(true);
  absl::StatusOr<std::string> reply = child_->Receive(options_.train_timeout);
  SetTraining(false);
  if (absl::IsDeadlineExceeded(reply.status())) {
    return absl::DeadlineExceededError(absl::StrCat(
        "it was not done after ", absl::FormatDuration(options_.train_timeout),
        "; if it does not hang, the organiser can give more time (rounds.deadline) or ask for less "
        "local training"));
  }
  DURE_RETURN_IF_ERROR(reply.status());
  DURE_RETURN_IF_ERROR(ParseTrainedReply(*reply, 0));
  std::vector<float> update(manifest_.dim());
  std::memcpy(update.data(), child_->update().data(), update.size() * sizeof(float));
  DURE_RETURN_IF_ERROR(CheckUpdate(update));
  return update;
}

absl::StatusOr<LocalUpdate> TrainerProcess::RunSums(const LocalPlan& plan) {
  const auto* statistics = std::get_if<StatisticsPlan>(&plan);
  uint64_t size = MetricSums(options_.model.loss(), options_.model.input().classes()).size();
  int grid_log2 = 0;
  if (statistics != nullptr) {
    if (!schema_.valid()) {
      return absl::FailedPreconditionError("statistics need the federation's schema (data.schema)");
    }
    DURE_ASSIGN_OR_RETURN(Schema schema, ReadSchema(schema_.get(), options_.schema_file));
    DURE_ASSIGN_OR_RETURN(const ColumnSums sums,
                          ColumnSums::Create(std::move(schema), statistics->bins));
    size = sums.size();
    grid_log2 = statistics->grid_log2;
  } else {
    grid_log2 = std::get<EvaluationPlan>(plan).grid_log2;
  }
  if (size > options_.most_sums) {
    return absl::InvalidArgumentError(absl::StrCat(size, " sums, limit ", options_.most_sums));
  }
  DURE_RETURN_IF_ERROR(child_->Send(RequestOf(plan)));
  DURE_ASSIGN_OR_RETURN(const std::string reply, child_->Receive(options_.train_timeout));
  DURE_RETURN_IF_ERROR(ParseTrainedReply(reply, 0));
  std::vector<int64_t> sums(size);
  std::memcpy(sums.data(), child_->update().data(), sums.size() * sizeof(int64_t));
  // A record adds from 0 to 1 to each.
  const int64_t most = static_cast<int64_t>(data_.records) << grid_log2;
  if (!std::all_of(sums.begin(), sums.end(),
                   [&](int64_t sum) { return sum >= 0 && sum <= most; })) {
    return absl::InternalError(absl::StrCat("a sum that ", data_.records, " records cannot give"));
  }
  return sums;
}

// The federation's schema with a standardisation, in the place of its own and of that beside the
// table, which goes on saying how the file is written. The files that were named stay.
absl::Status TrainerProcess::UseStandards(const Standardisation& standards) {
  if (!schema_.valid() || !IsTable(files_)) return absl::OkStatus();
  DURE_ASSIGN_OR_RETURN(Schema schema, ReadSchema(schema_.get(), options_.schema_file));
  DURE_ASSIGN_OR_RETURN(const Schema beside, ReadSchema(files_.labels.get(), files_.labels_path));
  schema = StandardisedBy(std::move(schema), standards);
  DURE_ASSIGN_OR_RETURN(FileDescriptor federation, InMemory(SchemaToText(schema)));
  schema.format = beside.format;
  DURE_ASSIGN_OR_RETURN(files_.labels, InMemory(SchemaToText(schema)));
  schema_ = std::move(federation);
  options_.standards = standards;
  return absl::OkStatus();
}

void TrainerProcess::Standardise(const Standardisation& standards) {
  if (options_.standards == standards) return;
  // What memory was not there for is told by the call that needs it: no trainer, no update.
  const absl::Status used = UseStandards(standards);
  if (!used.ok()) options_.standards.reset();
  child_.reset();
  not_standardised_ = used;
}

void TrainerProcess::SetTraining(bool training) {
  std::lock_guard lock(mutex_);
  training_ = training;
}

void TrainerProcess::Cancel() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(training_, false)) return;
  TrainerRequest request;
  request.mutable_cancel();
  // A trainer that is gone, or takes nothing, is dealt with by the call that waits for it.
  child_->Send(request, {}, absl::ZeroDuration()).IgnoreError();
}

absl::StatusOr<ModelMetrics> TrainerProcess::Evaluate(std::span<const float> params) {
  DURE_RETURN_IF_ERROR(SetParams(params));
  absl::StatusOr<ModelMetrics> result = RunEvaluate();
  if (!result.ok()) return AfterFailure(result.status(), "evaluating on");
  return result;
}

absl::StatusOr<ModelMetrics> TrainerProcess::RunEvaluate() {
  TrainerRequest request;
  request.mutable_evaluate();
  DURE_RETURN_IF_ERROR(child_->Send(request));
  DURE_ASSIGN_OR_RETURN(std::string reply, child_->Receive(options_.evaluate_timeout));
  return ParseEvaluatedReply(reply, data_.records);
}

}  // namespace dure
