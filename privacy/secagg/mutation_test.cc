// One message of an honest run changed in one place, every place in turn: each field altered,
// cleared, repeated, put in another order, swapped with another member's, and each message dropped,
// delivered twice, in another phase, to another member, or taken from an earlier session. With the
// signatures as they were and, where whoever sent the message could do it, signed again.
//
// Whatever was changed, either the run ends with exactly the sum of the inputs of its survivors, or
// the member that was given the changed message releases no share; and what members release
// together opens at most one sum (JudgePrivacy). A member dropped out between 3 and 5, so that both
// kinds of shares occur.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "privacy/secagg/hostile_for_test.h"
#include "privacy/secagg/signer_for_test.h"

namespace dure::secagg {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// ---- What can be changed in one message. ----

struct Change {
  std::string name;
  std::function<void(Message*)> apply;
};

std::vector<std::pair<std::string, std::string>> Altered(const std::string& bytes, bool text) {
  std::vector<std::pair<std::string, std::string>> all;
  const auto flipped = [&](size_t at, const char* where) {
    std::string copy = bytes;
    copy[at] = static_cast<char>(copy[at] ^ 1);
    all.emplace_back(where, copy);
  };
  if (!bytes.empty()) {
    flipped(0, "first bit");
    flipped(bytes.size() / 2, "middle bit");
    flipped(bytes.size() - 1, "last bit");
    all.emplace_back("empty", "");
    all.emplace_back("cut", bytes.substr(0, bytes.size() - 1));
    all.emplace_back("zero", std::string(bytes.size(), '\0'));
    // Text is sent as UTF-8 only.
    all.emplace_back("ones", std::string(bytes.size(), text ? '\x7f' : '\xff'));
  }
  all.emplace_back("longer", bytes + '\0');
  return all;
}

// The message that a path of fields and places leads to.
struct Place {
  const FieldDescriptor* field;
  int index;  // -1: not repeated
};
using Path = std::vector<Place>;

Message* Follow(Message* message, const Path& path) {
  for (const Place& place : path) {
    const Reflection& reflection = *message->GetReflection();
    if (place.index < 0) {
      message = reflection.MutableMessage(message, place.field);
    } else if (place.index < reflection.FieldSize(*message, place.field)) {
      message = reflection.MutableRepeatedMessage(message, place.field, place.index);
    } else {
      return nullptr;
    }
  }
  return message;
}

class Changes {
 public:
  // `message` as it was, and the same member's kind of message of another member, to swap with.
  static std::vector<Change> Of(const Message& message, const Message* other) {
    Changes changes;
    changes.Walk(message, {}, "");
    if (other != nullptr) changes.Swap(message, *other, {}, "");
    return std::move(changes.all_);
  }

