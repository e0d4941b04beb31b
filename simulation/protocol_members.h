// The cohort of one attempt as members of the real protocol (client/member_session.h), for
// `--secure-aggregation full` and wherever the sums depend on what the protocol draws. Their
// identities follow from the seed; what stands for their certificates is a key and a number, since
// a simulation has no enrolment. Not thread-safe.
#ifndef DURE_SIMULATION_PROTOCOL_MEMBERS_H_
#define DURE_SIMULATION_PROTOCOL_MEMBERS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/member_session.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "federation/terms/terms.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/server.h"

namespace dure::simulation {

// Takes what stands for certificates here.
class SimulatedCertificates final : public secagg::CertificateVerifier {
 public:
  static std::string CertificateOf(const PublicKey& key, uint32_t client);
  absl::StatusOr<secagg::MemberIdentity> Verify(ByteView der) override;
  std::optional<PublicKey> KeyIn(ByteView der) const override;
};

// Client number `client` of the run with this seed.
SigningKey IdentityOf(uint64_t seed, uint32_t client);

class ProtocolMembers {
 public:
  struct Member {
    uint32_t client = 0;
    SigningKey key;
    secagg::MemberId id{};
    AesCtrRandom random;  // of its session
    MemberSession session;
  };

  // `clients` in an attempt by `terms`; `coordinator` is what they pinned.
  ProtocolMembers(uint64_t seed, std::span<const uint32_t> clients, uint32_t attempt,
                  const RoundTerms& terms, const PublicKey& coordinator);

  // In the order of `clients`.
  size_t size() const { return members_.size(); }
  Member& operator[](size_t place) { return members_[place]; }
  // The place of the member of this id, which is there (DURE_CHECK).
  size_t PlaceOf(const secagg::MemberId& id) const;

 private:
  SimulatedCertificates certificates_;
  std::deque<Member> members_;
  std::map<secagg::MemberId, size_t> places_;
};

// Into which group each of the places `answering` comes, in their order, when those answer the
// offer of `session`: the first step of the protocol is made for it, since the groups follow from
// the members' keys.
absl::StatusOr<std::vector<uint32_t>> DrawGroups(const secagg::Server::Params& session,
                                                 std::span<const size_t> answering,
                                                 ProtocolMembers* members);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_PROTOCOL_MEMBERS_H_
