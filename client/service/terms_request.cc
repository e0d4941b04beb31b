#include "client/service/terms_request.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "transport/client.h"

namespace dure {
namespace {

class Answer final : public SessionEvents {
 public:
  explicit Answer(const PublicKey& coordinator) : coordinator_(coordinator) {}

  void OnOpen(Certificate coordinator, std::string) override {
    if (coordinator.key == coordinator_) return;
    Take(absl::UnauthenticatedError(
        "the coordinator has another key than the one pinned when this member joined: ask the "
        "organiser, and join again if it is meant"));
  }
  void OnMessage(ServerMessage message, std::shared_ptr<void>) override {
    if (const int64_t time = message.welcome().time_unix_ms(); time != 0) {
      std::lock_guard lock(mutex_);
      clock_ahead_ = absl::Now() - absl::FromUnixMillis(time);
    }
    if (message.has_terms_changed()) {
      Take(std::move(*message.mutable_terms_changed()->mutable_spec()));
    }
  }
  void OnClose(absl::Status status) override {
    Take(status.ok() ? absl::UnavailableError("the coordinator did not say its terms") : status);
  }

  absl::StatusOr<FederationSpec> Wait(absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                      [this] { return answer_.has_value(); });
    if (answer_) return *answer_;
    return absl::DeadlineExceededError(
        absl::StrCat("no answer of the coordinator within ", absl::FormatDuration(timeout)));
  }

  std::optional<absl::Duration> clock_ahead() {
    std::lock_guard lock(mutex_);
    return clock_ahead_;
  }

 private:
  // The first counts.
  void Take(absl::StatusOr<FederationSpec> answer) {
    std::lock_guard lock(mutex_);
    if (!answer_) answer_ = std::move(answer);
    changed_.notify_all();
  }

  const PublicKey coordinator_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<absl::StatusOr<FederationSpec>> answer_;
  std::optional<absl::Duration> clock_ahead_;
};

}  // namespace

absl::StatusOr<FederationSpec> AskForTerms(const Node& node, absl::Duration timeout,
                                           std::optional<absl::Duration>* clock_ahead) {
  DURE_ASSIGN_OR_RETURN(const PublicKey coordinator, CertificateKey(node.coordinator_certificate));
  Answer answer(coordinator);
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                        Session::Open({.address = node.membership.address,
                                       .ca_pem = CertificateToPem(node.ca_certificate),
                                       .certificate_pem = CertificateToPem(node.certificate),
                                       .key_pem = ToString(node.key.ToPem().view()),
                                       .connect_timeout = timeout},
                                      &answer));
  ClientMessage hello;
  hello.mutable_hello()->set_software(absl::StrCat("dure ", kVersion));
  hello.mutable_hello()->set_spec_digest(ToString(node.spec_digest));
  hello.mutable_hello()->set_terms_only(true);
  DURE_RETURN_IF_ERROR(session->Send(std::move(hello)));
  absl::StatusOr<FederationSpec> spec = answer.Wait(timeout);
  session.reset();
  if (clock_ahead != nullptr) *clock_ahead = answer.clock_ahead();
  DURE_RETURN_IF_ERROR(spec.status());
  DURE_RETURN_IF_ERROR(ValidateFederation(*spec));
  return spec;
}

}  // namespace dure
