// Every phase of both engines with every message: what is said to it, by name, and the phase after
// it (docs/secure-aggregation.md sections 1.2 and 1.5). A cell that nobody thought of does not
// exist.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "crypto/merkle.h"
#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 6;  // c_max 1: Q = 4, t = 3, U_min' = 4
constexpr uint32_t kMember = 2;

std::vector<std::string> Words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// ---- The member. ----

// Columns: what comes. "X" is the coordinator's honest message of that kind for this member; "X'"
// another one, validly signed and saying something else, and a quorum with one signer less; "X!"
// the honest one with a wrong signature. Cells: what becomes of it.
//   take    accepted; the session goes to the next phase
//   again   accepted before: the same answer, nothing changes
//   early   FailedPrecondition: not awaited now, nothing changes
//   bad     InvalidArgument: nothing changes
//   lie     Aborted, the session has ended, both statements are kept as evidence
//   ends    Aborted, the session has ended
//   forged  Unauthenticated, the session has ended
constexpr char kMemberTable[] = R"(
           Offer Offer! Roster Roster' Roster! Dealt Dealt' Dealt! Survivors Survivors' Survivors! Quorum Quorum' Quorum! None Other
Fresh      take  forged early  early   early   early early  early  early     early      early      early  early   early   early early
Advertised early early  take   take    forged  early early  early  early     early      early      early  early   early   bad   bad
Shared     early early  again  lie     bad     take  take   forged early     early      early      early  early   early   bad   bad
Shared+    early early  again  lie     bad     take  take   forged early     early      early      early  early   early   bad   bad
Masking    early early  again  lie     bad     again lie    bad    early     early      early      early  early   early   bad   bad
Masked     early early  again  lie     bad     again lie    bad    take      take       forged     early  early   early   bad   bad
Consented  early early  again  lie     bad     again lie    bad    again     lie        bad        take   ends    ends    bad   bad
Finished   early early  again  lie     bad     again lie    bad    again     lie        bad        again  bad     bad     bad   bad
Ended      early early  early  early   early   early early  early  early     early      early      early  early   early   early early
)";

// The honest messages of a whole session to kMember, and their variants.
class DownMessages {
 public:
  explicit DownMessages(CohortForTest& cohort) : cohort_(cohort) {
    cohort.Reseed(0);
    SessionRunForTest run(cohort);
    offer_ = run.server.offer();
    for (Phase phase : {Phase::kShares, Phase::kMaskedInput, Phase::kConsent, Phase::kUnmask}) {
      SessionRunForTest again(cohort);
      cohort.Reseed(0);
      honest_.push_back(again.RunTo(phase)[kMember]);
      t1_ = again.server.t1();
      t2_ = again.server.t2();
    }
  }

  const Offer& offer() const { return offer_; }
  Offer ForgedOffer() const {
    Offer offer = offer_;
    offer.mutable_signature()->front() ^= 1;
    return offer;
  }
  // By a column's name.
  DownMessage Named(const std::string& name) const {
    DownMessage message;
    if (name == "None") {
      message.set_session_id(offer_.session_id());
      return message;
    }
    if (name == "Other") {
      message = honest_[0];
      message.mutable_session_id()->front() ^= 1;
      return message;
    }
    const std::string kinds[] = {"Roster", "Dealt", "Survivors", "Quorum"};
    for (size_t kind = 0; kind < 4; ++kind) {
      if (name.compare(0, kinds[kind].size(), kinds[kind]) != 0) continue;
      message = honest_[kind];
      if (name.back() == '\'') SaySomethingElse(&message);
      if (name.back() == '!') ForgeSignature(&message);
    }
    return message;
  }

