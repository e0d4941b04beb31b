// Test support: a coordinator that breaks the rules on purpose, together with members whose keys it
// has, and the judgement of what it has learned. It signs whatever it likes with its own key and
// with theirs; what honest members send it, it can only pass on, leave out, corrupt and repeat.
// Every decision is drawn from a Choices, so that a test can draw it from a seed and a fuzzer from
// its bytes; a choice of 0 is always what an honest coordinator would do.
#ifndef DURE_PRIVACY_SECAGG_HOSTILE_FOR_TEST_H_
#define DURE_PRIVACY_SECAGG_HOSTILE_FOR_TEST_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {

// What one honest member was made to say and do, by the end of a session.
struct MemberView {
  uint32_t index = 0;  // in its roster
  uint32_t members = 0;
  Digest t1 = {};
  std::optional<Digest> t2, t3;
  std::optional<MemberSet> dealers;  // U2 as it saw it; set if it may have masked
  bool uploaded = false;
  std::optional<Unmask> released;
  std::set<uint32_t> colluding;  // the coordinator's members in this roster
};

// What honest members did that agreed on one roster. Others in it may be honest too, and were shown
// something else.
struct RosterView {
  SessionRules rules;
  Graph graph;
  std::set<uint32_t> colluding;           // by index
  std::map<uint32_t, MemberView> honest;  // by index

  const Thresholds& ThresholdsOf(uint32_t member) const {
    return rules.OfGroup(graph.GroupSize(graph.GroupOf(ClientIndex(member))));
  }
  bool AreNeighbours(uint32_t a, uint32_t b) const {
    return a != b && graph.AreNeighbours(ClientIndex(a), ClientIndex(b));
  }
};

// How many shares of each member's two secrets the coordinator has.
struct SharesKnown {
  std::vector<uint32_t> of_seed;
  std::vector<uint32_t> of_key;
  std::string wrong;
};

// Those that its own members were dealt, and those that honest members released.
inline SharesKnown CountShares(const RosterView& roster) {
  const uint32_t members = roster.rules.members;
  SharesKnown known{.of_seed = std::vector<uint32_t>(members),
                    .of_key = std::vector<uint32_t>(members)};
  for (const uint32_t v : roster.colluding) {
    for (uint32_t owner = 0; owner < members; ++owner) {
      if (!roster.AreNeighbours(owner, v)) continue;
      ++known.of_seed[owner];
      ++known.of_key[owner];
    }
  }
  const MemberView* first = nullptr;
  for (const auto& [index, view] : roster.honest) {
    if (!view.released.has_value()) continue;
    if (first == nullptr) first = &view;
    if (view.t2 != first->t2 || view.t3 != first->t3) {
      known.wrong = "honest members released shares for different sets of members";
    }
    std::set<uint32_t> of;
    for (const auto* shares : {&view.released->self_seeds(), &view.released->mask_keys()}) {
      std::vector<uint32_t>& count =
          shares == &view.released->self_seeds() ? known.of_seed : known.of_key;
      for (const Unmask::Share& share : *shares) {
        if (!of.insert(share.member()).second) known.wrong = "two shares of one member";
        ++count[share.member()];
      }
    }
  }
  return known;
}

// What the coordinator can compute from what it has: empty if that is at most one sum a group, of
// enough honest members; otherwise what went wrong.
inline std::string JudgePrivacy(const RosterView& roster) {
  const SharesKnown known = CountShares(roster);
  if (!known.wrong.empty()) return known.wrong;
  std::set<uint32_t> left;  // honest members whose self mask can be removed
  for (const auto& [index, view] : roster.honest) {
    const uint32_t threshold = roster.ThresholdsOf(index).threshold;
    const bool seed = known.of_seed[index] >= threshold;
    if (seed && known.of_key[index] >= threshold) {
      return absl::StrCat("both secrets of member ", index, " can be rebuilt");
    }
    if (seed && view.uploaded) left.insert(index);
  }
  const std::set<uint32_t> opened = left;
  // y_u has a mask with v that the coordinator cannot compute: of another honest member, shown the
  // same roster or not.
  const auto hides = [&](uint32_t u, uint32_t v) {
    return roster.AreNeighbours(u, v) && !roster.colluding.contains(v) &&
           roster.honest.at(u).dealers->Contains(v) &&
           known.of_key[v] < roster.ThresholdsOf(v).threshold &&
           known.of_key[u] < roster.ThresholdsOf(u).threshold;
  };
  std::map<uint32_t, int> sums;  // by group
  while (!left.empty()) {
    // Whatever cancels only together.
    std::set<uint32_t> component = {*left.begin()};
    bool closed = true;
    for (std::vector<uint32_t> open = {*left.begin()}; !open.empty();) {
      const uint32_t u = open.back();
      open.pop_back();
      for (uint32_t v = 0; v < roster.rules.members; ++v) {
        if (!hides(u, v)) continue;
        if (!opened.contains(v)) {
          closed = false;
          continue;
        }
        if (!roster.honest.at(v).dealers->Contains(u)) closed = false;
        if (component.insert(v).second) open.push_back(v);
      }
    }
    for (uint32_t v : component) left.erase(v);
    if (!closed) continue;
    const uint32_t group = roster.graph.GroupOf(ClientIndex(*component.begin()));
    if (++sums[group] > 1) return absl::StrCat("two sums of group ", group, " can be opened");
    if (component.size() < roster.rules.HonestMinimum()) {
      return absl::StrCat("a sum of ", component.size(), " honest members can be opened; at least ",
                          roster.rules.HonestMinimum(), " must be in it");
    }
  }
  return "";
}

// The same for all honest members of a session, whatever rosters they were shown.
inline std::string JudgePrivacy(const RoundConfig& config, const std::vector<MemberView>& honest) {
  std::map<Digest, RosterView> rosters;
  for (const MemberView& view : honest) {
    const SessionRules rules = *RulesOf(config, view.members);
    auto [found, added] = rosters.try_emplace(
        view.t1,
        RosterView{.rules = rules, .graph = rules.MakeGraph(view.t1), .colluding = view.colluding});
    found->second.honest.emplace(view.index, view);
  }
  for (const auto& [t1, roster] : rosters) {
    std::string wrong = JudgePrivacy(roster);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

// Where decisions come from.
class Choices {
 public:
  virtual ~Choices() = default;
  // Below `count`, which is at least 1.
  virtual uint32_t Pick(uint32_t count) = 0;
  bool Rarely(uint32_t one_in) { return Pick(one_in) == one_in - 1; }
};

class SeededChoices final : public Choices {
 public:
  explicit SeededChoices(uint64_t seed) : random_(SeededRandom(seed)) {}
  uint32_t Pick(uint32_t count) override {
    return static_cast<uint32_t>(random_.NextU64() % count);
  }

 private:
  AesCtrRandom random_;
};

// A byte a choice; 0 when they are used up.
class BytesChoices final : public Choices {
 public:
  explicit BytesChoices(ByteView bytes) : bytes_(bytes) {}
  uint32_t Pick(uint32_t count) override {
    if (bytes_.empty()) return 0;
    const uint32_t picked = bytes_[0] % count;
    bytes_ = bytes_.subspan(1);
    return picked;
  }

 private:
  ByteView bytes_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_HOSTILE_FOR_TEST_H_
