#include "coordinator/service/folder_check.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/paragraph.h"
#include "base/status_macros.h"
#include "coordinator/federation_engine.h"
#include "coordinator/service/database_copy.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/run_check.h"
#include "coordinator/service/state_files.h"
#include "coordinator/service/store.h"
#include "crypto/digest.h"
#include "crypto/pem_files.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "federation/model_parts.h"
#include "federation/spec.h"

namespace dure {
namespace {

namespace fs = std::filesystem;
using Result = FolderFinding::Result;
using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

constexpr size_t kPieceBytes = 1 << 20;
// While a coordinator writes, a model may go between the look at the database and that at the file.
constexpr int kLooks = 5;

std::string State(const std::string& folder) { return folder + "/state"; }

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone()); }

// ---- federation.toml and the first weights ----

absl::StatusOr<FederationSpec> ReadTerms(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  return ReadFederationFile(FederationFilePath(folder));
}

absl::StatusOr<FederationSpec> CheckTerms(const std::string& folder, FolderReport* report) {
  absl::StatusOr<FederationSpec> spec = ReadTerms(folder);
  report->Add("terms", spec.status(),
              spec.ok() ? absl::StrCat("federation.toml of \"", spec->federation().name(),
                                       "\" and the files that it names are in order")
                        : "");
  return spec;
}

absl::StatusOr<ModelFile> CheckInitialModel(const std::string& folder, const FederationSpec& spec,
                                            FolderReport* report) {
  absl::StatusOr<ModelFile> model = ReadInitialModel(folder, spec);
  report->Add("weights", model.status(),
              model.ok() ? absl::StrCat("model/initial.safetensors fits the model, ",
                                        Counted(model->manifest.dim(), "parameter"))
                         : "");
  return model;
}

// ---- keys and certificates ----

absl::Status HoldsNow(const char* whose, const Validity& validity, absl::Time now,
                      FolderReport* report) {
  if (now > validity.not_after || now < validity.not_before) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate of ", whose, " holds from ", Day(validity.not_before), " to ",
                     Day(validity.not_after), ": check the clock, or renew it"));
  }
  if (validity.not_after - now < kCertificateNotice) {
    report->Warn("keys",
                 absl::StrCat("the certificate of ", whose, " ends on ", Day(validity.not_after)));
  }
  return absl::OkStatus();
}

absl::Status CheckKeyFile(const std::string& path, const PublicKey& expected) {
  DURE_ASSIGN_OR_RETURN(const SigningKey key, ReadKeyFile(path));
  if (key.public_key() != expected) {
    return absl::DataLossError(absl::StrCat(
        path, " is not the key of the certificate beside it: restore private/ from a backup"));
  }
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("others can read ", path, ": chmod 600 it, and think of who did"));
  }
  return absl::OkStatus();
}

// The CA's certificate, and in `detail` what was seen.
absl::StatusOr<std::string> LookAtKeys(const std::string& folder, const FederationSpec& spec,
                                       absl::Time now, FolderReport* report, std::string* detail) {
  const std::string keys = FederationPrivateFolder(folder);
  DURE_ASSIGN_OR_RETURN(const std::string ca, ReadCertificateFile(keys + "/ca.pem"));
  DURE_ASSIGN_OR_RETURN(const CaCertificate parsed, ParseCaCertificate(ca));
  if (parsed.federation != spec.federation().name()) {
    return absl::FailedPreconditionError(absl::StrCat(keys, "/ca.pem is of \"", parsed.federation,
                                                      "\": restore private/ from a backup"));
  }
  DURE_RETURN_IF_ERROR(HoldsNow("the enrolment CA", parsed.validity, now, report));
  const bool elsewhere = FileIsMissing(keys + "/ca.key");
  if (!elsewhere) DURE_RETURN_IF_ERROR(CheckKeyFile(keys + "/ca.key", parsed.key));
  *detail = elsewhere ? "the CA's key is on another machine" : "the CA's key is here";
  if (FileIsMissing(keys + "/coordinator.pem")) {
    return absl::FailedPreconditionError(
        absl::StrCat(keys,
                     "/coordinator.pem is missing: have it signed (`dure sign`), or restore "
                     "private/ from a backup"));
  }
  DURE_ASSIGN_OR_RETURN(const std::string der, ReadCertificateFile(keys + "/coordinator.pem"));
  DURE_ASSIGN_OR_RETURN(const Certificate own, VerifyCertificateAtAnyTime(der, ca));
  if (own.role != CertificateRole::kCoordinator) {
    return absl::DataLossError(absl::StrCat(keys, "/coordinator.pem is not a coordinator's"));
  }
  DURE_RETURN_IF_ERROR(HoldsNow("the coordinator", own.validity, now, report));
  DURE_RETURN_IF_ERROR(CheckKeyFile(keys + "/coordinator.key", own.key));
  absl::StrAppend(detail, "; keys and certificates fit together; the coordinator's ends on ",
                  Day(own.validity.not_after), ", the CA's on ", Day(parsed.validity.not_after));
  return ca;
}