 private:
  std::string Sign(const Transcript& statement) const {
    return ToString(cohort_.coordinator.Sign(statement.bytes()));
  }
  // Without member 5, in what the coordinator signs; the quorum with one signer less.
  void SaySomethingElse(DownMessage* message) const {
    MemberSet others(kMembers);
    for (uint32_t i = 0; i + 1 < kMembers; ++i) others.Insert(i);
    switch (message->kind_case()) {
      case DownMessage::kRoster: {
        Roster& roster = *message->mutable_roster();
        roster.mutable_entries()->RemoveLast();
        std::vector<RosterEntry> entries;
        for (const Advertise& entry : roster.entries()) {
          entries.push_back(*ReadAdvertise(entry, cohort_.verifier));
        }
        roster.set_signature(Sign(
            RosterStatement(RosterHash(cohort_.session_id, ConfigHash(cohort_.config), entries))));
        break;
      }
      case DownMessage::kDealt: {
        Dealt& dealt = *message->mutable_dealt();
        dealt.mutable_dealers()->RemoveLast();
        dealt.set_bitmap(others.ToString());
        dealt.set_signature(Sign(DealersStatement(DealersHash(t1_, others.bytes()))));
        break;
      }
      case DownMessage::kSurvivors: {
        Survivors& survivors = *message->mutable_survivors();
        survivors.mutable_uploads()->RemoveLast();
        survivors.set_bitmap(others.ToString());
        survivors.set_signature(Sign(SurvivorsStatement(SurvivorsHash(t2_, others.bytes()))));
        break;
      }
      default:
        message->mutable_quorum()->mutable_signers()->RemoveLast();
    }
  }
  // Of a quorum: of so many signers that too few are left.
  static void ForgeSignature(DownMessage* message) {
    std::string* signature = nullptr;
    switch (message->kind_case()) {
      case DownMessage::kRoster:
        signature = message->mutable_roster()->mutable_signature();
        break;
      case DownMessage::kDealt:
        signature = message->mutable_dealt()->mutable_signature();
        break;
      case DownMessage::kSurvivors:
        signature = message->mutable_survivors()->mutable_signature();
        break;
      default:
        for (auto& signer : *message->mutable_quorum()->mutable_signers()) {
          signer.mutable_signature()->front() ^= 1;
        }
        return;
    }
    signature->front() ^= 1;
  }

  CohortForTest& cohort_;
  Offer offer_;
  std::vector<DownMessage> honest_;
  Digest t1_;
  Digest t2_;
};

class MemberInState {
 public:
  // By a row's name; "Shared+" has its input.
  MemberInState(CohortForTest& cohort, const DownMessages& messages, const std::string& name) {
    cohort.Reseed(0);
    // What kMember draws depends on nobody else.
    client_.emplace(cohort.ClientParams(*cohort.members[kMember]));
    const std::string wanted = name == "Shared+" ? "Shared" : name;
    const auto arrived = [&] { return SessionForTest::StateOf(*client_) == wanted; };
    if (arrived()) return;
    DURE_CHECK(Start(messages.offer()).ok());
    if (wanted == "Ended") {
      client_->End(absl::CancelledError("paused"));
      return;
    }
    if (wanted != "Shared" && wanted != "Masking" && wanted != "Advertised") {
      DURE_CHECK(client_->SetInput(cohort.members[kMember]->input).ok());
    }
    for (const char* kind : {"Roster", "Dealt", "Survivors", "Quorum"}) {
      if (arrived()) break;
      DURE_CHECK(Receive(messages.Named(kind)).ok());
    }
    if (name == "Shared+") DURE_CHECK(client_->SetInput(cohort.members[kMember]->input).ok());
    DURE_CHECK(arrived());
  }

  absl::Status Start(const Offer& offer) { return client_->StartFromOffer(offer).status(); }
  absl::Status Receive(const DownMessage& message) {
    auto answer = client_->Receive(message);
    if (!answer.ok()) return answer.status();
    const std::string bytes = answer->has_value() ? (*answer)->SerializeAsString() : "";
    auto [first, added] = answers_.emplace(message.kind_case(), bytes);
    repeats_ = !added && first->second == bytes;
    return absl::OkStatus();
  }

  // What a cell says.
  std::string Name(const absl::Status& status, const std::string& before) const {
    const std::string after(SessionForTest::StateOf(*client_));
    const bool same = after == before;
    const bool ended = after == "Ended" && client_->ended() == status;
    switch (status.code()) {
      case absl::StatusCode::kOk:
        if (!same) return "take";
        return repeats_ ? "again" : "?";
      case absl::StatusCode::kFailedPrecondition:
        return same ? "early" : "?";
      case absl::StatusCode::kInvalidArgument:
        return same ? "bad" : "?";
      case absl::StatusCode::kAborted:
        if (!ended) return "?";
        return client_->evidence().empty() ? "ends" : "lie";
      case absl::StatusCode::kUnauthenticated:
        // A refused offer begins nothing.
        return ended || before == "Fresh" ? "forged" : "?";
      default:
        return "?";
    }
  }
  std::string state() const { return std::string(SessionForTest::StateOf(*client_)); }

 private:
  std::optional<Client> client_;
  std::map<DownMessage::KindCase, std::string> answers_;
  bool repeats_ = false;
};

