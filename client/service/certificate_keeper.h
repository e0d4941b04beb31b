// Keeps a member's certificate from ending: asks the coordinator for a newer one of the same key
// when less than a third of its time is left, again and again until it comes, and writes it. Where
// the enrolment CA signs on another machine, that takes as long as the organiser does. Not
// thread-safe; what it asks blocks a thread of its own only.
#ifndef DURE_CLIENT_SERVICE_CERTIFICATE_KEEPER_H_
#define DURE_CLIENT_SERVICE_CERTIFICATE_KEEPER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/strand.h"
#include "client/service/node.h"
#include "crypto/x509.h"
#include "proto/wire.pb.h"
#include "transport/client.h"

namespace dure {

// What came of asking once.
struct RenewalAnswer {
  std::optional<std::string> certificate;  // DER, checked, and in the folder already
  bool awaits_signature = false;
};

// What the coordinator answered, checked: a certificate of this CA for the same key, member and
// role that ends later than the one held, which is then written to the node's folder. Nothing if it
// is the one that is held. InvalidArgument for any other; errors of writing.
struct HeldCertificate {
  std::string folder;          // of the node
  std::string certificate;     // DER
  std::string ca_certificate;  // DER
};
absl::StatusOr<RenewalAnswer> TakeRenewal(const HeldCertificate& held, const RenewReply& reply,
                                          absl::Time now);

class CertificateKeeper {
 public:
  using Ask = std::function<absl::StatusOr<RenewReply>(const FetchSource&, const RenewRequest&)>;

  // `done` is called on the thread that asks; whoever uses the keeper posts from there. `ask` is
  // Renew of transport/client.h, or a test's own.
  CertificateKeeper(std::function<void(absl::StatusOr<RenewalAnswer>)> done, Ask ask);
  // Waits for the answer to what was asked.
  ~CertificateKeeper();

  // Begins to ask if it is time to and nothing is asked yet. Call it now and then, at a time when
  // the coordinator can be reached.
  void Look(const Node& node, absl::Time now);
  // What `done` brought, on the user's own thread.
  void Answered(const absl::StatusOr<RenewalAnswer>& answer);

  // How soon it asks again after an answer that brought nothing.
  static constexpr absl::Duration kFirstPause = absl::Minutes(1);
  static constexpr absl::Duration kLongestPause = absl::Hours(1);

 private:
  const std::function<void(absl::StatusOr<RenewalAnswer>)> done_;
  const Ask ask_;
  bool asking_ = false;
  absl::Duration pause_ = kFirstPause;
  absl::Time not_before_ = absl::InfinitePast();
  absl::Time looked_ = absl::InfinitePast();
  std::unique_ptr<Strand> strand_;  // made when it is first needed
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_CERTIFICATE_KEEPER_H_
