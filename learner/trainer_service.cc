#include "learner/trainer_service.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "learner/data/dataset.h"
#include "learner/dp_sgd.h"
#include "learner/epochs.h"
#include "learner/evaluate.h"
#include "learner/gradient_sum.h"
#include "learner/local_plan.h"
#include "learner/record_sums.h"

namespace dure {
namespace {

constexpr uint32_t kMaxThreads = 256;
// A reply is small; a client that takes none for so long is not there.
constexpr absl::Duration kReplyTimeout = absl::Seconds(30);

// What LibTorch and the C++ library say of an allocation that was refused, wherever it happened.
bool IsOutOfMemory(const absl::Status& status) {
  const absl::string_view text = status.message();
  return absl::StrContains(text, "allocate memory") || absl::StrContains(text, "bad_alloc");
}

TrainerReply ErrorReply(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) && IsOutOfMemory(status)) {
    return ErrorReply(absl::ResourceExhaustedError(
        "the model needs more memory than this member allows its trainer: raise the limit with "
        "`dure policy set max_memory SIZE`, or leave the federation"));
  }
  TrainerReply reply;
  reply.mutable_error()->set_code(static_cast<int>(status.code()));
  reply.mutable_error()->set_text(std::string(status.message().substr(0, kMaxTrainerTextBytes)));
  return reply;
}

// What came with Load besides shared memory.
struct LoadFiles {
  DataFiles data;
  FileDescriptor module;  // not valid where there is none
};

absl::StatusOr<LoadFiles> TakeFiles(const TrainerLoad& load, TrainerPacket& packet) {
  size_t wanted = kTrainerDescriptors;
  for (bool named : {load.has_module(), load.has_vocabulary(), load.has_schema()}) wanted += named;
  if (packet.descriptors.size() != wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat(packet.descriptors.size(), " descriptors, ", wanted, " are needed"));
  }
  if (load.data_kind() > static_cast<uint32_t>(DataKind::kOwn)) {
    return absl::InvalidArgumentError(absl::StrCat("data of the kind ", load.data_kind()));
  }
  LoadFiles files;
  files.data.images = std::move(packet.descriptors[0]);
  files.data.labels = std::move(packet.descriptors[1]);
  files.data.images_path = load.images_name();
  files.data.labels_path = load.labels_name();
  files.data.kind = static_cast<DataKind>(load.data_kind());
  size_t next = kTrainerDescriptors;
  if (load.has_module()) files.module = std::move(packet.descriptors[next++]);
  if (load.has_vocabulary()) files.data.vocabulary = std::move(packet.descriptors[next++]);
  if (load.has_schema()) files.data.schema = std::move(packet.descriptors[next++]);
  return files;
}

}  // namespace

struct TrainerService::Loaded {
  Loaded(std::unique_ptr<TrainableModel> trained, Dataset dataset, SharedMemory params_memory,
         SharedMemory update_memory, DataFiles data_files, int thread_count)
      : model(std::move(trained)),
        threads(thread_count),
        data(std::move(dataset)),
        params(std::move(params_memory)),
        update(std::move(update_memory)),
        files(std::move(data_files)),
        gradient_sum(*model, thread_count) {}

  std::span<const float> Params() const {
    return {static_cast<const float*>(params.data()), model->dim()};
  }
  template <typename T>
  std::span<T> Update() const {
    return {static_cast<T*>(update.data()), model->dim()};
  }

  std::unique_ptr<TrainableModel> model;
  int threads;
  Dataset data;
  SharedMemory params;
  SharedMemory update;
  DataFiles files;  // a table is read again for statistics
  GradientSum gradient_sum;
  // Made when they are first asked for.
  std::optional<EpochTraining> epochs;
  std::optional<DpSgd> dp_sgd;
};

TrainerService::TrainerService(int socket, std::vector<SandboxLayer> sandbox, TrainerParts parts)
    : socket_(socket), sandbox_(std::move(sandbox)), parts_(std::move(parts)) {}
TrainerService::~TrainerService() = default;