TEST(PhaseMatrixTest, EveryMessageInEveryPhaseOfAMember) {
  CohortForTest cohort(kMembers, 3, 20);
  const DownMessages messages(cohort);
  std::istringstream table(kMemberTable);
  std::string line;
  std::getline(table, line);
  std::getline(table, line);
  const std::vector<std::string> columns = Words(line);
  ASSERT_EQ(columns.size(), 16u);
  int cells = 0;
  while (std::getline(table, line)) {
    const std::vector<std::string> row = Words(line);
    ASSERT_EQ(row.size(), columns.size() + 1) << line;
    for (size_t column = 0; column < columns.size(); ++column) {
      MemberInState member(cohort, messages, row[0]);
      const std::string before = member.state();
      const std::string& what = columns[column];
      const absl::Status status = what == "Offer"    ? member.Start(messages.offer())
                                  : what == "Offer!" ? member.Start(messages.ForgedOffer())
                                                     : member.Receive(messages.Named(what));
      EXPECT_EQ(member.Name(status, before), row[column + 1])
          << row[0] << " and " << what << ": " << status << ", then " << member.state();
      ++cells;
    }
  }
  EXPECT_EQ(cells, 9 * 16);
}

// ---- The coordinator. ----

// Columns: what comes. Kinds as above; "None" is a message of no kind, "Other" one of another
// session. Rows: the phase, and of whom it comes:
//   answered   has said what this phase waits for
//   silent     has not, and is awaited
//   left       is in the roster and has said nothing since
//   absent     was invited and has never said anything
//   excluded   has signed two different Advertise
//   stranger   was not invited
// Each message is one that a member who is still there would send now or sent before; of a kind
// that only later phases have, that of a whole session with the same seeds.  "X'" is the sender's
// other message of the kind, validly signed.
//   take      recorded; "input": recorded, and handed out for the sum
//   again     said before, byte for byte: OK, nothing changes
//   early     FailedPrecondition: not awaited now, nothing changes
//   bad       InvalidArgument: nothing changes
//   excludes  PermissionDenied, the sender is excluded and both statements are kept as evidence
//   denied    PermissionDenied: excluded before, nothing changes
//   unknown   NotFound
constexpr char kCoordinatorTable[] = R"(
                      Advertise Advertise' Shares Shares'  MaskedInput MaskedInput' Consent Consent' Unmask Unmask' Plain None Other
Advertise    silent   take      take       early  early    early       early        early   early    early  early   early bad  bad
Advertise    answered again     excludes   early  early    early       early        early   early    early  early   early bad  bad
Advertise    excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
Shares       silent   again     excludes   take   take     early       early        early   early    early  early   early bad  bad
Shares       answered again     excludes   again  excludes early       early        early   early    early  early   early bad  bad
Shares       absent   early     early      early  early    early       early        early   early    early  early   early bad  bad
Shares       excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
MaskedInput  silent   again     excludes   again  excludes input       input        early   early    early  early   early bad  bad
MaskedInput  answered again     excludes   again  excludes again       excludes     early   early    early  early   early bad  bad
MaskedInput  left     again     excludes   early  early    early       early        early   early    early  early   early bad  bad
MaskedInput  absent   early     early      early  early    early       early        early   early    early  early   early bad  bad
MaskedInput  excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
Consent      silent   again     excludes   again  excludes again       excludes     take    bad      early  early   early bad  bad
Consent      answered again     excludes   again  excludes again       excludes     again   bad      early  early   early bad  bad
Consent      left     again     excludes   early  early    early       early        early   early    early  early   early bad  bad
Consent      absent   early     early      early  early    early       early        early   early    early  early   early bad  bad
Consent      excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
Unmask       silent   again     excludes   again  excludes again       excludes     again   bad      take   names   early bad  bad
Unmask       answered again     excludes   again  excludes again       excludes     again   bad      again  bad     early bad  bad
Unmask       left     again     excludes   early  early    early       early        early   early    early  early   early bad  bad
Unmask       absent   early     early      early  early    early       early        early   early    early  early   early bad  bad
Unmask       excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
Finished     answered early     early      early  early    early       early        early   early    early  early   early early bad
Finished     left     early     early      early  early    early       early        early   early    early  early   early early bad
Finished     absent   early     early      early  early    early       early        early   early    early  early   early early bad
Finished     excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
Aborted      answered early     early      early  early    early       early        early   early    early  early   early early bad
Aborted      left     early     early      early  early    early       early        early   early    early  early   early early bad
Aborted      absent   early     early      early  early    early       early        early   early    early  early   early early bad
Aborted      excluded denied    denied     denied denied   denied      denied       denied  denied   denied denied  denied denied denied
)";

