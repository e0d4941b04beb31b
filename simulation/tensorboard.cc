#include "simulation/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "federation/model_metrics.h"
#include "proto/tensorboard.pb.h"
#include "simulation/tf_record.h"

namespace dure::simulation {
namespace {

using tensorboard::Event;

// Files of one process, in one folder, begun in one second.
constexpr int kMaxFiles = 100;

// Part of a file name, whatever the machine is called.
std::string HostName() {
  std::array<char, 256> buffer = {};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  std::string name(buffer.data());
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
  }
  return name.empty() ? "localhost" : name;
}

void AddScalar(const std::string& tag, double value, Event& event) {
  tensorboard::Summary::Value& scalar = *event.mutable_summary()->add_value();
  scalar.set_tag(tag);
  scalar.set_simple_value(static_cast<float>(value));
}

}  // namespace

absl::StatusOr<TensorBoardWriter> TensorBoardWriter::Create(const std::string& folder,
                                                            absl::Time now, const RunRecord* kept) {
  const std::string stem = absl::StrCat(folder, "/events.out.tfevents.", absl::ToUnixSeconds(now),
                                        ".", HostName(), ".", getpid(), ".");
  absl::StatusOr<AppendFile> file = AppendFile::Create(absl::StrCat(stem, 0));
  for (int i = 1; absl::IsAlreadyExists(file.status()) && i < kMaxFiles; ++i) {
    file = AppendFile::Create(absl::StrCat(stem, i));
  }
  DURE_RETURN_IF_ERROR(file.status());
  TensorBoardWriter writer(*std::move(file));
  Event version;
  version.set_file_version("brain.Event:2");
  DURE_RETURN_IF_ERROR(writer.WriteEvent(version, 0, now));
  if (kept == nullptr) return writer;
  Event start;
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  const uint32_t last = kept->rounds.empty() ? 0 : kept->rounds.back().round;
  DURE_RETURN_IF_ERROR(writer.WriteEvent(start, last + 1, now));
  if (last > 0) {
    writer.virtual_seconds_ = kept->rounds.back().virtual_seconds;
    writer.wall_seconds_ = kept->rounds.back().wall_seconds;
  }
  return writer;
}

absl::Status TensorBoardWriter::WriteEvent(Event& event, uint32_t step, absl::Time now) {
  event.set_wall_time(absl::ToDoubleSeconds(now - absl::UnixEpoch()));
  event.set_step(step);
  return file_.Append(TfRecord(event.SerializeAsString()));
}

absl::Status TensorBoardWriter::Write(const RoundLine& line, absl::Time now) {
  Event event;
  if (line.epsilon) AddScalar("epsilon", *line.epsilon, event);
  if (line.clip_norm) AddScalar("clip_norm", *line.clip_norm, event);
  AddScalar("survivors", line.survivors, event);
  AddScalar("update_norm", line.update_norm, event);
  AddScalar("round_seconds", line.wall_seconds - wall_seconds_, event);
  AddScalar("virtual_seconds", line.virtual_seconds - virtual_seconds_, event);
  wall_seconds_ = line.wall_seconds;
  virtual_seconds_ = line.virtual_seconds;
  return WriteEvent(event, line.round, now);
}

absl::Status TensorBoardWriter::Write(const EvaluationLine& line, absl::Time now) {
  Event event;
  for (const MetricFigure& figure : FiguresOf(line.metrics)) {
    const bool own = line.metrics.has_own() && figure.name == line.metrics.own_name();
    AddScalar(own ? absl::StrCat("own/", figure.name) : figure.name, figure.value, event);
  }
  return WriteEvent(event, line.round, now);
}

}  // namespace dure::simulation
