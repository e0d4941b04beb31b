// Who gets a certificate of the federation: whoever holds an invitation that was not used yet, and
// a member whose certificate is about to end. With the enrolment CA's key at hand it signs at once;
// without it, it writes requests for the machine where the key is, and hands over what came back
// (coordinator/service/signing_folder.h). Not thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_REGISTRAR_H_
#define DURE_COORDINATOR_SERVICE_REGISTRAR_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "proto/wire.pb.h"

namespace dure {

class Registrar {
 public:
  // All are borrowed and must outlive it. InvalidArgument if the CA's key is not that of its
  // certificate.
  static absl::StatusOr<Registrar> Create(const FederationFolder* federation, Store* store,
                                          Random* random);

  // Uses the invitation up and gives a certificate for the key of the request; the same one again
  // for the same key, whose first answer may have been lost. Errors as Store::FindInvitation, and:
  // FailedPrecondition for terms that are not this federation's, or if the invitation waits for a
  // certificate of another key; InvalidArgument for what is no certificate request.
  absl::StatusOr<EnrolReply> Enrol(const EnrolRequest& request, absl::Time now);

  // `shown`: the member's certificate of now, verified. `member`: what the store has of it; it is
  // not revoked. Before a third of its time is left it gets the one that it has.
  absl::StatusOr<RenewReply> Renew(const RenewRequest& request, const Certificate& shown,
                                   const MemberRecord& member, absl::Time now);

  // Whether certificates are signed here.
  bool signs() const { return issuer_.has_value(); }

 private:
  Registrar(const FederationFolder* federation, Store* store, Random* random)
      : federation_(federation), store_(store), random_(random) {}
  absl::StatusOr<std::string> Sign(const MemberSubject& subject, const PublicKey& key,
                                   absl::Time now);
  absl::StatusOr<EnrolReply> EnrolSignedElsewhere(const EnrolRequest& request,
                                                  const Digest& secret_hash, const PublicKey& key,
                                                  absl::Time now);
  absl::StatusOr<EnrolReply> Admit(const InvitationRecord& invitation, const PublicKey& key,
                                   std::string certificate, absl::Time now, absl::Time asked);

  const FederationFolder* federation_;
  Store* store_;
  Random* random_;
  std::optional<CertificateIssuer> issuer_;  // absent: the CA's key is elsewhere
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_REGISTRAR_H_