absl::Status TrainerService::Run() {
  for (;;) {
    auto packet = ReceiveTrainerPacket(socket_, kMaxTrainerDescriptors, absl::InfiniteDuration());
    if (absl::IsUnavailable(packet.status())) return absl::OkStatus();
    DURE_RETURN_IF_ERROR(packet.status());
    TrainerRequest request;
    const bool is_request = request.ParseFromString(packet->bytes);
    if (is_request && request.has_cancel()) continue;  // what it was for is done
    absl::StatusOr<TrainerReply> reply = absl::InvalidArgumentError("bytes that are no request");
    if (is_request) reply = Answer(std::move(request), *std::move(packet));
    if (absl::IsUnavailable(reply.status())) return absl::OkStatus();
    if (!reply.ok()) reply = ErrorReply(reply.status());
    absl::Status sent = SendTrainerPacket(socket_, reply->SerializeAsString(), {}, kReplyTimeout);
    if (absl::IsUnavailable(sent)) return absl::OkStatus();
    DURE_RETURN_IF_ERROR(sent);
  }
}

absl::StatusOr<TrainerReply> TrainerService::Answer(TrainerRequest request, TrainerPacket packet) {
  if (request.has_load()) return Load(request.load(), std::move(packet));
  if (!loaded_) return absl::FailedPreconditionError("nothing has been loaded yet");
  absl::StatusOr<TrainerReply> reply =
      request.has_evaluate() ? Evaluate() : Train(std::move(request));
  TellTrouble();
  return reply;
}

// To the member alone, whose standard error this is; what is sent says nothing of it.
void TrainerService::TellTrouble() {
  const std::string trouble = loaded_->model->trouble();
  if (trouble.empty() || told_trouble_) return;
  told_trouble_ = true;
  std::fprintf(stderr, "the trainer: the model cannot be computed on some records: %s\n",
               Printable(trouble).c_str());
}

absl::StatusOr<TrainerReply> TrainerService::Load(const TrainerLoad& load, TrainerPacket packet) {
  if (loaded_) return absl::FailedPreconditionError("a model has been loaded already");
  DURE_ASSIGN_OR_RETURN(LoadFiles files, TakeFiles(load, packet));
  const int threads = static_cast<int>(std::clamp(load.threads(), 1u, kMaxThreads));
  if (files.module.valid() && !parts_.make_module) {
    return absl::FailedPreconditionError("this trainer trains no modules of a file");
  }
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<TrainableModel> model,
                        files.module.valid()
                            ? parts_.make_module(load.model(), threads, files.module.get())
                            : parts_.make_model(load.model(), threads));
  const ParamManifest& manifest = model->manifest();
  DURE_ASSIGN_OR_RETURN(Dataset data, parts_.read_data(files.data, load.model()));
  DURE_RETURN_IF_ERROR(CheckDataset(data, load.model(), load.images_name()));
  DURE_ASSIGN_OR_RETURN(SharedMemory params,
                        SharedMemory::Map(std::move(packet.descriptors[2]),
                                          manifest.dim() * sizeof(float), /*writable=*/false));
  const uint64_t most_sums = std::min(load.most_sums(), kMaxColumnSums);
  DURE_ASSIGN_OR_RETURN(
      SharedMemory update,
      SharedMemory::Map(std::move(packet.descriptors[3]),
                        std::max(manifest.dim(), most_sums) * sizeof(int64_t), /*writable=*/true));

  TrainerReply reply;
  TrainerLoaded& loaded = *reply.mutable_loaded();
  for (const ParamEntry& entry : manifest.params) {
    TrainerLoaded::Param& param = *loaded.add_params();
    param.set_name(entry.name);
    param.mutable_shape()->Add(entry.shape.begin(), entry.shape.end());
  }
  loaded.set_records(data.records());
  if (model->loss() == ModelSection::CROSS_ENTROPY) {
    for (uint64_t count : data.LabelCounts(model->classes())) loaded.add_label_counts(count);
  }
  for (const SandboxLayer& layer : sandbox_) {
    TrainerLoaded::Layer& out = *loaded.add_sandbox();
    out.set_name(layer.name);
    out.set_applied(layer.applied);
    out.set_detail(layer.detail);
  }
  loaded_ = std::make_unique<Loaded>(std::move(model), std::move(data), std::move(params),
                                     std::move(update), std::move(files.data), threads);
  return reply;
}