 private:
  void Add(const std::string& name, const Path& path, std::function<void(Message*)> apply) {
    all_.push_back({name, [path, apply = std::move(apply)](Message* root) {
                      if (Message* at = Follow(root, path)) apply(at);
                    }});
  }
  void Walk(const Message& message, const Path& path, const std::string& prefix) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const std::string name = prefix + field->name();
      Add(name + " cleared", path,
          [field](Message* at) { at->GetReflection()->ClearField(at, field); });
      if (field->is_repeated()) {
        WalkRepeated(message, field, path, name);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Path below = path;
        below.push_back({field, -1});
        Walk(reflection.GetMessage(message, field), below, name + ".");
      } else {
        WalkScalar(message, field, path, name);
      }
    }
    // What no version of the protocol knows.
    Add(prefix + "unknown field", path,
        [](Message* at) { at->GetReflection()->MutableUnknownFields(at)->AddVarint(1000, 1); });
  }
  void WalkScalar(const Message& message, const FieldDescriptor* field, const Path& path,
                  const std::string& name) {
    const Reflection& reflection = *message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        for (auto& [how, bytes] : Altered(reflection.GetString(message, field),
                                          field->type() == FieldDescriptor::TYPE_STRING)) {
          Add(name + ": " + how, path, [field, bytes = bytes](Message* at) {
            at->GetReflection()->SetString(at, field, bytes);
          });
        }
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        for (uint32_t value : {0u, 1u, reflection.GetUInt32(message, field) + 1,
                               reflection.GetUInt32(message, field) - 1, ~0u}) {
          Add(absl::StrCat(name, ": ", value), path,
              [field, value](Message* at) { at->GetReflection()->SetUInt32(at, field, value); });
        }
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        for (uint64_t value :
             {uint64_t{0}, reflection.GetUInt64(message, field) + 1, ~uint64_t{0}}) {
          Add(absl::StrCat(name, ": ", value), path,
              [field, value](Message* at) { at->GetReflection()->SetUInt64(at, field, value); });
        }
        break;
      default:  // reals
        for (double value : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN(),
                             reflection.GetDouble(message, field) * 2}) {
          Add(absl::StrCat(name, ": ", value), path,
              [field, value](Message* at) { at->GetReflection()->SetDouble(at, field, value); });
        }
    }
  }
  void WalkRepeated(const Message& message, const FieldDescriptor* field, const Path& path,
                    const std::string& name) {
    const Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, field);
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    Add(name + " without the last", path,
        [field](Message* at) { at->GetReflection()->RemoveLast(at, field); });
    for (int i = 0; i < size; ++i) {
      const std::string element = absl::StrCat(name, "[", i, "]");
      Add(element + " twice", path, [field, i, nested](Message* at) {
        if (nested) {
          Message* added = at->GetReflection()->AddMessage(at, field);
          added->CopyFrom(at->GetReflection()->GetRepeatedMessage(*at, field, i));
        } else {
          at->GetReflection()->AddString(at, field,
                                         at->GetReflection()->GetRepeatedString(*at, field, i));
        }
      });
      Add(element + " in place of its neighbour", path, [field, i, size, nested](Message* at) {
        const int to = (i + 1) % size;
        if (nested) {
          at->GetReflection()
              ->MutableRepeatedMessage(at, field, to)
              ->CopyFrom(at->GetReflection()->GetRepeatedMessage(*at, field, i));
        } else {
          at->GetReflection()->SetRepeatedString(
              at, field, to, at->GetReflection()->GetRepeatedString(*at, field, i));
        }
      });
      Add(element + " removed", path, [field, i, size](Message* at) {
        for (int j = i; j + 1 < size; ++j) at->GetReflection()->SwapElements(at, field, j, j + 1);
        at->GetReflection()->RemoveLast(at, field);
      });
      for (int j = i + 1; j < size; ++j) {
        Add(absl::StrCat(element, " swapped with [", j, "]"), path,
            [field, i, j](Message* at) { at->GetReflection()->SwapElements(at, field, i, j); });
      }
      if (nested) {
        Path below = path;
        below.push_back({field, i});
        Walk(reflection.GetRepeatedMessage(message, field, i), below, element + ".");
        continue;
      }
      for (auto& [how, bytes] : Altered(reflection.GetRepeatedString(message, field, i), false)) {
        Add(element + ": " + how, path, [field, i, bytes = bytes](Message* at) {
          at->GetReflection()->SetRepeatedString(at, field, i, bytes);
        });
      }
    }
  }
  // Each field that `other` has differently, taken from there.
  void Swap(const Message& message, const Message& other, const Path& path,
            const std::string& prefix) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(other, &fields);
    for (const FieldDescriptor* field : fields) {
      const std::string name = prefix + field->name();
      auto copy = std::shared_ptr<Message>(other.New());
      copy->CopyFrom(other);
      Add(name + " of another", path, [field, copy](Message* at) {
        Message* from = copy->New();
        from->CopyFrom(*copy);
        at->GetReflection()->SwapFields(at, from, {field});
        delete from;
      });
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated()) {
        Path below = path;
        below.push_back({field, -1});
        Swap(reflection.GetMessage(message, field), reflection.GetMessage(other, field), below,
             name + ".");
        continue;
      }
      const int size =
          std::min(reflection.FieldSize(message, field), reflection.FieldSize(other, field));
      for (int i = 0; i < size; ++i) {
        Path below = path;
        below.push_back({field, i});
        Swap(reflection.GetRepeatedMessage(message, field, i),
             reflection.GetRepeatedMessage(other, field, i), below,
             absl::StrCat(name, "[", i, "]."));
      }
    }
  }

  std::vector<Change> all_;
};