constexpr uint32_t kInvited = 8;
// Positions in the cohort by what a row calls them; everybody else always answers.
const std::map<std::string, uint32_t> kRoles = {
    {"answered", 0}, {"silent", 1}, {"left", 2}, {"excluded", 3}, {"absent", 4}};

const char* const kUpKinds[] = {"Advertise", "Shares", "MaskedInput", "Consent", "Unmask"};
const std::map<std::string, Phase> kPhases = {
    {"Advertise", Phase::kAdvertise},     {"Shares", Phase::kShares},
    {"MaskedInput", Phase::kMaskedInput}, {"Consent", Phase::kConsent},
    {"Unmask", Phase::kUnmask},           {"Finished", Phase::kFinished},
    {"Aborted", Phase::kAborted}};

// A session in which members have the roles above, up to a phase.
class CoordinatorInPhase {
 public:
  CoordinatorInPhase(CohortForTest& cohort, Phase phase, bool silent_answers) : cohort_(cohort) {
    cohort.Reseed(0);
    run_.emplace(cohort);
    if (phase == Phase::kAborted) {
      Speak(Phase::kAdvertise, run_->Start(), true);
      run_->Advance();
      Contradict(kRoles.at("excluded"));
      DURE_CHECK(!server().Advance(Into(&outbox_)).ok());
    } else {
      RunTo(phase, silent_answers);
    }
    DURE_CHECK(server().phase() == phase);
    if (phase == Phase::kAdvertise) Contradict(kRoles.at("excluded"));
  }

  Server& server() { return run_->server; }
  MemberId id(uint32_t i) const { return run_->id(i); }
  // What each member has sent, by kind.
  const std::map<std::string, UpMessage>& said(uint32_t i) { return said_[i]; }

  // A cell's name for what became of `message`.
  std::string Outcome(const MemberId& sender, const UpMessage& message) {
    const Phase before = server().phase();
    const uint32_t answered = server().answered();
    const size_t faults = server().faults().size();
    const size_t evidence = server().evidence().size();
    const auto accepted = server().Receive(sender, message);
    const bool excludes = server().faults().size() == faults + 1;
    if (server().phase() != before) return "?";
    if (excludes != (server().faults().size() != faults)) return "?";
    if (accepted.ok()) {
      if (excludes) return "?";
      if (accepted->has_value()) return server().answered() == answered + 1 ? "input" : "?";
      return server().answered() == answered + 1 ? "take" : "again";
    }
    if (excludes) {
      const bool kept = server().evidence().size() == evidence + 1;
      if (absl::IsPermissionDenied(accepted.status())) return kept ? "excludes" : "?";
      return absl::IsInvalidArgument(accepted.status()) ? "names" : "?";
    }
    if (server().answered() != answered || server().evidence().size() != evidence) return "?";
    switch (accepted.status().code()) {
      case absl::StatusCode::kFailedPrecondition:
        return "early";
      case absl::StatusCode::kInvalidArgument:
        return "bad";
      case absl::StatusCode::kPermissionDenied:
        return "denied";
      case absl::StatusCode::kNotFound:
        return "unknown";
      default:
        return "?";
    }
  }

  // Another message of the same kind, signed by its sender.
  UpMessage Other(uint32_t i, UpMessage message) {
    const SigningKey& key = cohort_.members[i]->key;
    const auto sign = [&](const Transcript& statement) {
      return ToString(key.Sign(statement.bytes()));
    };
    switch (message.kind_case()) {
      case UpMessage::kAdvertise: {
        Advertise& advertise = *message.mutable_advertise();
        advertise.mutable_nonce()->front() ^= 1;
        advertise.set_signature(
            sign(AdvertiseStatement(cohort_.session_id, server().config_hash(),
                                    *ReadAdvertise(advertise, cohort_.verifier))));
        break;
      }
      case UpMessage::kShares: {
        Shares& shares = *message.mutable_shares();
        shares.mutable_commit_seed()->front() ^= 1;
        shares.set_signature(sign(SharesStatement(server().t1(), IndexOf(i), RootOf(i, shares),
                                                  AsBytes(shares.commit_seed()))));
        break;
      }
      case UpMessage::kMaskedInput: {
        MaskedInput& input = *message.mutable_masked_input();
        input.mutable_packed()->front() ^= 1;
        input.set_signature(
            sign(MaskedStatement(server().t2(), IndexOf(i), Sha256(AsBytes(input.packed())),
                                 AsBytes(input.void_bitmap()))));
        break;
      }
      case UpMessage::kConsent:
        message.mutable_consent()->mutable_signature()->front() ^= 1;
        break;
      default:
        message.mutable_unmask()->mutable_self_seeds(0)->mutable_share()->front() ^= 1;
    }
    return message;
  }

