#include "simulation/protocol_members.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "simulation/streams.h"

namespace dure::simulation {
namespace {

constexpr size_t kNumberBytes = 4;

MemberSession MakeSession(const RoundTerms& terms, const PublicKey& coordinator,
                          const SigningKey& key, std::string certificate,
                          secagg::CertificateVerifier* verifier, Random* random) {
  if (!terms.secure_aggregation) return MemberSession(secagg::PlainClient(coordinator));
  return MemberSession(secagg::Client({.policy = {.minimum_roster = terms.roster_minimum,
                                                  .minimum_sum = terms.sum_asked,
                                                  .max_corrupt = terms.max_corrupt,
                                                  .members = {}},
                                       .key = &key,
                                       .certificate = std::move(certificate),
                                       .coordinator = coordinator,
                                       .verifier = verifier,
                                       .random = random}));
}

}  // namespace

std::string SimulatedCertificates::CertificateOf(const PublicKey& key, uint32_t client) {
  std::string bytes = ToString(key);
  for (size_t i = 0; i < kNumberBytes; ++i) bytes.push_back(static_cast<char>(client >> (8 * i)));
  return bytes;
}

std::optional<PublicKey> SimulatedCertificates::KeyIn(ByteView der) const {
  PublicKey key;
  if (der.size() != key.size() + kNumberBytes) return std::nullopt;
  std::copy_n(der.begin(), key.size(), key.begin());
  return key;
}

absl::StatusOr<secagg::MemberIdentity> SimulatedCertificates::Verify(ByteView der) {
  const std::optional<PublicKey> key = KeyIn(der);
  if (!key) return absl::InvalidArgumentError("no certificate of a simulated client");
  uint32_t client = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) client |= uint32_t{der[key->size() + i]} << (8 * i);
  return secagg::MemberIdentity{.key = *key,
                                .client_id = secagg::MemberIdOf(*key),
                                .name = absl::StrCat("client ", client),
                                .organisation = ""};
}

SigningKey IdentityOf(uint64_t seed, uint32_t client) {
  AesCtrRandom random = StreamOf(seed, "identity", {.attempt = 0, .client = client});
  return SigningKey::Generate(random);
}

ProtocolMembers::ProtocolMembers(uint64_t seed, std::span<const uint32_t> clients, uint32_t attempt,
                                 const RoundTerms& terms, const PublicKey& coordinator) {
  for (const uint32_t client : clients) {
    members_.push_back({.client = client,
                        .key = IdentityOf(seed, client),
                        .id = {},
                        .random = StreamOf(seed, "session", {.attempt = attempt, .client = client}),
                        .session = MemberSession(secagg::PlainClient(coordinator))});
    Member& member = members_.back();
    member.id = secagg::MemberIdOf(member.key.public_key());
    member.session =
        MakeSession(terms, coordinator, member.key,
                    SimulatedCertificates::CertificateOf(member.key.public_key(), client),
                    &certificates_, &member.random);
    places_[member.id] = members_.size() - 1;
  }
}

size_t ProtocolMembers::PlaceOf(const secagg::MemberId& id) const {
  const auto found = places_.find(id);
  DURE_CHECK(found != places_.end());
  return found->second;
}

absl::StatusOr<std::vector<uint32_t>> DrawGroups(const secagg::Server::Params& session,
                                                 std::span<const size_t> answering,
                                                 ProtocolMembers* members) {
  DURE_ASSIGN_OR_RETURN(secagg::Server server, secagg::Server::Create(session));
  for (const size_t place : answering) {
    ProtocolMembers::Member& member = (*members)[place];
    DURE_ASSIGN_OR_RETURN(std::optional<secagg::UpMessage> keys,
                          member.session.StartFromOffer(server.offer()));
    DURE_CHECK(keys.has_value());
    DURE_RETURN_IF_ERROR(server.Receive(member.id, *std::move(keys)).status());
  }
  DURE_RETURN_IF_ERROR(server.Advance([](secagg::OutMessage) {}));
  const secagg::Graph graph = server.rules()->MakeGraph(server.t1());
  std::map<secagg::MemberId, uint32_t> group_of;
  for (uint32_t i = 0; i < server.roster().size(); ++i) {
    group_of[server.roster()[i].client_id] = graph.GroupOf(ClientIndex(i));
  }
  std::vector<uint32_t> groups;
  for (const size_t place : answering) groups.push_back(group_of.at((*members)[place].id));
  return groups;
}

}  // namespace dure::simulation
