#include "client/service/leaving.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "crypto/x509.h"
#include "transport/client.h"
#include "transport/control_socket.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr size_t kMaxFiles = 10'000;
constexpr std::string_view kPrivate = "private/";

// What dure puts into a node's folder, beside folders.
constexpr std::string_view kFiles[] = {"membership.json", "federation.toml",
                                       "ca.pem",          "coordinator.pem",
                                       "member.pem",      "reserved",
                                       "data.json",       "policy.json",
                                       "guest.json",      "paused",
                                       "offered.toml",    "ledger",
                                       "ledger.count",    "ended"};
// Those that begin so are copies of data that `dure data add` has made.
constexpr std::string_view kCopies = "data-";
constexpr std::string_view kFolders[] = {kPrivate, "files/", "evidence/"};
// What is of no use to anybody without the membership, and must not be left behind.
constexpr std::string_view kOfMembership[] = {"membership.json", "member.pem", "reserved",
                                              "paused"};

bool IsOf(std::string_view name, bool purge) {
  if (name.starts_with(kPrivate)) return true;
  const auto is = [&](std::string_view known) { return name == known; };
  if (!purge) return std::any_of(std::begin(kOfMembership), std::end(kOfMembership), is);
  return std::any_of(std::begin(kFiles), std::end(kFiles), is) ||
         std::any_of(std::begin(kFolders), std::end(kFolders),
                     [&](std::string_view folder) { return name.starts_with(folder); }) ||
         (name.starts_with(kCopies) && name.find('/') != std::string_view::npos) ||
         (name.starts_with("members-") && name.ends_with(".list"));
}

class Farewell final : public SessionEvents {
 public:
  void OnOpen(Certificate, std::string) override { Change(&opened_); }
  void OnMessage(ServerMessage, std::shared_ptr<void>) override {}
  void OnClose(absl::Status status) override {
    std::lock_guard lock(mutex_);
    status_ = std::move(status);
    changed_.notify_all();
  }
  // How it ended; nothing if it has not.
  std::optional<absl::Status> Wait(absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                      [this] { return status_.has_value(); });
    return status_;
  }
  bool opened() {
    std::lock_guard lock(mutex_);
    return opened_;
  }

 private:
  void Change(bool* what) {
    std::lock_guard lock(mutex_);
    *what = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool opened_ = false;
  std::optional<absl::Status> status_;
};

// Zeros in the place of what was there. File systems that never write in place keep the old bytes
// for a while all the same.
absl::Status Overwrite(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info;
  if (!file.valid() || fstat(file.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot overwrite ", path));
  }
  if (!S_ISREG(info.st_mode)) return absl::OkStatus();
  const std::string zeros(static_cast<size_t>(std::min<off_t>(info.st_size, 1 << 20)), '\0');
  for (off_t at = 0; at < info.st_size;) {
    const ssize_t wrote =
        pwrite(file.get(), zeros.data(),
               std::min<size_t>(zeros.size(), static_cast<size_t>(info.st_size - at)), at);
    if (wrote <= 0) return ErrnoStatus(errno, absl::StrCat("cannot overwrite ", path));
    at += wrote;
  }
  if (fsync(file.get()) != 0) return ErrnoStatus(errno, absl::StrCat("cannot overwrite ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileLock> StopClient(const std::string& node_folder, absl::Duration timeout) {
  ControlRequest request;
  request.mutable_stop();
  CallControl(PrivateFolder(node_folder), request).IgnoreError();  // none may be running
  for (const absl::Time until = absl::Now() + timeout;;) {
    absl::StatusOr<FileLock> lock = FileLock::Acquire(PrivateFolder(node_folder) + "/lock");
    if (!absl::IsFailedPrecondition(lock.status())) return lock;
    if (absl::Now() > until) {
      return absl::DeadlineExceededError(
          absl::StrCat("the client in ", node_folder, " does not end: end it, then try again"));
    }
    absl::SleepFor(kLook);
  }
}

absl::Status SayFarewell(const Node& node, absl::Duration timeout) {
  Farewell farewell;
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                        Session::Open({.address = node.membership.address,
                                       .ca_pem = CertificateToPem(node.ca_certificate),
                                       .certificate_pem = CertificateToPem(node.certificate),
                                       .key_pem = ToString(node.key.ToPem().view()),
                                       .connect_timeout = timeout},
                                      &farewell));
  ClientMessage hello, unavailable, decline;
  hello.mutable_hello()->set_software(absl::StrCat("dure ", kVersion));
  hello.mutable_hello()->set_spec_digest(ToString(node.spec_digest));
  unavailable.mutable_availability()->set_available(false);
  decline.mutable_decline()->set_reason(Decline::POLICY);
  decline.mutable_decline()->set_text("it leaves the federation for good (dure leave)");
  for (ClientMessage* message : {&hello, &unavailable, &decline}) {
    DURE_RETURN_IF_ERROR(session->Send(std::move(*message)));
  }
  session->Close();
  const std::optional<absl::Status> end = farewell.Wait(timeout);
  if (!end) return absl::DeadlineExceededError("no answer in time");
  if (!end->ok()) return *end;
  return farewell.opened() ? absl::OkStatus() : absl::UnavailableError("nobody answered");
}

ForgetPlan PlanForgetting(const std::string& node_folder, bool purge) {
  ForgetPlan plan;
  std::error_code error;
  fs::recursive_directory_iterator at(node_folder, error);
  for (size_t seen = 0; !error && at != fs::recursive_directory_iterator() && seen < kMaxFiles;
       at.increment(error), ++seen) {
    if (at->is_directory(error) && !at->is_symlink(error)) continue;
    const std::string name = at->path().lexically_relative(node_folder).string();
    (IsOf(name, purge) ? plan.files : plan.kept).push_back(name);
  }
  std::sort(plan.files.begin(), plan.files.end(), [](const std::string& a, const std::string& b) {
    return std::make_pair(!a.starts_with(kPrivate), a) <
           std::make_pair(!b.starts_with(kPrivate), b);
  });
  std::sort(plan.kept.begin(), plan.kept.end());
  return plan;
}

absl::Status Forget(const std::string& node_folder, const ForgetPlan& plan) {
  absl::Status first;
  for (const std::string& name : plan.files) {
    const std::string path = absl::StrCat(node_folder, "/", name);
    std::error_code error;
    if (name.starts_with(kPrivate) && fs::is_regular_file(fs::symlink_status(path, error))) {
      first.Update(Overwrite(path));
    }
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      first.Update(ErrnoStatus(errno, absl::StrCat("cannot remove ", path)));
    }
  }
  // Folders that are empty now, the deepest first; others stay.
  std::vector<std::string> folders;
  for (const std::string& name : plan.files) {
    for (size_t end = name.rfind('/'); end != std::string::npos && end > 0;
         end = name.rfind('/', end - 1)) {
      folders.push_back(absl::StrCat(node_folder, "/", name.substr(0, end)));
    }
  }
  std::sort(folders.rbegin(), folders.rend());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  for (const std::string& folder : folders) rmdir(folder.c_str());
  rmdir(node_folder.c_str());
  return first;
}

}  // namespace dure