// ---- One run, changed at one step. ----

// A message on its way, to a member or from it.
struct Step {
  Phase phase = Phase::kAdvertise;
  bool down = false;
  uint32_t member = 0;
  auto Key() const { return std::tuple(phase, !down, member); }
  bool operator<(const Step& other) const { return Key() < other.Key(); }
  bool operator==(const Step& other) const { return Key() == other.Key(); }
};
using Packet = std::shared_ptr<const Message>;
using Packets = std::vector<Packet>;

template <typename M>
Packet Copy(const M& message) {
  return std::make_shared<M>(message);
}

constexpr Phase kPhaseList[] = {Phase::kAdvertise, Phase::kShares, Phase::kMaskedInput,
                                Phase::kConsent, Phase::kUnmask};

struct Setting {
  std::string name;
  uint32_t members;
  uint32_t leaver;  // says nothing after its Shares
  uint32_t every;   // of the changes, each so-many-th is tried
  std::string graph_rule = kGraphRuleComplete;
};

class ChangedRun {
 public:
  // At `at`, `packets` are delivered in place of the honest message.
  ChangedRun(CohortForTest& cohort, const Setting& setting, std::optional<Step> at, Packets packets,
             uint64_t seed = 0)
      : cohort_(cohort), setting_(setting), at_(at), packets_(std::move(packets)) {
    cohort.Reseed(seed);
    server_.emplace(*Server::Create(cohort.ServerParams()));
    seen_.resize(setting.members);
    for (auto& member : cohort.members) member->client.emplace(cohort.ClientParams(*member));
    while (server_->phase() < Phase::kFinished && RunPhase()) continue;
    if (server_->phase() == Phase::kFinished) {
      sums_.resize(server_->groups(), RingZeros(dim(), bits()));
      if (auto opened = server_->RemoveMasks(sums_); opened.ok()) opened_ = *std::move(opened);
    }
  }

  const std::map<Step, Packet>& log() const { return log_; }
  const Server& server() const { return *server_; }
  bool opened() const { return !opened_.empty(); }
  bool released(uint32_t i) const { return seen_[i].unmask.has_value(); }
  const std::string& contradiction() const { return contradiction_; }

  // Whether it ended with the sum of what the survivors put in, in every group that was opened; a
  // member that signed another masked input than its own put in that much more.
  bool SumIsExact() const {
    for (const uint32_t group : opened_) {
      RingVector expected = RingFromSigned(cohort_.SumOf([&](uint32_t i) {
        return accepted_.contains(i) && accepted_.at(i).group == group;
      }),
                                           bits());
      for (const auto& [i, accepted] : accepted_) {
        if (!IsSurvivor(i)) return false;
        if (accepted.group != group || accepted.packed == seen_[i].packed) continue;
        Add(accepted.packed, &expected);
        std::vector<int64_t> minus =
            RingToSigned(*Unpack(AsBytes(seen_[i].packed), dim(), bits()), bits());
        for (int64_t& value : minus) value = -value;
        Add(Pack(RingFromSigned(minus, bits()), bits()), &expected);
      }
      if (RingToSigned(sums_[group], bits()) != RingToSigned(expected, bits())) return false;
    }
    return true;
  }
  // Without `colluding`, which is the coordinator's.
  std::vector<MemberView> Views(std::optional<uint32_t> colluding) const {
    std::vector<MemberView> views;
    for (uint32_t i = 0; i < setting_.members; ++i) {
      const Client& client = *cohort_.members[i]->client;
      const Seen& seen = seen_[i];
      if (i == colluding || !client.t1().has_value()) continue;
      views.push_back({.index = seen.index,
                       .members = seen.members,
                       .t1 = *client.t1(),
                       .t2 = client.t2(),
                       .t3 = client.t3(),
                       .dealers = seen.dealers,
                       .uploaded = !seen.packed.empty(),
                       .released = seen.unmask,
                       .colluding = {}});
      if (!colluding.has_value()) continue;
      const std::string certificate = cohort_.members[*colluding]->certificate();
      for (uint32_t index = 0; index < seen.members; ++index) {
        if (seen.certificates[index] == certificate) views.back().colluding.insert(index);
      }
    }
    return views;
  }