 private:
  ClientIndex IndexOf(uint32_t i) {
    uint32_t index = 0;
    while (server().roster()[index].client_id != id(i)) ++index;
    return ClientIndex(index);
  }
  Digest RootOf(uint32_t i, const Shares& shares) {
    std::vector<Digest> leaves;
    uint32_t holder = 0;
    for (const Shares::Sealed& sealed : shares.sealed()) {
      if (ClientIndex(holder) == IndexOf(i)) ++holder;
      leaves.push_back(ShareLeaf(server().t1(),
                                 {.dealer = IndexOf(i), .holder = ClientIndex(holder++)},
                                 {.ciphertext = AsBytes(sealed.ciphertext()),
                                  .commit_mask = AsBytes(sealed.commit_mask()),
                                  .commit_self = AsBytes(sealed.commit_self())}));
    }
    return MerkleTree(leaves).root();
  }
  void RunTo(Phase phase, bool silent_answers) {
    std::vector<UpMessage> messages = run_->Start();
    Speak(Phase::kAdvertise, messages, phase > Phase::kAdvertise || silent_answers);
    while (server().phase() < phase) {
      const std::vector<DownMessage> down = run_->Advance();
      if (server().phase() == Phase::kShares) Contradict(kRoles.at("excluded"));
      if (server().phase() == Phase::kFinished) return;
      messages.assign(kInvited, UpMessage());
      for (uint32_t i = 0; i < kInvited; ++i) {
        if (Stays(i)) messages[i] = **run_->client(i).Receive(down[i]);
      }
      Speak(server().phase(), messages, server().phase() < phase || silent_answers);
    }
  }
  static bool Stays(uint32_t i) { return i < 2 || i > 4; }
  void Speak(Phase phase, const std::vector<UpMessage>& messages, bool silent_answers) {
    for (uint32_t i = 0; i < kInvited; ++i) {
      if (phase > Phase::kAdvertise && !Stays(i)) continue;
      said_[i][kUpKinds[static_cast<int>(phase)]] = messages[i];
      if (i == kRoles.at("absent") || (i == kRoles.at("silent") && !silent_answers)) continue;
      run_->Deliver(i, messages[i]);
    }
  }
  void Contradict(uint32_t i) {
    DURE_CHECK(Outcome(id(i), Other(i, said_[i].at("Advertise"))) == "excludes");
  }

  CohortForTest& cohort_;
  std::optional<SessionRunForTest> run_;
  Outbox outbox_;
  std::map<std::string, UpMessage> said_[kInvited];
};

TEST(PhaseMatrixTest, EveryMessageInEveryPhaseOfTheCoordinator) {
  CohortForTest cohort(kInvited, 3, 20);
  CoordinatorInPhase whole(cohort, Phase::kFinished, true);
  std::istringstream table(kCoordinatorTable);
  std::string line;
  std::getline(table, line);
  std::getline(table, line);
  const std::vector<std::string> columns = Words(line);
  ASSERT_EQ(columns.size(), 13u);
  int rows = 0;
  while (std::getline(table, line)) {
    const std::vector<std::string> row = Words(line);
    ASSERT_EQ(row.size(), columns.size() + 2) << line;
    const uint32_t sender = kRoles.at(row[1]);
    for (size_t column = 0; column < columns.size(); ++column) {
      const std::string& what = columns[column];
      CoordinatorInPhase coordinator(cohort, kPhases.at(row[0]), false);
      UpMessage message;
      message.set_session_id(ToString(cohort.session_id));
      const std::string kind = what.back() == '\'' ? what.substr(0, what.size() - 1) : what;
      if (kind == "Other") message.mutable_session_id()->front() ^= 1;
      if (kind == "Plain") message.mutable_plain_input()->set_packed(std::string(8, '\0'));
      // Whoever has not said it sends what another member said.
      const auto& own = whole.said(sender);
      const uint32_t author = own.contains(kind) ? sender : 0;
      if (whole.said(author).contains(kind)) message = whole.said(author).at(kind);
      if (what != kind) message = whole.Other(author, message);
      EXPECT_EQ(coordinator.Outcome(coordinator.id(sender), message), row[column + 2])
          << row[0] << ", " << row[1] << " and " << what;
      CoordinatorInPhase again(cohort, kPhases.at(row[0]), false);
      EXPECT_EQ(again.Outcome(MemberId{}, message), "unknown");
      ++rows;
    }
  }
  EXPECT_EQ(rows, 30 * 13);
}

}  // namespace
}  // namespace dure::secagg