absl::StatusOr<std::string> CheckKeys(const std::string& folder, const FederationSpec& spec,
                                      absl::Time now, FolderReport* report) {
  std::string detail;
  absl::StatusOr<std::string> ca = LookAtKeys(folder, spec, now, report, &detail);
  absl::Status status = ca.status();
  if (absl::IsNotFound(status)) {
    status = absl::NotFoundError(
        absl::StrCat(status.message(), ": put the keys back that were kept apart from the backup"));
  }
  report->Add("keys", status, detail);
  return ca;
}

// ---- models ----

// Whether the file's SHA-256 is its name; and whether all of it is finite numbers, if `numbers`.
absl::Status CheckModelFile(const std::string& path, const std::string& name, bool numbers) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    return absl::NotFoundError(absl::StrCat(
        path, " is missing: restore that file, whose SHA-256 is its name, from a backup"));
  }
  Sha256Stream hash;
  bool finite = true;
  size_t in_buffer = 0;
  std::string buffer(kPieceBytes, '\0');
  for (;;) {
    const ssize_t got = read(file.get(), buffer.data() + in_buffer, buffer.size() - in_buffer);
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    in_buffer += static_cast<size_t>(got);
    if (got != 0 && in_buffer < buffer.size()) continue;
    hash.Add(AsBytes(std::string_view(buffer).substr(0, in_buffer)));
    for (size_t at = 0; numbers && at + sizeof(float) <= in_buffer; at += sizeof(float)) {
      float value;
      std::memcpy(&value, buffer.data() + at, sizeof(value));
      finite = finite && std::isfinite(value);
    }
    in_buffer = 0;
    if (got == 0) break;
  }
  if (ToHex(hash.Finish()) != name) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged: its SHA-256 is not its name; restore that file from a backup"));
  }
  if (finite) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path,
      " has numbers that are not finite: training has diverged; restore a backup of before, "
      "or start a new federation with a smaller server.learning_rate"));
}

absl::Status CheckModelFiles(sqlite3* database, const std::string& folder, std::string* detail) {
  DURE_ASSIGN_OR_RETURN(const RunFiles files, FilesOfRounds(database));
  std::set<std::string> checked = files.needed;
  for (const std::string& name : ModelFiles(State(folder))) {
    if (files.known.contains(name)) checked.insert(name);
  }
  for (const std::string& name : checked) {
    const absl::Status status = CheckModelFile(absl::StrCat(State(folder), "/models/", name), name,
                                               files.models.contains(name));
    // Of what is kept besides, one may go at any time.
    if (absl::IsNotFound(status) && !files.needed.contains(name)) continue;
    DURE_RETURN_IF_ERROR(status);
  }
  *detail = absl::StrCat(Counted(checked.size(), "file"),
                         " of state/models: each SHA-256 is the name, the weights are finite");
  return absl::OkStatus();
}

// Whether a coordinator could go on from here: as at its start.
absl::Status CheckRunFits(Store& store, const std::string& folder, const Digest& digest,
                          const FederationSpec& spec, ModelFile initial) {
  DURE_ASSIGN_OR_RETURN(RunState state, store.LoadRun());
  DURE_ASSIGN_OR_RETURN(ModelParts parts,
                        ModelParts::Create(std::move(initial.manifest), spec.model()));
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, ReadFederationSchema(folder, spec));
  SystemRandom random;
  return FederationEngine::Create({.spec = spec,
                                   .spec_digest = digest,
                                   .initial_model = std::move(initial.params),
                                   .parts = std::move(parts),
                                   .schema = std::move(schema),
                                   .random = &random},
                                  std::move(state))
      .status();
}

// ---- files ----

// Names under state/ that no coordinator makes; what a crash leaves behind is told, and removed at
// the next start.
absl::Status CheckNames(sqlite3* database, const std::string& folder, std::string* detail) {
  static const std::set<std::string> kOwn = {"coordinator.db",
                                             "coordinator.db-wal",
                                             "coordinator.db-shm",
                                             "coordinator.db-journal",
                                             "lock",
                                             "models"};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(State(folder), error)) {
    const std::string name = entry.path().filename().string();
    if (kOwn.contains(name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(entry.path().string(), " is no file of a coordinator: move it elsewhere"));
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot read ", State(folder)));
  DURE_ASSIGN_OR_RETURN(const RunFiles files, FilesOfRounds(database));
  size_t left = 0;
  for (const auto& entry : fs::directory_iterator(State(folder) + "/models", error)) {
    const std::string name = entry.path().filename().string();
    if (files.known.contains(name)) continue;
    const bool model =
        name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!model && !absl::StrContains(name, ".new-")) {
      return absl::FailedPreconditionError(
          absl::StrCat(entry.path().string(), " is no model of this run: move it elsewhere"));
    }
    left += model ? 1 : 0;
  }
  if (left > kFilesOfARelease) {
    return absl::DataLossError(absl::StrCat(State(folder), " has ", left,
                                            " models that the database does not know: it is older "
                                            "than they are",
                                            kRestoreState));
  }
  *detail = left == 0 ? "nothing unknown in state/"
                      : "a crash left something in state/models, which the next start removes";
  return absl::OkStatus();
}