 private:
  struct Seen {
    uint32_t index = 0;
    uint32_t members = 0;
    std::vector<std::string> certificates;  // of the roster
    std::optional<MemberSet> dealers;
    std::string packed;
    std::optional<Unmask> unmask;
    std::map<UpMessage::KindCase, std::string> sent;
  };

  int bits() const { return static_cast<int>(cohort_.config.bits()); }
  uint64_t dim() const { return cohort_.config.dim(); }
  bool IsSurvivor(uint32_t i) const {
    for (uint32_t v = 0; v < server_->roster().size(); ++v) {
      if (server_->roster()[v].client_id == cohort_.members[i]->id()) {
        return server_->survivors()->Contains(v);
      }
    }
    return false;
  }

  bool RunPhase() {
    const Phase phase = server_->phase();
    for (uint32_t i = 0; i < setting_.members; ++i) {
      Packets answers;
      if (phase == Phase::kAdvertise) {
        answers = DeliverDown(i, Deliver({phase, true, i}, Copy(server_->offer())));
      } else if (i != setting_.leaver || phase == Phase::kShares) {
        auto mine = server_->LatestFor(cohort_.members[i]->id());
        if (mine.ok()) answers = DeliverDown(i, Deliver({phase, true, i}, Copy(*mine)));
      }
      if (answers.empty()) continue;
      for (size_t a = 0; a + 1 < answers.size(); ++a) {
        DeliverUp(i, static_cast<const UpMessage&>(*answers[a]));
      }
      for (const Packet& packet : Deliver({phase, false, i}, answers.back())) {
        DeliverUp(i, static_cast<const UpMessage&>(*packet));
      }
    }
    Outbox outbox;
    return server_->Advance(Into(&outbox)).ok();
  }
  Packets Deliver(const Step& step, const Packet& honest) {
    log_[step] = honest;
    return at_ == step ? packets_ : Packets{honest};
  }

  Packets DeliverDown(uint32_t i, const Packets& packets) {
    Packets answers;
    for (const Packet& packet : packets) {
      std::optional<UpMessage> answer = Answer(i, *packet);
      if (!answer.has_value()) continue;
      TakeDown(i, *answer);
      answers.push_back(Copy(*answer));
    }
    return answers;
  }
  std::optional<UpMessage> Answer(uint32_t i, const Message& message) {
    Client& client = *cohort_.members[i]->client;
    const std::vector<int64_t>& input = cohort_.members[i]->input;
    if (message.GetDescriptor() == Offer::descriptor()) {
      auto answer = client.StartFromOffer(static_cast<const Offer&>(message));
      if (!answer.ok()) return std::nullopt;
      if (i % 2 == 0) client.SetInput(input).IgnoreError();
      return *std::move(answer);
    }
    const auto& down = static_cast<const DownMessage&>(message);
    auto answer = client.Receive(down);
    if (!answer.ok()) return std::nullopt;
    if (down.has_roster()) {
      seen_[i].members = static_cast<uint32_t>(down.roster().entries_size());
      seen_[i].certificates.clear();
      for (const Advertise& entry : down.roster().entries()) {
        if (entry.certificate() == cohort_.members[i]->certificate()) {
          seen_[i].index = static_cast<uint32_t>(seen_[i].certificates.size());
        }
        seen_[i].certificates.push_back(entry.certificate());
      }
    }
    if (!down.has_dealt()) return *std::move(answer);
    seen_[i].dealers = *MemberSet::Parse(down.dealt().bitmap(), seen_[i].members);
    if (answer->has_value() || i % 2 == 0) return *std::move(answer);
    answer = client.SetInput(input);
    return answer.ok() ? *std::move(answer) : std::nullopt;
  }
  // What left a member.
  void TakeDown(uint32_t i, const UpMessage& up) {
    auto [first, added] = seen_[i].sent.emplace(up.kind_case(), up.SerializeAsString());
    if (!added && first->second != up.SerializeAsString()) contradiction_ = "two of one kind";
    if (up.has_masked_input()) seen_[i].packed = up.masked_input().packed();
    if (up.has_unmask()) seen_[i].unmask = up.unmask();
  }
  void DeliverUp(uint32_t i, const UpMessage& up) {
    auto accepted = server_->Receive(cohort_.members[i]->id(), up);
    if (!accepted.ok() || !accepted->has_value()) return;
    accepted_[i] = {(*accepted)->packed, (*accepted)->group};
    sums_.resize(server_->groups(), RingZeros(dim(), bits()));
    Add((*accepted)->packed, &sums_[(*accepted)->group]);
  }
  void Add(const std::string& packed, RingVector* sum) const {
    DURE_CHECK(UnpackAndAdd(AsBytes(packed), bits(), sum).ok());
  }

