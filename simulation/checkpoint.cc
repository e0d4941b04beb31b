#include "simulation/checkpoint.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "proto/checkpoint.pb.h"

namespace dure::simulation {
namespace {

constexpr std::string_view kMagic = "DSCP";
constexpr uint32_t kVersion = 1;
constexpr size_t kHashBytes = 32;

std::string Number(uint64_t value, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

uint64_t TakeNumber(size_t bytes, std::string_view* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>((*from)[i])} << (8 * i);
  }
  from->remove_prefix(bytes);
  return value;
}

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(absl::StrCat(std::string(what),
                                          ": it is damaged, or no checkpoint of this version; "
                                          "begin the run anew without --resume"));
}

int64_t Microseconds(absl::Time time) { return absl::ToUnixMicros(time); }

SimulationCheckpoint ToMessage(const Checkpoint& checkpoint) {
  const SimulationState& state = checkpoint.state;
  const RunState& run = state.run;
  SimulationCheckpoint message;
  message.set_spec_digest(ToString(checkpoint.run.spec));
  message.set_seed(checkpoint.run.seed);
  message.set_clients(checkpoint.run.clients);
  message.set_clients_digest(ToString(checkpoint.run.records));
  message.set_settings_digest(ToString(checkpoint.run.settings));
  message.set_round(run.round.value());
  message.set_attempts(run.attempts.value());
  message.set_training(run.counts.training);
  message.set_statistics(run.counts.statistics);
  message.set_evaluations(run.counts.evaluations);
  message.set_evaluation_attempts(run.evaluation_attempts);
  if (run.model) message.set_model(*run.model);
  if (run.optimizer) message.set_optimizer(*run.optimizer);
  message.set_clip_norm(run.clip_norm);
  for (const EvaluationReceived& received : run.evaluations) {
    SimulationCheckpoint::Evaluation& out = *message.add_received();
    out.set_round(received.round.value());
    out.set_evaluator(received.evaluator);
    *out.mutable_metrics() = received.metrics;
    out.set_at_us(Microseconds(received.at));
  }
  for (const SumsReleased& sums : run.member_evaluations) {
    SimulationCheckpoint::MemberEvaluation& out = *message.add_measured();
    out.set_attempt(sums.attempt.value());
    out.set_round(sums.round.value());
    out.set_cohort(sums.cohort);
    out.set_survivors(sums.survivors);
    out.set_epsilon(sums.epsilon);
    out.set_noise(sums.noise);
    out.mutable_sums()->Add(sums.sums.begin(), sums.sums.end());
    out.set_at_us(Microseconds(sums.at));
  }
  message.set_clock_us(absl::ToInt64Microseconds(state.clock));
  message.set_bytes_received(state.bytes_received);
  message.set_bytes_sent(state.bytes_sent);
  message.set_bytes_received_at_release(state.bytes_received_at_release);
  message.set_bytes_sent_at_release(state.bytes_sent_at_release);
  message.set_wall_seconds(checkpoint.wall_seconds);
  message.set_states(static_cast<uint32_t>(state.states.size()));
  return message;
}

absl::StatusOr<Checkpoint> FromMessage(SimulationCheckpoint message) {
  Checkpoint checkpoint;
  RunIdentity& identity = checkpoint.run;
  for (const auto& [bytes, digest] : {std::pair(&message.spec_digest(), &identity.spec),
                                      std::pair(&message.clients_digest(), &identity.records),
                                      std::pair(&message.settings_digest(), &identity.settings)}) {
    const std::optional<Digest> read = DigestFromBytes(*bytes);
    if (!read) return Damaged("a digest that has not 32 bytes");
    *digest = *read;
  }
  identity.seed = message.seed();
  identity.clients = message.clients();
  SimulationState& state = checkpoint.state;
  RunState& run = state.run;
  run.round = RoundNumber(message.round());
  run.attempts = AttemptNumber(message.attempts());
  run.counts = {.training = message.training(),
                .statistics = message.statistics(),
                .evaluations = message.evaluations()};
  run.evaluation_attempts = message.evaluation_attempts();
  if (message.has_model() != message.has_optimizer() ||
      message.has_model() != (message.round() > 0)) {
    return Damaged("a round without its model");
  }
  if (message.has_model()) run.model = std::move(*message.mutable_model());
  if (message.has_optimizer()) run.optimizer = std::move(*message.mutable_optimizer());
  run.clip_norm = message.clip_norm();
  for (SimulationCheckpoint::Evaluation& received : *message.mutable_received()) {
    run.evaluations.push_back({.round = RoundNumber(received.round()),
                               .evaluator = received.evaluator(),
                               .metrics = std::move(*received.mutable_metrics()),
                               .at = absl::FromUnixMicros(received.at_us())});
  }
  for (const SimulationCheckpoint::MemberEvaluation& sums : message.measured()) {
    SumsReleased released;
    released.kind = SumsKind::kEvaluation;
    released.attempt = AttemptNumber(sums.attempt());
    released.round = RoundNumber(sums.round());
    released.cohort = sums.cohort();
    released.survivors = sums.survivors();
    released.epsilon = sums.epsilon();
    released.noise = sums.noise();
    released.sums.assign(sums.sums().begin(), sums.sums().end());
    released.at = absl::FromUnixMicros(sums.at_us());
    run.member_evaluations.push_back(std::move(released));
  }
  state.clock = absl::Microseconds(message.clock_us());
  state.bytes_received = message.bytes_received();
  state.bytes_sent = message.bytes_sent();
  state.bytes_received_at_release = message.bytes_received_at_release();
  state.bytes_sent_at_release = message.bytes_sent_at_release();
  checkpoint.wall_seconds = message.wall_seconds();
  return checkpoint;
}