// ---- the database ----

void AddText(const char* check, const absl::StatusOr<std::string>& found, FolderReport* report) {
  report->Add(check, found.status(), found.ok() ? *found : "");
}

absl::StatusOr<Database> OpenCopy(const std::string& path) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
  Database database(opened, sqlite3_close);
  if (code != SQLITE_OK) return absl::UnknownError(absl::StrCat(path, " cannot be opened"));
  return database;
}

absl::Status CheckBound(Store& store, const Digest& digest, const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(const Digest bound, store.BoundDigest());
  // A coordinator binds at its first start, after it has made the database.
  if (bound == digest || bound == Digest{}) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "federation.toml is not what members agreed to: change it back, or `dure coordinator ",
      folder, " --new-terms` asks every member"));
}

absl::StatusOr<std::string> LookAtPages(const absl::StatusOr<DatabaseCopy>& copy) {
  DURE_RETURN_IF_ERROR(copy.status());
  DURE_ASSIGN_OR_RETURN(const Database database, OpenCopy(copy->path()));
  DURE_ASSIGN_OR_RETURN(std::string found, CheckEveryPage(database.get()));
  if (copy->running()) absl::StrAppend(&found, "; a coordinator is running");
  return found;
}

struct Terms {
  FederationSpec spec;
  Digest digest{};
  std::string ca;  // DER; "" if it could not be read
  std::optional<ModelFile> initial;
};

// False if a model was missing that a running coordinator may just have removed.
bool CheckState(const std::string& folder, const Terms& terms, bool last_look,
                FolderReport* report) {
  absl::StatusOr<DatabaseCopy> copy = DatabaseCopy::Take(State(folder));
  if (absl::IsNotFound(copy.status())) {
    report->Pass("database", std::string(copy.status().message()));
    return true;
  }
  AddText("database", LookAtPages(copy), report);
  if (report->Find("database")->result == Result::kFail) return true;
  const absl::Status migrated = Store::MigrateCopy(copy->folder());
  report->Add("schema", migrated, "of a version that this dure knows");
  if (!migrated.ok()) return true;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::OpenForReading(copy->folder());
  absl::StatusOr<Database> database = OpenCopy(copy->path());
  if (!store.ok() || !database.ok()) {
    report->Add("store", store.ok() ? database.status() : store.status(), "");
    return true;
  }
  report->Add("agreement", CheckBound(**store, terms.digest, folder),
              "federation.toml is what members agreed to");
  AddText("attempts", CheckAttempts(database->get()), report);
  AddText("rounds", CheckRounds(database->get()), report);
  AddText("sums", CheckSums(database->get()), report);
  AddText("evaluations", CheckEvaluations(database->get()), report);
  if (!terms.ca.empty()) AddText("members", CheckMembers(database->get(), terms.ca), report);
  std::string detail;
  const absl::Status models = CheckModelFiles(database->get(), folder, &detail);
  if (absl::IsNotFound(models) && copy->running() && !last_look) return false;
  report->Add("models", models, detail);
  if (models.ok() && terms.initial) {
    report->Add("run", CheckRunFits(**store, folder, terms.digest, terms.spec, *terms.initial),
                "the newest model and the optimiser's state fit: the run can go on");
  }
  const absl::Status names = CheckNames(database->get(), folder, &detail);
  report->Add("files", names, detail);
  return true;
}

}  // namespace

bool FolderReport::passed() const {
  for (const FolderFinding& finding : findings) {
    if (finding.result == Result::kFail) return false;
  }
  return true;
}

const FolderFinding* FolderReport::Find(std::string_view check) const {
  for (const FolderFinding& finding : findings) {
    if (finding.check == check) return &finding;
  }
  return nullptr;
}

void FolderReport::Pass(std::string check, std::string detail) {
  findings.push_back({Result::kPass, std::move(check), std::move(detail)});
}

void FolderReport::Warn(std::string check, std::string detail) {
  findings.push_back({Result::kWarn, std::move(check), std::move(detail)});
}

void FolderReport::Add(std::string check, const absl::Status& status, std::string detail) {
  if (status.ok()) return Pass(std::move(check), std::move(detail));
  findings.push_back({Result::kFail, std::move(check), std::string(status.message())});
}

FolderReport CheckFederationFolder(const std::string& folder, absl::Time now) {
  FolderReport report;
  absl::StatusOr<FederationSpec> spec = CheckTerms(folder, &report);
  if (!spec.ok()) return report;
  Terms terms{.spec = *spec, .digest = SpecDigest(*spec)};
  terms.ca = CheckKeys(folder, *spec, now, &report).value_or("");
  if (absl::StatusOr<ModelFile> initial = CheckInitialModel(folder, *spec, &report); initial.ok()) {
    terms.initial = *std::move(initial);
  }
  for (int look = 1;; ++look) {
    FolderReport state;
    if (!CheckState(folder, terms, look == kLooks, &state)) continue;
    report.findings.insert(report.findings.end(), state.findings.begin(), state.findings.end());
    return report;
  }
}

}  // namespace dure