// The update is in shared memory when the reply is sent.
absl::StatusOr<TrainerReply> TrainerService::Train(TrainerRequest request) {
  DURE_ASSIGN_OR_RETURN(LocalPlan plan, PlanOf(request, loaded_->data.records()));
  if (auto* gradient = std::get_if<GradientPlan>(&plan)) {
    return Gradient(std::move(*gradient), std::move(*request.mutable_train()));
  }
  if (std::holds_alternative<StatisticsPlan>(plan) ||
      std::holds_alternative<EvaluationPlan>(plan)) {
    return Sums(plan);
  }
  Loaded& loaded = *loaded_;
  // Until it has the answer, the client sends nothing but that it wants none.
  const auto cancelled = [this] { return TrainerPacketWaits(socket_); };
  if (auto* epochs = std::get_if<EpochsPlan>(&plan)) {
    if (request.epochs().corrected()) {
      const std::span<const float> correction = loaded.Update<float>();
      epochs->correction.assign(correction.begin(), correction.end());
    }
    if (!loaded.epochs) loaded.epochs.emplace(loaded.model.get(), loaded.threads);
    DURE_RETURN_IF_ERROR(loaded.epochs->Run(loaded.data, loaded.Params(), *epochs,
                                            loaded.Update<float>(), cancelled));
  } else {
    if (!loaded.dp_sgd) loaded.dp_sgd.emplace(loaded.model.get(), loaded.threads);
    DURE_RETURN_IF_ERROR(loaded.dp_sgd->Run(loaded.data, loaded.Params(), std::get<DpSgdPlan>(plan),
                                            loaded.Update<float>(), cancelled));
  }
  TrainerReply reply;
  reply.mutable_trained();
  return reply;
}

absl::StatusOr<TrainerReply> TrainerService::Sums(const LocalPlan& plan) {
  std::vector<int64_t> sums;
  if (const auto* statistics = std::get_if<StatisticsPlan>(&plan)) {
    if (!IsTable(loaded_->files)) {
      return absl::FailedPreconditionError("statistics are of the columns of a table");
    }
    DURE_ASSIGN_OR_RETURN(sums, StatisticsSums(loaded_->files, *statistics));
  } else {
    loaded_->model->SetParams(loaded_->Params());
    sums = EvaluationSums(*loaded_->model, loaded_->data, loaded_->threads,
                          std::get<EvaluationPlan>(plan));
  }
  const size_t bytes = sums.size() * sizeof(int64_t);
  if (bytes > loaded_->update.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(sums.size(), " sums, more than there is room for"));
  }
  std::memcpy(loaded_->update.data(), sums.data(), bytes);
  TrainerReply reply;
  reply.mutable_trained();
  return reply;
}

absl::StatusOr<TrainerReply> TrainerService::Gradient(GradientPlan plan, TrainerTrain train) {
  for (;;) {
    plan.records.insert(plan.records.end(), train.records().begin(), train.records().end());
    if (plan.records.size() > loaded_->data.records()) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", loaded_->data.records(), " records, which is all there are"));
    }
    if (!train.more()) break;
    DURE_ASSIGN_OR_RETURN(TrainerPacket next,
                          ReceiveTrainerPacket(socket_, 0, absl::InfiniteDuration()));
    TrainerRequest request;
    if (!request.ParseFromString(next.bytes) || !request.has_train()) {
      return absl::InvalidArgumentError("another request where more records should follow");
    }
    train = std::move(*request.mutable_train());
  }
  loaded_->model->SetParams(loaded_->Params());
  DURE_RETURN_IF_ERROR(loaded_->gradient_sum.Run(loaded_->data, plan, loaded_->Update<int64_t>()));
  TrainerReply reply;
  reply.mutable_trained()->set_records(plan.records.size());
  return reply;
}

absl::StatusOr<TrainerReply> TrainerService::Evaluate() {
  loaded_->model->SetParams(loaded_->Params());
  TrainerReply reply;
  *reply.mutable_evaluated()->mutable_metrics() =
      EvaluateModel(*loaded_->model, loaded_->data, loaded_->threads, parts_.metric);
  return reply;
}

}  // namespace dure
