// The store of a run: its facts, its models and the state that they add up to.
#include <future>

#include "absl/strings/str_cat.h"
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
    return Statement(database_, "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, NULL, NULL, ?)")
        .Bind(int64_t{begun->attempt.value()})
        .Bind(int64_t{begun->round.value()})
        .BindBlob(begun->session_id)
        .Bind(int64_t{begun->cohort})
        .Bind(begun->at)
        .Bind(static_cast<int64_t>(begun->kind))
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
    DURE_RETURN_IF_ERROR(
        Statement(database_, "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)")
            .Bind(int64_t{evaluation->round.value()})
            .Bind(evaluation->evaluator)
            .Bind(evaluation->metrics.loss())
            .Bind(evaluation->metrics.accuracy())
            .Bind(static_cast<int64_t>(evaluation->metrics.records()))
            .Bind(evaluation->at)
            .BindBlob(AsBytes(evaluation->metrics.SerializeAsString()))
            .Run());
    progress_.Add(*evaluation);
    return absl::OkStatus();
  }
  if (const auto* sums = std::get_if<SumsReleased>(&fact)) return RecordSums(*sums);
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
  measuring_ = release.measuring;
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
  DURE_ASSIGN_OR_RETURN(run.evaluations, LoadEvaluations());
  DURE_RETURN_IF_ERROR(LoadSums(&run));
  return run;
}

// In the order in which they came.
absl::StatusOr<std::vector<EvaluationReceived>> Store::LoadEvaluations() {
  std::vector<EvaluationReceived> received;
  Statement evaluations(database_,
                        "SELECT round, evaluator, loss, accuracy, records, received, metrics "
                        "FROM evaluations ORDER BY rowid");
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, evaluations.Step());
    if (!found) return received;
    EvaluationReceived evaluation;
    evaluation.round = RoundNumber(static_cast<uint32_t>(evaluations.Int(0)));
    evaluation.evaluator = evaluations.Text(1);
    // An older dure wrote three figures only.
    if (evaluations.IsNull(6)) {
      evaluation.metrics.set_loss(evaluations.Real(2));
      evaluation.metrics.set_accuracy(evaluations.Real(3));
      evaluation.metrics.set_records(static_cast<uint64_t>(evaluations.Int(4)));
    } else if (!evaluation.metrics.ParseFromString(evaluations.Blob(6))) {
      return absl::DataLossError(absl::StrCat("the evaluation of round ", evaluation.round.value(),
                                              " by ", evaluation.evaluator, " cannot be read"));
    }
    evaluation.at = evaluations.Time(5);
    received.push_back(std::move(evaluation));
  }
}

absl::StatusOr<std::string> Store::ReadModel(RoundNumber round) {
  std::lock_guard lock(mutex_);
  Statement row(database_, "SELECT model FROM rounds WHERE round = ?");
  DURE_ASSIGN_OR_RETURN(const bool found, row.Bind(int64_t{round.value()}).Step());
  if (!found || !ModelFiles(folder_).contains(row.Text(0))) {
    return absl::NotFoundError(
        absl::StrCat("the model of round ", round.value(), " is not kept any more"));
  }
  return ReadModelFile(folder_, row.Text(0));
}

absl::StatusOr<bool> Store::KnowsFile(const std::string& name) {
  Statement row(database_, "SELECT 1 FROM rounds WHERE model = ?1 OR optimizer = ?1 LIMIT 1");
  return row.Bind(name).Step();
}

absl::StatusOr<std::set<std::string>> Store::KeptFiles() {
  std::set<std::string> kept;
  Statement row(database_, "SELECT model, optimizer FROM rounds ORDER BY round DESC LIMIT ?");
  row.Bind(int64_t{kKeptRounds});
  for (;;) {
    DURE_ASSIGN_OR_RETURN(bool found, row.Step());
    if (!found) break;
    kept.insert(row.Text(0));
    kept.insert(row.Text(1));
  }
  // The best, and what may yet be.
  std::set<RoundNumber> rounds = progress_.candidates();
  rounds.insert(measuring_.begin(), measuring_.end());
  for (const RoundNumber round : rounds) {
    Statement model(database_, "SELECT model FROM rounds WHERE round = ?");
    DURE_ASSIGN_OR_RETURN(const bool found, model.Bind(int64_t{round.value()}).Step());
    if (found) kept.insert(model.Text(0));
  }
  return kept;
}

void Store::RemoveOldFiles() {
  absl::StatusOr<std::set<std::string>> kept = KeptFiles();
  if (kept.ok()) KeepModelFiles(folder_, *kept);  // else the next release tries again
}

}  // namespace dure
