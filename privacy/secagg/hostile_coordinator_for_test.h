// Test support: see hostile_for_test.h. One session of a coordinator that shows different members
// different things.
#ifndef DURE_PRIVACY_SECAGG_HOSTILE_COORDINATOR_FOR_TEST_H_
#define DURE_PRIVACY_SECAGG_HOSTILE_COORDINATOR_FOR_TEST_H_

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "privacy/secagg/dealing.h"
#include "privacy/secagg/hostile_for_test.h"

namespace dure::secagg {

class HostileCoordinator {
 public:
  // The last `colluding` members of the cohort are its own.
  HostileCoordinator(CohortForTest& cohort, uint32_t colluding, Choices* choices)
      : cohort_(cohort),
        honest_(static_cast<uint32_t>(cohort.members.size()) - colluding),
        choices_(*choices) {}

  // Offers, and then each step with what the members answered to the one before.
  void Run() {
    cohort_.Reseed(0);
    offer_ = Server::Create(cohort_.ServerParams())->offer();
    for (uint32_t i = 0; i < honest_; ++i) {
      MemberForTest& member = *cohort_.members[i];
      member.client.emplace(cohort_.ClientParams(member));
      advertised_.push_back(member.client->StartFromOffer(offer_)->advertise());
      DURE_CHECK(member.client->SetInput(member.input).ok());
      said_.emplace_back();
      side_.push_back(choices_.Pick(2));
    }
    SendRosters();
    SendDealt();
    SendSurvivors();
    SendQuorums();
  }

  // Empty if it learned at most one sum of enough members and nobody contradicted itself.
  std::string Judge() const {
    if (!contradiction_.empty()) return contradiction_;
    return JudgePrivacy(cohort_.config, Views());
  }
  // What honest members did, those that have a roster.
  std::vector<MemberView> Views() const {
    std::vector<MemberView> views;
    for (uint32_t i = 0; i < honest_; ++i) {
      const Client& client = *cohort_.members[i]->client;
      if (!client.t1().has_value() || said_[i].roster == nullptr) continue;
      const Group& roster = *said_[i].roster;
      std::set<uint32_t> colluding;
      for (const auto& [j, index] : roster.index_of) {
        if (IsOwn(j)) colluding.insert(index);
      }
      views.push_back({.index = roster.index_of.at(i),
                       .members = static_cast<uint32_t>(roster.order.size()),
                       .t1 = *client.t1(),
                       .t2 = client.t2(),
                       .t3 = client.t3(),
                       .dealers = said_[i].dealers,
                       .uploaded = said_[i].upload.has_value(),
                       .released = said_[i].unmask,
                       .colluding = std::move(colluding)});
    }
    return views;
  }
  uint32_t consented() const {
    uint32_t count = 0;
    for (const Said& said : said_) count += said.consent.has_value() ? 1 : 0;
    return count;
  }
  uint32_t released() const {
    uint32_t count = 0;
    for (const Said& said : said_) count += said.unmask.has_value() ? 1 : 0;
    return count;
  }

 private:
  // One roster that it shows, with what its own members do in it.
  struct Group {
    Digest t1 = {};
    std::optional<Graph> graph;  // absent: no member accepts so few
    DownMessage message;
    std::vector<uint32_t> order;            // who is at each index
    std::map<uint32_t, uint32_t> index_of;  // the inverse
    std::map<uint32_t, Dealing> dealings;   // by index
  };
  struct Said {
    Group* roster = nullptr;
    std::optional<MemberSet> dealers;
    std::optional<MaskedInput> upload;
    std::optional<MemberSet> survivors;
    std::optional<std::string> consent;
    std::optional<Unmask> unmask;
  };

  bool IsOwn(uint32_t i) const { return i >= honest_; }
  std::string Sign(const Transcript& statement) const {
    return ToString(cohort_.coordinator.Sign(statement.bytes()));
  }
  std::string SignAs(uint32_t i, const Transcript& statement) const {
    return ToString(cohort_.members[i]->key.Sign(statement.bytes()));
  }
  DownMessage NewMessage() const {
    DownMessage message;
    message.set_session_id(offer_.session_id());
    return message;
  }

