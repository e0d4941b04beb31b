// The coordinator's memory: one SQLite database (write-ahead log, fsync at each commit) and a
// folder of models named by their SHA-256. The only door to both. A call that returned OK survives
// a crash; one that did not has changed nothing. Thread-safe: one call at a time by a lock, held
// for the length of a transaction.
//
// Errors: NotFound, AlreadyExists, FailedPrecondition (used, expired, revoked, another federation,
// locked by another process), ResourceExhausted (disk full), DataLoss (a damaged database or
// model), PermissionDenied (folder not writable).
#ifndef DURE_COORDINATOR_SERVICE_STORE_H_
#define DURE_COORDINATOR_SERVICE_STORE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "coordinator/evaluation_progress.h"
#include "coordinator/run_state.h"
#include "crypto/digest.h"
#include "proto/wire.pb.h"

struct sqlite3;

namespace dure {

struct InvitationRecord {
  Digest secret_hash{};  // SHA-256 of the secret; the secret itself is not kept
  std::string name;
  std::string organisation;
  Role role = MEMBER;
  absl::Time expires;
};

struct MemberRecord {
  Digest client_id{};
  std::string name;
  std::string organisation;
  Role role = MEMBER;
  std::string certificate;  // DER
  absl::Time enrolled;
  absl::Time last_seen;
  bool revoked = false;
};

// "3.40.1": the database that runs here.
std::string SqliteVersion();

// Whether a federation's terms may be others than those that the store knows.
enum class TermsChange { kRefused, kAccepted };

class Store {
 public:
  // Opens or makes the state under `folder`, the "state" of a federation's folder, which holds the
  // run of the federation whose spec has `spec_digest`. Takes the folder's lock: FailedPrecondition
  // if another process has it. Reads the whole database: DataLoss if anything of it is damaged, if
  // it is gone, or if it is older than the models beside it.
  // FailedPrecondition if members agreed to another spec, unless `change` is kAccepted: then
  // nothing is bound before Rebind.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& folder,
                                                     const Digest& spec_digest,
                                                     TermsChange change = TermsChange::kRefused);
  // Opens what is there for LoadRun and Members only, beside a coordinator that may be running.
  // NotFound if no coordinator has run in the folder yet; DataLoss as above.
  static absl::StatusOr<std::unique_ptr<Store>> OpenForReading(const std::string& folder);
  // Brings the database in `folder`, a copy that nobody else has open, to this version's schema:
  // OpenForReading does not. FailedPrecondition if a newer dure wrote it.
  static absl::Status MigrateCopy(const std::string& folder);
  ~Store();

  // AlreadyExists if a member or an open invitation has that name.
  absl::Status AddInvitation(const InvitationRecord& invitation, absl::Time now);
  // NotFound for an unknown secret; FailedPrecondition if it was used or has expired.
  absl::StatusOr<InvitationRecord> FindInvitation(const Digest& secret_hash, absl::Time now);
  // Uses the invitation up and adds the member, in one transaction.
  // AlreadyExists for the key of a member, also of a revoked one. Who asked in time, at `asked`, and
  // waited for a signature since then, comes in after the invitation has expired, too.
  absl::Status Enrol(const Digest& secret_hash, const MemberRecord& member, absl::Time now,
                     std::optional<absl::Time> asked = std::nullopt);
  // Puts a renewed certificate (DER) in the place of a member's. NotFound for no member.
  absl::Status SaveCertificate(const Digest& client_id, const std::string& certificate);
  absl::StatusOr<std::vector<MemberRecord>> Members();
  absl::StatusOr<MemberRecord> FindMember(const Digest& client_id);
  absl::Status Seen(const Digest& client_id, absl::Time now);
  // Ends the membership and the open invitation of that name, whichever there is. The member that
  // was ended; nothing if there was an invitation only. NotFound if nobody has that name.
  absl::StatusOr<std::optional<Digest>> Revoke(const std::string& name, absl::Time now);

  // The port that the system gave the coordinator when none was chosen: members dial it, so a
  // restarted coordinator asks for it again. 0 if there is none.
  absl::Status SavePort(int port);
  absl::StatusOr<int> SavedPort();

  // Whether the organiser has paused the run: a restart does not end a pause.
  absl::Status SavePaused(bool paused);
  absl::StatusOr<bool> SavedPaused();

  // The federation file of the terms that members agreed to; "" if an older dure began the run.
  absl::StatusOr<std::string> SavedTerms();
  // The digest that the store is bound to.
  absl::StatusOr<Digest> BoundDigest();
  // Binds the store to these terms from now on.
  absl::Status Rebind(const Digest& spec_digest, const std::string& toml);

  // Writes one fact of the run.
  absl::Status Record(const Fact& fact);
  absl::StatusOr<RunState> LoadRun();
  // ParamsToBytes of the model of that round. Of old rounds only that of the one that measured best
  // (coordinator/evaluation_progress.h) is there, and those that may yet be: NotFound for others.
  absl::StatusOr<std::string> ReadModel(RoundNumber round);

 private:
  Store(std::string folder, std::optional<FileLock> lock, sqlite3* database);
  absl::Status Migrate();
  // Whether every page of the database is in order.
  absl::Status CheckDatabase();
  // Whether the models beside the database are those that it knows of.
  absl::Status CheckModels();
  absl::Status BindToFederation(const Digest& spec_digest);
  absl::StatusOr<InvitationRecord> FindInvitationLocked(const Digest& secret_hash, absl::Time now);
  absl::Status RecordRelease(const RoundReleased& release);
  absl::Status RecordSums(const SumsReleased& sums);
  absl::Status LoadSums(RunState* run);
  absl::Status RecordDealers(const std::vector<Digest>& dealers, AttemptNumber attempt);
  // Whether a round of the database has a model or an optimiser's state of that name.
  absl::StatusOr<bool> KnowsFile(const std::string& name);
  absl::StatusOr<std::vector<EvaluationReceived>> LoadEvaluations();
  // The names of the model files that are kept.
  absl::StatusOr<std::set<std::string>> KeptFiles();
  void RemoveOldFiles();

  std::string folder_;
  std::optional<FileLock> lock_;  // absent: for reading
  std::mutex mutex_;
  sqlite3* database_;
  EvaluationProgress progress_;         // of the evaluations in the database, for what is kept
  std::vector<RoundNumber> measuring_;  // of the newest release
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_STORE_H_