  CohortForTest& cohort_;
  const Setting& setting_;
  std::optional<Step> at_;
  Packets packets_;
  std::optional<Server> server_;
  std::vector<RingVector> sums_;  // by group
  std::vector<uint32_t> opened_;  // groups
  std::vector<Seen> seen_;
  struct Accepted {
    std::string packed;
    uint32_t group;
  };
  std::map<uint32_t, Accepted> accepted_;
  std::map<Step, Packet> log_;
  std::string contradiction_;
};

// ---- All of them. ----

// Of five members all are needed once one has left. Of six another may leave, so that the run of
// the others still has a sum. With groups, one may have a sum and the other none.
const Setting kSettings[] = {
    {"FiveMembers", 5, 4, 1}, {"SixMembers", 6, 2, 7}, {"TwoGroups", 8, 3, 20, "groups-of-4"}};

class MutationTest : public ::testing::TestWithParam<Setting> {
 protected:
  MutationTest() : cohort_(GetParam().members, 5, 20), old_cohort_(GetParam().members, 5, 20) {
    for (CohortForTest* cohort : {&cohort_, &old_cohort_}) {
      cohort->config.set_graph_rule(GetParam().graph_rule);
    }
    honest_.emplace(cohort_, GetParam(), std::nullopt, Packets{});
    // An earlier round of the same members.
    old_cohort_.session_id.fill(7);
    old_cohort_.config.set_round(0);
    old_.emplace(old_cohort_, GetParam(), std::nullopt, Packets{}, 1);
  }

  // Runs with `packets` at `step` and checks what came of it.
  void Try(const Step& step, Packets packets, const std::string& name,
           std::optional<uint32_t> colluding = std::nullopt) {
    if (++offered_ % GetParam().every != 0) return;
    ++tried_;
    const ChangedRun run(cohort_, GetParam(), step, std::move(packets));
    const std::string what =
        absl::StrCat(step.down ? "to" : "from", " member ", step.member, " in phase ",
                     std::string(PhaseName(step.phase)), ", ", name);
    if (run.opened()) {
      ++opened_;
      ASSERT_TRUE(run.SumIsExact()) << what;
    } else if (step.down) {
      ASSERT_FALSE(run.released(step.member)) << what;
    }
    ASSERT_EQ(run.contradiction(), "") << what;
    ASSERT_EQ(JudgePrivacy(cohort_.config, run.Views(colluding)), "") << what;
  }
  // The same message of another member, or null.
  const Message* Another(const Step& step) const {
    for (uint32_t i = 1; i < GetParam().members; ++i) {
      Step other = step;
      other.member = (step.member + i) % GetParam().members;
      if (auto found = honest_->log().find(other); found != honest_->log().end()) {
        return found->second.get();
      }
    }
    return nullptr;
  }
  // Somebody else than the receiver who stays to the end.
  uint32_t ColludingFor(const Step& step) const {
    uint32_t i = (step.member + 1) % GetParam().members;
    return i == GetParam().leaver ? (i + 1) % GetParam().members : i;
  }
  void TearDown() override {
    RecordProperty("tried", tried_);
    RecordProperty("opened", opened_);
    std::printf("%d runs, %d of them with a sum\n", tried_, opened_);
  }

  CohortForTest cohort_;
  CohortForTest old_cohort_;
  std::optional<ChangedRun> honest_;
  std::optional<ChangedRun> old_;
  int offered_ = 0;
  int tried_ = 0;
  int opened_ = 0;
};

