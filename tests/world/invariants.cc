#include "tests/world/invariants.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "federation/model_file.h"
#include "federation/terms/terms.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/transcript.h"

namespace dure::world {
namespace {

Digest SessionOf(const std::string& bytes) { return DigestFromBytes(bytes).value_or(Digest{}); }

std::string Short(const Digest& digest) { return ToHex(digest).substr(0, 8); }

// What every member is told alike.
std::string Common(const secagg::DownMessage& message) {
  switch (message.kind_case()) {
    case secagg::DownMessage::kRoster:
      return message.roster().SerializeAsString();
    case secagg::DownMessage::kDealt:
      return message.dealt().bitmap() + message.dealt().signature();
    case secagg::DownMessage::kSurvivors:
      return message.survivors().bitmap() + message.survivors().signature();
    default:
      return message.quorum().SerializeAsString();
  }
}

}  // namespace

Invariants::Invariants(const Scenario& scenario)
    : scenario_(scenario),
      initial_model_(ParamsToBytes(std::vector<float>(scenario.dim))),
      model_(scenario.dim) {
  auto optimizer = CreateServerOptimizer(scenario.optimizer, scenario.dim);
  DURE_CHECK(optimizer.ok());
  optimizer_ = *std::move(optimizer);
}

void Invariants::Break(std::string what) {
  if (!broken_) broken_ = std::move(what);
}

void Invariants::OnStarts(const Person& member) { members_[member.id].answered.clear(); }

void Invariants::OnInputs(const Person& member, std::vector<GivenInput> inputs) {
  for (GivenInput& given : inputs) {
    Part& part = members_[member.id].parts[given.session_id];
    // A session that is offered again begins again, with other keys, unless it is charged.
    if (part.said.contains(secagg::UpMessage::kMaskedInput) ||
        part.said.contains(secagg::UpMessage::kPlainInput)) {
      Break(absl::StrCat(member.name, " gives a session an input after its upload"));
    }
    part.input = std::move(given.input);
  }
}

void Invariants::OnLedger(const Person& member, const LedgerEntry& entry) {
  Memory& memory = members_[member.id];
  if (const auto* charge = std::get_if<ChargeEntry>(&entry)) {
    if (charge->attempt <= memory.last_attempt) {
      Break(absl::StrCat(member.name, " charged attempt ", charge->attempt.value(), " after ",
                         memory.last_attempt.value()));
    }
    memory.last_attempt = charge->attempt;
    ++memory.charges;
    if (charge->round != RoundNumber(0)) memory.parts[charge->session_id].charge = *charge;
  } else if (const auto* consent = std::get_if<ConsentEntry>(&entry)) {
    Part& part = memory.parts[consent->session_id];
    if (!part.charge || part.charge->t1 != consent->t1) {
      Break(absl::StrCat(member.name, " consents in a session that it has not charged"));
    }
    if (!memory.signed_sets.emplace(consent->t1, consent->t3).second) {
      Break(absl::StrCat(member.name, " consents twice to one roster"));
    }
    part.t3 = consent->t3;
  }
}

void Invariants::OnSays(const Person& member, const ClientMessage& message) {
  if (!message.has_secagg()) return;
  const secagg::UpMessage& up = message.secagg();
  Part& part = members_[member.id].parts[SessionOf(up.session_id())];
  // Keys that nobody was dealt shares under may be drawn again, by a process that began again.
  if (!up.has_advertise()) {
    auto [said, first] = part.said.emplace(up.kind_case(), up.SerializeAsString());
    if (!first && said->second != up.SerializeAsString()) {
      Break(absl::StrCat(member.name, " says one message of session ",
                         Short(SessionOf(up.session_id())), " in two ways"));
    }
  }
  switch (up.kind_case()) {
    case secagg::UpMessage::kAdvertise:
      if (!members_[member.id].answered.insert(up.session_id()).second) {
        Break(absl::StrCat(member.name, " answers one offer with two sets of keys"));
      }
      // Fresh keys every time.
      for (const std::string* secret :
           {&up.advertise().enc_key(), &up.advertise().mask_key(), &up.advertise().nonce()}) {
        if (!members_[member.id].advertised.insert(*secret).second) {
          Break(absl::StrCat(member.name, " uses a session key again"));
        }
      }
      break;
    case secagg::UpMessage::kShares:
    case secagg::UpMessage::kPlainInput:
    case secagg::UpMessage::kMaskedInput:
      Shares(member, up);
      break;
    case secagg::UpMessage::kConsent:
      Consents(member, up);
      break;
    case secagg::UpMessage::kUnmask:
      Unmasks(member, up);
      break;
    default:
      Break(absl::StrCat(member.name, " says nothing"));
  }
}

void Invariants::Shares(const Person& member, const secagg::UpMessage& message) {
  const Part& part = members_[member.id].parts[SessionOf(message.session_id())];
  if (!part.charge) {
    Break(absl::StrCat(member.name, message.has_shares() ? "'s shares leave" : "'s input leaves",
                       " before the charge is on disk"));
  }
  if (!message.has_shares() && !part.input) {
    Break(absl::StrCat(member.name, " uploads an input that it was never given"));
  }
}

void Invariants::Consents(const Person& member, const secagg::UpMessage& message) {
  const Part& part = members_[member.id].parts[SessionOf(message.session_id())];
  if (!part.t3) {
    return Break(absl::StrCat(member.name, "'s consent leaves before it is on disk"));
  }
  if (!VerifySignature(member.key.public_key(), secagg::ConsentStatement(*part.t3).bytes(),
                       AsBytes(message.consent().signature()))) {
    Break(absl::StrCat(member.name, " signs another set of survivors than the one on disk"));
  }
}

void Invariants::Unmasks(const Person& member, const secagg::UpMessage& message) {
  const Part& part = members_[member.id].parts[SessionOf(message.session_id())];
  if (!part.t3) Break(absl::StrCat(member.name, " opens a set that it has not agreed to"));
  // There is one such message in a session at most, see OnSays.
  std::set<uint32_t> dealers;
  for (const auto* shares : {&message.unmask().self_seeds(), &message.unmask().mask_keys()}) {
    for (const secagg::Unmask::Share& share : *shares) {
      if (!dealers.insert(share.member()).second) {
        Break(absl::StrCat(member.name, " gives up two shares of member ", share.member()));
      }
    }
  }
}

void Invariants::AfterStep(const Person& member, uint32_t charges) {
  Memory& memory = members_[member.id];
  if (charges != memory.charges) {
    Break(absl::StrCat(member.name, " counts ", charges, " charges, and ", memory.charges,
                       " are on disk"));
  }
}

const std::string& Invariants::ModelOf(const RunState& state) const {
  return state.model ? *state.model : initial_model_;
}

void Invariants::OnFact(const RunState& state, const Fact& fact) {
  if (const auto* begun = std::get_if<AttemptBegun>(&fact)) {
    if (begun->attempt.value() != state.attempts.value() + 1 ||
        begun->round.value() != state.round.value() + 1) {
      Break(absl::StrCat("attempt ", begun->attempt.value(), " of round ", begun->round.value(),
                         " begins after attempt ", state.attempts.value(), " and round ",
                         state.round.value()));
    }
    if (begun->attempt.value() > scenario_.spec.rounds().max_attempts()) {
      Break("more attempts than the members agreed to");
    }
    if (!sessions_.insert(begun->session_id).second) Break("a session begins twice");
    session_ = {.id = begun->session_id, .attempt = begun->attempt};
  } else if (const auto* released = std::get_if<RoundReleased>(&fact)) {
    Releases(state, *released);
  } else if (const auto* failed = std::get_if<AttemptFailed>(&fact)) {
    if (failed->attempt != state.attempts || !ended_.insert(failed->attempt).second) {
      Break(absl::StrCat("attempt ", failed->attempt.value(), " fails a second time"));
    }
    session_.over = true;
  } else if (const auto* evaluation = std::get_if<EvaluationReceived>(&fact);
             evaluation != nullptr && evaluation->round > state.round) {
    Break("an evaluation of a model that is not there yet");
  }
}

void Invariants::OnTells(const RunState& state, const Person& to, const ServerMessage& message) {
  switch (message.kind_case()) {
    case ServerMessage::kWelcome: {
      if (RoundNumber(message.welcome().round()) != state.round) {
        Break(absl::StrCat(to.name, " is told of a round that is not on disk"));
      }
      bool honest = true;
      for (uint32_t index : scenario_.dishonest) {
        honest = honest && &People::Get().Member(index) != &to;
      }
      if (honest &&
          AttemptNumber(message.welcome().last_attempt()) > members_[to.id].last_attempt) {
        Break(absl::StrCat(to.name, " is told of shares that it never charged"));
      }
      break;
    }
    case ServerMessage::kOffer:
      Offers(state, to, message.offer());
      break;
    case ServerMessage::kSecagg:
      TellsSession(message.secagg());
      break;
    case ServerMessage::kAttemptEnded: {
      const Digest session = SessionOf(message.attempt_ended().session_id());
      const bool released = released_.contains(session);
      if (message.attempt_ended().released() != released ||
          (session == session_.id && !session_.over)) {
        Break("the end of an attempt is told before it is on disk");
      }
      break;
    }
    case ServerMessage::kEvaluate:
      if (RoundNumber(message.evaluate().round()) != state.round ||
          message.evaluate().model() != ModelOf(state)) {
        Break("a model is sent for measuring before its release is on disk");
      }
      break;
    case ServerMessage::kFinished:
      if (RoundNumber(message.finished().rounds()) != state.round ||
          message.finished().model_hash() != ToString(Sha256(AsBytes(ModelOf(state))))) {
        Break("the end is told with a model that is not on disk");
      }
      break;
    default:
      Break("the coordinator says nothing");
  }
}

void Invariants::Offers(const RunState& state, const Person& to, const RoundOffer& offer) {
  const secagg::RoundConfig& config = offer.offer().config();
  if (SessionOf(offer.offer().session_id()) != session_.id || session_.over ||
      AttemptNumber(config.attempt()) != session_.attempt || session_.attempt != state.attempts) {
    Break(absl::StrCat("attempt ", config.attempt(), " is offered before it is on disk"));
  }
  if (offer.model() != ModelOf(state) || config.round() != state.round.value() + 1) {
    Break(
        absl::StrCat("attempt ", config.attempt(), " offers a model whose release is not on disk"));
  }
  session_.config = config;
  session_.cohort.insert(to.id);
}

void Invariants::TellsSession(const secagg::DownMessage& message) {
  if (SessionOf(message.session_id()) != session_.id || session_.over) {
    return Break("the coordinator goes on with a session that is over");
  }
  auto [told, first] = session_.told.emplace(message.kind_case(), Common(message));
  if (!first && told->second != Common(message)) {
    return Break("the coordinator tells two members of one session different things");
  }
  if (message.has_roster()) {
    session_.roster.clear();
    for (const secagg::Advertise& entry : message.roster().entries()) {
      auto identity = People::Get().verifier()->Verify(AsBytes(entry.certificate()));
      session_.roster.push_back(identity.ok() ? identity->client_id : secagg::MemberId{});
    }
  } else if (message.has_survivors()) {
    session_.survivors = message.survivors().bitmap();
  }
}

void Invariants::OnHears(const Person& from, const ClientMessage& message) {
  if (session_.over || !message.secagg().has_plain_input() || !session_.cohort.contains(from.id) ||
      SessionOf(message.secagg().session_id()) != session_.id) {
    return;
  }
  const std::string& packed = message.secagg().plain_input().packed();
  if (CheckPacked(AsBytes(packed), session_.config.dim(), static_cast<int>(session_.config.bits()))
          .ok()) {
    session_.plain.emplace(from.id, packed);  // the first counts
  }
}

// What the members gave whose inputs the coordinator could read, added up here.
std::optional<std::vector<GroupSum>> Invariants::SumOfPlainInputs() const {
  const int bits = static_cast<int>(session_.config.bits());
  GroupSum all = {.sum = RingZeros(session_.config.dim(), bits)};
  for (const auto& [member, packed] : session_.plain) {
    if (!UnpackAndAdd(AsBytes(packed), bits, &all.sum).ok()) return std::nullopt;
    ++all.survivors;
  }
  return std::vector<GroupSum>{std::move(all)};
}

// What the survivors of the session that was opened gave, added up here, for each group.
std::optional<std::vector<GroupSum>> Invariants::SumsOfSurvivors() const {
  if (!scenario_.spec.secure_aggregation().enabled()) return SumOfPlainInputs();
  const int bits = static_cast<int>(session_.config.bits());
  auto rules = secagg::RulesOf(session_.config, static_cast<uint32_t>(session_.roster.size()));
  if (!rules.ok()) return std::nullopt;
  std::optional<secagg::Graph> graph;
  std::vector<GroupSum> sums(rules->groups);
  for (GroupSum& group : sums) group.sum = RingZeros(session_.config.dim(), bits);
  for (uint32_t i = 0; i < session_.roster.size(); ++i) {
    if (i / 8 >= session_.survivors.size() || !(session_.survivors[i / 8] >> (i % 8) & 1)) continue;
    auto memory = members_.find(session_.roster[i]);
    if (memory == members_.end()) return std::nullopt;
    auto part = memory->second.parts.find(session_.id);
    if (part == memory->second.parts.end() || !part->second.input || !part->second.charge) {
      return std::nullopt;
    }
    if (!graph) graph = rules->MakeGraph(part->second.charge->t1);
    GroupSum& group = sums[graph->GroupOf(ClientIndex(i))];
    if (!UnpackAndAdd(AsBytes(Pack(*part->second.input, bits)), bits, &group.sum).ok()) {
      return std::nullopt;
    }
    ++group.survivors;
  }
  return sums;
}

bool Invariants::SumsAreTrue(const RoundReleased& released) {
  const std::optional<std::vector<GroupSum>> expected = SumsOfSurvivors();
  if (!sums_ || !expected) {
    Break("a sum has an input that nobody gave");
    return false;
  }
  auto terms = DeriveTerms(scenario_.spec, scenario_.dim, session_.config.invited(),
                           session_.config.clip_norm());
  const int bits = static_cast<int>(session_.config.bits());
  uint32_t survivors = 0;
  auto next = expected->begin();  // groups may be left out
  for (const GroupSum& opened : sums_->sums) {
    while (next != expected->end() &&
           (next->survivors != opened.survivors ||
            RingToSigned(next->sum, bits) != RingToSigned(opened.sum, bits))) {
      ++next;
    }
    if (next == expected->end()) {
      Break(absl::StrCat("the sum of round ", released.round.value(), " over ", opened.survivors,
                         " members is not what survivors gave"));
      return false;
    }
    ++next;
    survivors += opened.survivors;
    if (!terms.ok() || opened.survivors < terms->sum_minimum) {
      Break(absl::StrCat("a sum of ", opened.survivors, " members is opened"));
      return false;
    }
  }
  if (survivors != released.survivors) Break("the number of survivors is not that of the sums");
  return !broken_;
}

void Invariants::Releases(const RunState& state, const RoundReleased& released) {
  if (released.round.value() != state.round.value() + 1 || released.attempt != state.attempts ||
      released.attempt != session_.attempt || !ended_.insert(released.attempt).second) {
    return Break(absl::StrCat("round ", released.round.value(), " is released by attempt ",
                              released.attempt.value(), " after round ", state.round.value()));
  }
  session_.over = true;
  released_.insert(session_.id);
  if (!SumsAreTrue(released)) return;
  DURE_CHECK(optimizer_->Step(0, sums_->update.Whole(), model_).ok());
  if (released.model != ParamsToBytes(model_) ||
      released.model_hash != Sha256(AsBytes(released.model))) {
    Break(absl::StrCat("the model of round ", released.round.value(),
                       " is not what its sums make of the first"));
  }
}

}  // namespace dure::world
