// The store of a run: its facts, its models and the state that they add up to.
#include <future>

#include "base/status_macros.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/state_files.h"
#include "coordinator/service/store.h"
#include "crypto/digest.h"

namespace dure {
namespace {

// Models kept besides the newest, so that whoever is still fetching one finds it.
constexpr int kKeptRounds = 2;

}  // namespace

absl::Status Store::Record(const Fact& fact) {
  std::lock_guard lock(mutex_);
  if (const auto* begun = std::get_if<AttemptBegun>(&fact)) {
    return Statement(database_, "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, NULL, NULL)")
        .Bind(int64_t{begun->attempt.value()})
        .Bind(int64_t{begun->round.value()})
        .BindBlob(begun->session_id)
        .Bind(int64_t{begun->cohort})
        .Bind(begun->at)
        .Run();
  }
  if (const auto* failed = std::get_if<AttemptFailed>(&fact)) {
    DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
    DURE_RETURN_IF_ERROR(
        Statement(database_, "UPDATE attempts SET ended = ?, failure = ? WHERE attempt = ?")
            .Bind(failed->at)
            .Bind(failed->reason)
            .Bind(int64_t{failed->attempt.value()})
            .Run());
    DURE_RETURN_IF_ERROR(RecordDealers(failed->dealers, failed->attempt));
    return transaction.Commit();
  }
  if (const auto* evaluation = std::get_if<EvaluationReceived>(&fact)) {
    return Statement(database_, "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?)")
        .Bind(int64_t{evaluation->round.value()})
        .Bind(evaluation->evaluator)
        .Bind(evaluation->loss)
        .Bind(evaluation->accuracy)
        .Bind(static_cast<int64_t>(evaluation->records))
        .Bind(evaluation->at)
        .Run();
  }
  return RecordRelease(std::get<RoundReleased>(fact));
}

// Inside a transaction.
absl::Status Store::RecordDealers(const std::vector<Digest>& dealers, AttemptNumber attempt) {
  for (const Digest& dealer : dealers) {
    DURE_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO last_attempts VALUES (?, ?)")
                             .BindBlob(dealer)
                             .Bind(int64_t{attempt.value()})
                             .Run());
  }
  return absl::OkStatus();
}

// The files first, then the transaction that names them: a crash in between leaves files that
// nothing names, which the next release removes.
absl::Status Store::RecordRelease(const RoundReleased& release) {
  // Both at once: everybody waits for them.
  const std::string model = ToHex(release.model_hash);
  std::future<absl::Status> model_written =
      std::async(std::launch::async, [&] { return WriteModelFile(folder_, model, release.model); });
  const std::string optimizer = ToHex(Sha256(AsBytes(release.optimizer)));
  absl::Status written = WriteModelFile(folder_, optimizer, release.optimizer);
  written.Update(model_written.get());
  DURE_RETURN_IF_ERROR(written);
  DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  DURE_RETURN_IF_ERROR(Statement(database_, "UPDATE attempts SET ended = ? WHERE attempt = ?")
                           .Bind(release.at)
                           .Bind(int64_t{release.attempt.value()})
                           .Run());
  DURE_RETURN_IF_ERROR(
      Statement(database_, "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .Bind(int64_t{release.round.value()})
          .Bind(int64_t{release.attempt.value()})
          .Bind(int64_t{release.cohort})
          .Bind(int64_t{release.survivors})
          .Bind(release.epsilon)
          .Bind(absl::ToInt64Microseconds(release.duration))
          .Bind(static_cast<int64_t>(release.bytes_received))
          .Bind(static_cast<int64_t>(release.bytes_sent))
          .Bind(release.at)
          .Bind(model)
          .Bind(optimizer)
          .Bind(release.clip_norm)
          .Run());
  DURE_RETURN_IF_ERROR(RecordDealers(release.dealers, release.attempt));
  DURE_RETURN_IF_ERROR(transaction.Commit());
  RemoveOldFiles();
  return absl::OkStatus();
}

absl::StatusOr<RunState> Store::LoadRun() {
  std::lock_guard lock(mutex_);
  RunState run;
  Statement attempts(database_, "SELECT coalesce(max(attempt), 0) FROM attempts");
  DURE_RETURN_IF_ERROR(attempts.Step().status());
  run.attempts = AttemptNumber(static_cast<uint32_t>(attempts.Int(0)));
  Statement rounds(database_,
                   "SELECT round, attempt, cohort, survivors, epsilon, duration_us, "
                   "bytes_received, bytes_sent, model, optimizer, clip_norm "
                   "FROM rounds ORDER BY round");
  std::string model, optimizer;
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, rounds.Step());
    if (!found) break;
    RoundSummary summary;
    summary.round = RoundNumber(static_cast<uint32_t>(rounds.Int(0)));
    summary.attempt = AttemptNumber(static_cast<uint32_t>(rounds.Int(1)));
    summary.cohort = static_cast<uint32_t>(rounds.Int(2));
    summary.survivors = static_cast<uint32_t>(rounds.Int(3));
    summary.epsilon = rounds.Real(4);
    summary.duration = absl::Microseconds(rounds.Int(5));
    summary.bytes_received = static_cast<uint64_t>(rounds.Int(6));
    summary.bytes_sent = static_cast<uint64_t>(rounds.Int(7));
    model = rounds.Text(8);
    optimizer = rounds.Text(9);
    run.clip_norm = rounds.Real(10);
    summary.model_hash = model;
    run.round = summary.round;
    run.history.push_back(summary);
  }
  if (!run.history.empty()) {
    DURE_ASSIGN_OR_RETURN(run.model, ReadModelFile(folder_, model));
    DURE_ASSIGN_OR_RETURN(run.optimizer, ReadModelFile(folder_, optimizer));
  }
  if (lock_) {  // nobody is told of it while only reading
    Statement last(database_, "SELECT client_id, attempt FROM last_attempts");
    for (;;) {
      DURE_ASSIGN_OR_RETURN(const bool found, last.Step());
      if (!found) break;
      if (std::optional<Digest> member = DigestFromBytes(last.Blob(0))) {
        run.last_attempts[*member] = AttemptNumber(static_cast<uint32_t>(last.Int(1)));
      }
    }
  }
  Statement evaluations(database_,
                        "SELECT round, evaluator, loss, accuracy, records, received "
                        "FROM evaluations ORDER BY round, evaluator");
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, evaluations.Step());
    if (!found) return run;
    EvaluationReceived evaluation;
    evaluation.round = RoundNumber(static_cast<uint32_t>(evaluations.Int(0)));
    evaluation.evaluator = evaluations.Text(1);
    evaluation.loss = evaluations.Real(2);
    evaluation.accuracy = evaluations.Real(3);
    evaluation.records = static_cast<uint64_t>(evaluations.Int(4));
    evaluation.at = evaluations.Time(5);
    run.evaluations.push_back(evaluation);
  }
}

absl::StatusOr<std::set<std::string>> Store::KeptFiles() {
  std::set<std::string> kept;
  Statement row(database_, "SELECT model, optimizer FROM rounds ORDER BY round DESC LIMIT ?");
  row.Bind(int64_t{kKeptRounds});
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, row.Step());
    if (!found) return kept;
    kept.insert(row.Text(0));
    kept.insert(row.Text(1));
  }
}

void Store::RemoveOldFiles() {
  absl::StatusOr<std::set<std::string>> kept = KeptFiles();
  if (kept.ok()) KeepModelFiles(folder_, *kept);  // else the next release tries again
}

}  // namespace dure