TEST_P(MutationTest, TheHonestRunOpensTheSum) {
  EXPECT_TRUE(honest_->opened() && honest_->SumIsExact());
  EXPECT_FALSE(honest_->released(GetParam().leaver));
  EXPECT_EQ(JudgePrivacy(cohort_.config, honest_->Views({})), "");
}

TEST_P(MutationTest, EveryFieldOfEveryMessage) {
  for (const auto& [step, message] : honest_->log()) {
    std::set<std::string> tried = {message->SerializeAsString()};
    for (const Change& change : Changes::Of(*message, Another(step))) {
      auto changed = std::shared_ptr<Message>(message->New());
      changed->CopyFrom(*message);
      change.apply(changed.get());
      if (!tried.insert(changed->SerializeAsString()).second) continue;
      ASSERT_NO_FATAL_FAILURE(Try(step, {changed}, change.name));
    }
  }
  EXPECT_GT(offered_, 5000);
}

TEST_P(MutationTest, EveryFieldOfEveryMessageSignedAgain) {
  for (const auto& [step, message] : honest_->log()) {
    const uint32_t colluding = step.down ? ColludingFor(step) : step.member;
    const Signer signer(cohort_, honest_->server(), colluding);
    std::set<std::string> tried = {message->SerializeAsString()};
    for (const Change& change : Changes::Of(*message, Another(step))) {
      auto changed = std::shared_ptr<Message>(message->New());
      changed->CopyFrom(*message);
      change.apply(changed.get());
      const std::string before = changed->SerializeAsString();
      if (step.down) {
        signer.SignDown(step.member, changed.get());
      } else {
        signer.SignUp(step.member, static_cast<UpMessage*>(changed.get()));
      }
      // What the signature did not change was tried without.
      const std::string after = changed->SerializeAsString();
      if (after == before || !tried.insert(after).second) continue;
      ASSERT_NO_FATAL_FAILURE(Try(step, {changed}, change.name + ", signed", colluding));
    }
  }
  EXPECT_GT(offered_, 2000);
}

TEST_P(MutationTest, EveryMessageLostRepeatedMisplacedOrOld) {
  for (const auto& [step, message] : honest_->log()) {
    ASSERT_NO_FATAL_FAILURE(Try(step, {}, "lost"));
    ASSERT_NO_FATAL_FAILURE(Try(step, {message, message}, "twice"));
    // Everything else that was sent in that direction, of this session and of the earlier one.
    for (const auto* log : {&honest_->log(), &old_->log()}) {
      for (const auto& [other_step, other] : *log) {
        if (other_step.down != step.down) continue;
        const std::string name =
            absl::StrCat(log == &honest_->log() ? "" : "earlier session's ", "message of member ",
                         other_step.member, ", ", std::string(PhaseName(other_step.phase)));
        ASSERT_NO_FATAL_FAILURE(Try(step, {other}, name));
        if (other_step.member != step.member && other_step.phase != step.phase) continue;
        ASSERT_NO_FATAL_FAILURE(Try(step, {other, message}, name + " before it"));
        ASSERT_NO_FATAL_FAILURE(Try(step, {message, other}, name + " after it"));
        if (log == &honest_->log() || other->GetDescriptor() == Offer::descriptor()) continue;
        auto renamed = std::shared_ptr<Message>(other->New());
        renamed->CopyFrom(*other);
        renamed->GetReflection()->SetString(renamed.get(),
                                            renamed->GetDescriptor()->FindFieldByName("session_id"),
                                            ToString(cohort_.session_id));
        ASSERT_NO_FATAL_FAILURE(Try(step, {renamed}, name + " renamed"));
        ASSERT_NO_FATAL_FAILURE(Try(step, {renamed, message}, name + " renamed, before it"));
      }
    }
  }
  EXPECT_GT(offered_, 3000);
}

INSTANTIATE_TEST_SUITE_P(Cohorts, MutationTest, ::testing::ValuesIn(kSettings),
                         [](const auto& setting) { return setting.param.name; });

}  // namespace
}  // namespace dure::secagg