  // A client of its own member, the same each time for one `version`.
  std::unique_ptr<Client> OwnClient(uint32_t i, uint32_t version) {
    MemberForTest& member = *cohort_.members[i];
    member.random = SeededRandom(1000 + i * 2 + version);
    return std::make_unique<Client>(cohort_.ClientParams(member));
  }

  void SendRosters() {
    const uint32_t count = 1 + choices_.Pick(2);
    for (uint32_t r = 0; r < count; ++r) rosters_.push_back(MakeRoster());
    for (uint32_t i = 0; i < honest_; ++i) {
      Tell(i, rosters_[choices_.Pick(count)]->message);
      if (choices_.Rarely(12)) Tell(i, rosters_[choices_.Pick(count)]->message);
    }
  }
  std::unique_ptr<Group> MakeRoster() {
    auto group = std::make_unique<Group>();
    group->message = NewMessage();
    std::map<uint32_t, std::pair<std::unique_ptr<Client>, UpMessage>> own;
    std::vector<RosterEntry> entries;
    for (uint32_t i = 0; i < cohort_.members.size(); ++i) {
      if (choices_.Rarely(10)) continue;
      Advertise advertise;
      if (IsOwn(i)) {
        std::unique_ptr<Client> client = OwnClient(i, choices_.Pick(2));
        advertise = client->StartFromOffer(offer_)->advertise();
        own[i] = {std::move(client), UpMessage()};
      } else {
        advertise = advertised_[i];
      }
      group->index_of[i] = static_cast<uint32_t>(group->order.size());
      group->order.push_back(i);
      *group->message.mutable_roster()->add_entries() = advertise;
      entries.push_back(*ReadAdvertise(advertise, cohort_.verifier));
    }
    group->t1 = RosterHash(cohort_.session_id, ConfigHash(cohort_.config), entries);
    group->message.mutable_roster()->set_signature(Sign(RosterStatement(group->t1)));
    const auto rules = RulesOf(cohort_.config, static_cast<uint32_t>(entries.size()));
    if (rules.ok()) group->graph = rules->MakeGraph(group->t1);
    for (auto& [i, client_and_shares] : own) {
      const auto shares = client_and_shares.first->Receive(group->message);
      if (shares.ok()) AddDealing(*group, group->index_of.at(i), (*shares)->shares());
    }
    return group;
  }
  void AddDealing(Group& group, uint32_t index, const Shares& shares) {
    auto dealing = VerifyShares(shares, group.t1, *group.graph,
                                {.index = ClientIndex(index),
                                 .key = cohort_.members[group.order[index]]->key.public_key()});
    DURE_CHECK(dealing.ok());
    group.dealings.emplace(index, *std::move(dealing));
  }

  // Some of `all`, which are places in the cohort: everybody, a few less, one camp, all but one, or
  // an arc of the ring; its own members are left out only by chance.
  std::set<uint32_t> Some(const Group& roster, const std::set<uint32_t>& all) {
    std::set<uint32_t> some;
    const uint32_t how = choices_.Pick(5);
    const auto size = static_cast<uint32_t>(roster.order.size());
    const uint32_t side = how == 2 ? choices_.Pick(2) : 0;
    uint32_t without = ~0u;
    if (how == 3 && !all.empty()) {
      without = *std::next(all.begin(), choices_.Pick(static_cast<uint32_t>(all.size())));
    }
    std::set<uint32_t> arc;
    if (how == 4) {
      const std::vector<uint32_t> places = MemberOrder(roster.t1, size);
      const uint32_t first = choices_.Pick(size);
      for (uint32_t p = 0, length = size / 2 + choices_.Pick(size / 2 + 1); p < length; ++p) {
        arc.insert(roster.order[places[(first + p) % size]]);
      }
    }
    for (uint32_t i : all) {
      if (how == 1 && choices_.Rarely(4)) continue;
      if (how == 2 && !IsOwn(i) && side_[i] != side) continue;
      if (how == 4 && !IsOwn(i) && !arc.contains(i)) continue;
      if (i == without) continue;
      some.insert(i);
    }
    return some;
  }
  std::vector<std::set<uint32_t>> SomeSets(const Group& roster, const std::set<uint32_t>& all) {
    std::vector<std::set<uint32_t>> sets(1 + choices_.Pick(3));
    for (auto& set : sets) set = Some(roster, all);
    return sets;
  }
  // For a member of side s, a set of its side more often than not.
  const std::set<uint32_t>& OneOf(const std::vector<std::set<uint32_t>>& sets, uint32_t i) {
    std::vector<const std::set<uint32_t>*> with;
    for (const auto& set : sets) {
      if (set.contains(i)) with.push_back(&set);
    }
    if (with.empty() || choices_.Rarely(16)) {
      return sets[choices_.Pick(static_cast<uint32_t>(sets.size()))];
    }
    return *with[choices_.Pick(static_cast<uint32_t>(with.size()))];
  }