// The next record, without its length.
absl::StatusOr<std::string_view> TakeRecord(std::string_view* bytes) {
  constexpr size_t kLengthBytes = 8;
  if (bytes->size() < kLengthBytes) return Damaged("a record is missing");
  const uint64_t length = TakeNumber(kLengthBytes, bytes);
  if (length > kMaxCheckpointRecordBytes || length > bytes->size()) {
    return Damaged(
        absl::StrCat("a record of ", length, " bytes, of ", bytes->size(), " that are left"));
  }
  const std::string_view record = bytes->substr(0, length);
  bytes->remove_prefix(length);
  return record;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint) {
  DURE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  Sha256Stream hash;
  const auto add = [&](std::string_view bytes) {
    hash.Add(AsBytes(bytes));
    return file.Add(bytes);
  };
  const auto add_record = [&](const google::protobuf::Message& message) -> absl::Status {
    if (message.ByteSizeLong() > kMaxCheckpointRecordBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("a checkpoint of a model of ", message.ByteSizeLong(),
                       " bytes with its optimiser, the limit is ", kMaxCheckpointRecordBytes));
    }
    const std::string bytes = message.SerializeAsString();
    DURE_RETURN_IF_ERROR(add(Number(bytes.size(), 8)));
    return add(bytes);
  };
  DURE_RETURN_IF_ERROR(add(absl::StrCat(std::string(kMagic), Number(kVersion, 4))));
  DURE_RETURN_IF_ERROR(add_record(ToMessage(checkpoint)));
  for (const auto& [client, state] : checkpoint.state.states) {
    ClientCheckpoint message;
    message.set_client(client);
    message.set_state(EncodeLocalState(state, checkpoint.run.spec));
    DURE_RETURN_IF_ERROR(add_record(message));
  }
  DURE_RETURN_IF_ERROR(file.Add(ToString(hash.Finish())));
  return file.Commit();
}

absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + 4 + kHashBytes) return Damaged("it is too short");
  if (bytes.substr(0, kMagic.size()) != kMagic) return Damaged("it does not begin as one");
  const std::string_view hashed = bytes.substr(0, bytes.size() - kHashBytes);
  if (ToString(Sha256(AsBytes(hashed))) != bytes.substr(hashed.size())) {
    return Damaged("its checksum is wrong");
  }
  std::string_view rest = hashed.substr(kMagic.size());
  if (const uint64_t version = TakeNumber(4, &rest); version != kVersion) {
    return Damaged(absl::StrCat("version ", version, ", this program reads ", kVersion));
  }
  SimulationCheckpoint message;
  DURE_ASSIGN_OR_RETURN(const std::string_view first, TakeRecord(&rest));
  if (!message.ParseFromArray(first.data(), static_cast<int>(first.size()))) {
    return Damaged("its first record cannot be read");
  }
  const uint32_t states = message.states();
  DURE_ASSIGN_OR_RETURN(Checkpoint checkpoint, FromMessage(std::move(message)));
  for (uint32_t i = 0; i < states; ++i) {
    DURE_ASSIGN_OR_RETURN(const std::string_view record, TakeRecord(&rest));
    ClientCheckpoint client;
    if (!client.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      return Damaged("what a client keeps cannot be read");
    }
    absl::StatusOr<SavedLocalState> saved = DecodeLocalState(client.state());
    if (!saved.ok()) return Damaged(std::string(saved.status().message()));
    if (client.client() >= checkpoint.run.clients) {
      return Damaged(absl::StrCat("client ", client.client(), " of ", checkpoint.run.clients));
    }
    checkpoint.state.states[client.client()] = std::move(saved->state);
  }
  if (!rest.empty()) return Damaged("there is more behind the last record");
  return checkpoint;
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxCheckpointBytes));
  absl::StatusOr<Checkpoint> checkpoint = DecodeCheckpoint(bytes);
  if (checkpoint.ok()) return checkpoint;
  return absl::Status(checkpoint.status().code(),
                      absl::StrCat(path, ": ", checkpoint.status().message()));
}

absl::Status CheckSameRun(const RunIdentity& checkpoint, const RunIdentity& run) {
  std::string what;
  if (checkpoint.seed != run.seed) {
    what = absl::StrCat("seed ", checkpoint.seed, ", and this run has seed ", run.seed);
  } else if (checkpoint.spec != run.spec) {
    what = "another federation file, or other keys of it";
  } else if (checkpoint.clients != run.clients) {
    what = absl::StrCat(checkpoint.clients, " clients, and this run has ", run.clients);
  } else if (checkpoint.records != run.records) {
    what = "other data, or records dealt out otherwise";
  } else if (checkpoint.settings != run.settings) {
    what = "other settings of the simulation (behaviour, attack or privacy)";
  }
  if (what.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the checkpoint is of ", what,
                                                    ": go on with what it was begun with, or begin "
                                                    "anew with another --out"));
}

}  // namespace dure::simulation
