// Test support: signatures on messages that were changed, by whoever could have changed them.
#ifndef DURE_PRIVACY_SECAGG_SIGNER_FOR_TEST_H_
#define DURE_PRIVACY_SECAGG_SIGNER_FOR_TEST_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <vector>

#include "crypto/merkle.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/roster.h"
#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {

// Signatures that whoever changed a message could make: those of the coordinator and of one member
// that colludes with it; or the sender's own.
class Signer {
 public:
  // Of a session with a full roster, as far as `server` is.
  Signer(CohortForTest& cohort, const Server& server, uint32_t colluding)
      : cohort_(cohort), t1_(server.t1()), t2_(server.t2()), colluding_(colluding) {}

  // A message to member `to`, by the coordinator and the colluding member.
  void SignDown(uint32_t to, google::protobuf::Message* message) const {
    if (message->GetDescriptor() == Offer::descriptor()) {
      auto& offer = static_cast<Offer&>(*message);
      const auto session_id = DigestFromBytes(offer.session_id());
      if (!session_id.has_value()) return;
      offer.set_signature(
          ToString(Coordinators(OfferStatement(*session_id, ConfigHash(offer.config())))));
      return;
    }
    auto& down = static_cast<DownMessage&>(*message);
    switch (down.kind_case()) {
      case DownMessage::kRoster:
        return SignRoster(down.mutable_roster());
      case DownMessage::kDealt:
        for (auto& dealt : *down.mutable_dealt()->mutable_dealers()) SignDealt(to, &dealt);
        down.mutable_dealt()->set_signature(ToString(
            Coordinators(DealersStatement(DealersHash(t1_, AsBytes(down.dealt().bitmap()))))));
        return;
      case DownMessage::kSurvivors:
        for (auto& upload : *down.mutable_survivors()->mutable_uploads()) SignUpload(&upload);
        down.mutable_survivors()->set_signature(ToString(Coordinators(
            SurvivorsStatement(SurvivorsHash(t2_, AsBytes(down.survivors().bitmap()))))));
        return;
      default:
        return;
    }
  }
  // A message of member i, by itself.
  void SignUp(uint32_t i, UpMessage* up) const {
    const SigningKey& key = cohort_.members[i]->key;
    const ClientIndex index(i);
    switch (up->kind_case()) {
      case UpMessage::kAdvertise:
        return SignAdvertise(key, up->mutable_advertise());
      case UpMessage::kShares: {
        Shares& shares = *up->mutable_shares();
        std::vector<Digest> leaves;
        for (const ClientIndex holder : GraphOf().Neighbours(index)) {
          if (leaves.size() == static_cast<size_t>(shares.sealed_size())) break;
          leaves.push_back(Leaf({.dealer = index, .holder = holder},
                                shares.sealed(static_cast<int>(leaves.size()))));
        }
        if (leaves.empty()) return;
        shares.set_signature(ToString(key.Sign(
            SharesStatement(t1_, index, MerkleTree(leaves).root(), AsBytes(shares.commit_seed()))
                .bytes())));
        return;
      }
      case UpMessage::kMaskedInput: {
        MaskedInput& input = *up->mutable_masked_input();
        input.set_signature(
            ToString(key.Sign(MaskedStatement(t2_, index, Sha256(AsBytes(input.packed())),
                                              AsBytes(input.void_bitmap()))
                                  .bytes())));
        return;
      }
      default:
        return;
    }
  }

 private:
  Signature Coordinators(const Transcript& statement) const {
    return cohort_.coordinator.Sign(statement.bytes());
  }
  Graph GraphOf() const {
    return RulesOf(cohort_.config, static_cast<uint32_t>(cohort_.members.size()))->MakeGraph(t1_);
  }
  Digest Leaf(const Edge& edge, const Shares::Sealed& sealed) const {
    return ShareLeaf(t1_, edge,
                     {.ciphertext = AsBytes(sealed.ciphertext()),
                      .commit_mask = AsBytes(sealed.commit_mask()),
                      .commit_self = AsBytes(sealed.commit_self())});
  }
  void SignAdvertise(const SigningKey& key, Advertise* advertise) const {
    if (!CheckSizes(*advertise).ok()) return;
    const auto entry = ReadAdvertise(*advertise, cohort_.verifier);
    if (!entry.ok()) return;
    advertise->set_signature(ToString(key.Sign(
        AdvertiseStatement(cohort_.session_id, ConfigHash(cohort_.config), *entry).bytes())));
  }
  void SignRoster(Roster* roster) const {
    std::vector<RosterEntry> entries;
    for (Advertise& advertise : *roster->mutable_entries()) {
      if (advertise.certificate() == cohort_.members[colluding_]->certificate()) {
        SignAdvertise(cohort_.members[colluding_]->key, &advertise);
      }
      if (!CheckSizes(advertise).ok()) return;
      auto entry = ReadAdvertise(advertise, cohort_.verifier);
      if (!entry.ok()) return;
      entries.push_back(*std::move(entry));
    }
    roster->set_signature(ToString(Coordinators(
        RosterStatement(RosterHash(cohort_.session_id, ConfigHash(cohort_.config), entries)))));
  }
  // A colluding dealer signs whatever root the path leads to.
  void SignDealt(uint32_t holder, Dealt::FromDealer* dealt) const {
    const Edge edge = {.dealer = ClientIndex(colluding_), .holder = ClientIndex(holder)};
    if (dealt->dealer() != colluding_ || holder == colluding_) return;
    const Graph graph = GraphOf();
    if (!graph.AreNeighbours(edge.dealer, edge.holder)) return;
    std::vector<Digest> path;
    for (const std::string& node : dealt->path()) {
      const auto digest = DigestFromBytes(node);
      if (!digest.has_value()) return;
      path.push_back(*digest);
    }
    const auto root = MerkleRootFromPath(
        Leaf(edge, dealt->sealed()),
        {.index = graph.PositionOfHolder(edge), .size = graph.degree(edge.dealer)}, path);
    if (!root.has_value()) return;
    dealt->set_signature(ToString(cohort_.members[colluding_]->key.Sign(
        SharesStatement(t1_, edge.dealer, *root, AsBytes(dealt->commit_seed())).bytes())));
  }
  void SignUpload(Survivors::Upload* upload) const {
    const auto hash = DigestFromBytes(upload->packed_hash());
    if (upload->member() != colluding_ || !hash.has_value()) return;
    upload->set_signature(ToString(cohort_.members[colluding_]->key.Sign(
        MaskedStatement(t2_, ClientIndex(colluding_), *hash, AsBytes(upload->void_bitmap()))
            .bytes())));
  }

  CohortForTest& cohort_;
  Digest t1_;
  Digest t2_;
  uint32_t colluding_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_SIGNER_FOR_TEST_H_