  void SendDealt() {
    for (const auto& roster : rosters_) {
      std::set<uint32_t> available;
      for (const auto& [index, dealing] : roster->dealings) available.insert(roster->order[index]);
      const auto sets = SomeSets(*roster, available);
      for (uint32_t i = 0; i < honest_; ++i) {
        if (said_[i].roster != roster.get()) continue;
        const MemberSet u2 = SetOf(*roster, OneOf(sets, i));
        Tell(i, MakeDealt(*roster, i, u2));
        if (choices_.Rarely(12)) Tell(i, MakeDealt(*roster, i, SetOf(*roster, sets[0])));
      }
    }
  }
  DownMessage MakeDealt(const Group& roster, uint32_t i, const MemberSet& u2) {
    DownMessage message = NewMessage();
    Dealt& dealt = *message.mutable_dealt();
    dealt.set_bitmap(u2.ToString());
    dealt.set_signature(Sign(DealersStatement(DealersHash(roster.t1, u2.bytes()))));
    const Graph& graph = *roster.graph;
    const ClientIndex holder(roster.index_of.at(i));
    for (uint32_t j = 0; j < u2.size(); ++j) {
      const ClientIndex dealer(j);
      if (!u2.Contains(j) || dealer == holder || !graph.AreNeighbours(dealer, holder)) continue;
      const Dealing& dealing = roster.dealings.at(j);
      const uint32_t position = graph.PositionOfHolder({.dealer = dealer, .holder = holder});
      Dealt::FromDealer from = dealing.For(dealer, position);
      if (choices_.Rarely(12)) from.mutable_sealed()->mutable_ciphertext()->front() ^= 1;
      if (choices_.Rarely(24)) *from.mutable_sealed() = dealing.message.sealed(0);
      *dealt.add_dealers() = from;
    }
    return message;
  }

  void SendSurvivors() {
    // By what they signed: the members that saw one U2 of one roster.
    std::map<Digest, std::vector<uint32_t>> views;
    for (uint32_t i = 0; i < honest_; ++i) {
      if (said_[i].upload.has_value()) views[*cohort_.members[i]->client->t2()].push_back(i);
    }
    for (const auto& [t2, members] : views) {
      const Group& roster = *said_[members[0]].roster;
      const MemberSet& u2 = *said_[members[0]].dealers;
      std::set<uint32_t> available(members.begin(), members.end());
      for (uint32_t index = 0; index < u2.size(); ++index) {
        const uint32_t j = roster.order[index];
        // One that saw another U2, or sent nothing, now and then all the same.
        if (u2.Contains(index) && (IsOwn(j) || choices_.Rarely(16))) available.insert(j);
      }
      const auto sets = SomeSets(roster, available);
      for (uint32_t i : members) {
        Tell(i, MakeSurvivors(roster, i, t2, SetOf(roster, OneOf(sets, i))));
        if (choices_.Rarely(12)) Tell(i, MakeSurvivors(roster, i, t2, SetOf(roster, sets[0])));
      }
    }
  }
  static MemberSet SetOf(const Group& roster, const std::set<uint32_t>& members) {
    MemberSet set(static_cast<uint32_t>(roster.order.size()));
    for (uint32_t j : members) set.Insert(roster.index_of.at(j));
    return set;
  }
  DownMessage MakeSurvivors(const Group& roster, uint32_t i, const Digest& t2,
                            const MemberSet& u3) {
    DownMessage message = NewMessage();
    Survivors& survivors = *message.mutable_survivors();
    survivors.set_bitmap(u3.ToString());
    survivors.set_signature(Sign(SurvivorsStatement(SurvivorsHash(t2, u3.bytes()))));
    const Graph& graph = *roster.graph;
    const ClientIndex receiver(roster.index_of.at(i));
    for (uint32_t v = 0; v < u3.size(); ++v) {
      const uint32_t j = roster.order[v];
      const ClientIndex sender(v);
      if (!u3.Contains(v) || sender == receiver || !graph.AreNeighbours(sender, receiver)) continue;
      Survivors::Upload& upload = *survivors.add_uploads();
      upload.set_member(v);
      upload.set_packed_hash(std::string(sizeof(Digest), '\0'));
      upload.set_signature(std::string(sizeof(Signature), '\0'));
      if (IsOwn(j)) {
        upload.set_void_bitmap(MemberSet(graph.degree(sender)).ToString());
        upload.set_signature(SignAs(
            j, MaskedStatement(t2, ClientIndex(v), Digest{}, AsBytes(upload.void_bitmap()))));
      } else if (said_[j].upload.has_value()) {
        upload.set_packed_hash(ToString(Sha256(AsBytes(said_[j].upload->packed()))));
        upload.set_void_bitmap(said_[j].upload->void_bitmap());
        upload.set_signature(said_[j].upload->signature());
      }
    }
    return message;
  }

  void SendQuorums() {
    for (uint32_t i = 0; i < honest_; ++i) {
      if (!said_[i].consent.has_value()) continue;
      const Client& client = *cohort_.members[i]->client;
      const Group& roster = *said_[i].roster;
      DownMessage message = NewMessage();
      for (uint32_t v = 0; v < roster.order.size(); ++v) {
        if (!said_[i].survivors->Contains(v) || choices_.Rarely(24)) continue;
        const uint32_t j = roster.order[v];
        std::string signature;
        if (IsOwn(j)) {
          signature = SignAs(j, ConsentStatement(*client.t3()));
        } else if (said_[j].consent.has_value()) {
          signature = *said_[j].consent;  // perhaps to another set
        } else {
          continue;
        }
        Quorum::Signer& signer = *message.mutable_quorum()->add_signers();
        signer.set_member(v);
        signer.set_signature(signature);
      }
      if (choices_.Rarely(16) && message.quorum().signers_size() > 0) {
        *message.mutable_quorum()->add_signers() = message.quorum().signers(0);
      }
      Tell(i, message);
    }
  }

  // Sends one message and takes down the answer. To a second message of a kind there is none but
  // the first one, byte for byte.
  void Tell(uint32_t i, const DownMessage& message) {
    Client& client = *cohort_.members[i]->client;
    const auto answer = client.Receive(message);
    if (!answer.ok() || !answer->has_value()) return;
    const UpMessage& up = **answer;
    auto [first, added] = sent_[i].emplace(up.kind_case(), up.SerializeAsString());
    if (!added) {
      if (first->second != up.SerializeAsString()) {
        contradiction_ = absl::StrCat("member ", i, " sent two different messages of one kind");
      }
      return;
    }
    Said& said = said_[i];
    switch (up.kind_case()) {
      case UpMessage::kShares:
        for (const auto& roster : rosters_) {
          if (roster->t1 == *client.t1()) said.roster = roster.get();
        }
        AddDealing(*said.roster, said.roster->index_of.at(i), up.shares());
        break;
      case UpMessage::kMaskedInput:
        said.dealers = *MemberSet::Parse(message.dealt().bitmap(),
                                         static_cast<uint32_t>(said.roster->order.size()));
        said.upload = up.masked_input();
        break;
      case UpMessage::kConsent:
        said.survivors = *client.survivors();
        said.consent = up.consent().signature();
        break;
      default:
        said.unmask = up.unmask();
    }
  }

  CohortForTest& cohort_;
  uint32_t honest_;
  Choices& choices_;
  Offer offer_;
  std::vector<Advertise> advertised_;  // of honest members
  std::vector<uint32_t> side_;         // two camps, to be shown different things
  std::vector<Said> said_;             // by honest members
  std::vector<std::unique_ptr<Group>> rosters_;
  std::map<uint32_t, std::map<UpMessage::KindCase, std::string>> sent_;
  std::string contradiction_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_HOSTILE_COORDINATOR_FOR_TEST_H_
