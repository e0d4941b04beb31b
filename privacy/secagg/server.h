// The coordinator's half of secure aggregation, FLSA-v1 (docs/secure-aggregation.md section 1), as
// a state machine without input or output: it knows no clock, socket or file. One object is one
// session, that is one attempt at a round. It learns one sum over at least U_min' members.
//
// How to drive it:
//   send offer() to every expected member; then, for each phase,
//     Receive() what arrives (Drop() whom the transport lost), until Complete(), or until the
//     deadline if CanAdvance(); then Advance() and send what it hands out.
//   An AcceptedInput goes into the caller's sum at once, one sum for each of groups(); the Server
//   keeps only its hash. After the Advance() out of kUnmask, RemoveMasks() turns those sums into
//   the sums of the inputs.
// With groups, one that cannot go on (too few members, unusable shares) is left out, and the
// session goes on while the others have members enough.
//
// Not thread-safe: lives on one strand.
#ifndef DURE_PRIVACY_SECAGG_SERVER_H_
#define DURE_PRIVACY_SECAGG_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "base/strong_id.h"
#include "crypto/ed25519.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/dealing.h"
#include "privacy/secagg/evidence.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/roster.h"
#include "privacy/secagg/staged_input.h"
#include "privacy/secagg/thresholds.h"
#include "privacy/secagg/unmasking.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// What the session waits for, in order.
enum class Phase {
  kAdvertise,    // keys of every member
  kShares,       // encrypted shares of every member's secrets
  kMaskedInput,  // masked inputs; training happens here
  kConsent,      // signatures on the set of survivors
  kUnmask,       // shares that remove the masks
  kFinished,     // RemoveMasks() may be called
  kAborted,      // see Server::aborted()
};
// "keys", "shares", ...: for status displays and messages.
std::string_view PhaseName(Phase phase);

// Members that are to receive the same share one message.
struct OutMessage {
  MemberId to;
  std::shared_ptr<const DownMessage> message;
};
// Takes messages one after the other. Of a thousand members, all at once would be most of what a
// session needs of the memory.
using Send = absl::FunctionRef<void(OutMessage)>;

// A masked input whose length, padding and signature were verified. Add it to the sum exactly once.
struct AcceptedInput {
  MemberId member;
  ClientIndex index;
  uint32_t group = 0;  // whose sum it goes into; 0 where there is one sum
  std::string packed;  // PackedBytes(d, b) bytes; or, if it came in pieces:
  std::shared_ptr<const ByteSource> staged;
};

class Server {
 public:
  struct Params {
    SessionId session_id = {};                // 32 fresh random bytes
    RoundConfig config;                       // config.invited == expected.size()
    const SigningKey* key = nullptr;          // the coordinator's; borrowed
    CertificateVerifier* verifier = nullptr;  // borrowed
    std::vector<MemberId> expected;           // the cohort: distinct client ids
  };

  // InvalidArgument or FailedPrecondition from ValidateConfig; InvalidArgument if the cohort is not
  // config.invited distinct members.
  static absl::StatusOr<Server> Create(Params params);

  // Message 0, the same for everyone.
  const Offer& offer() const { return offer_; }

  // Takes one message of the authenticated member `sender`, in any phase and order.
  //   OK: it was recorded, or it repeats byte for byte what the sender said before. A masked input
  //     that is new is handed out; everything else gives nullopt.
  //   NotFound: the sender is not of this session.
  //   InvalidArgument: malformed, of another session, or it fails a check. Nothing changes, except
  //     that a share which does not match its commitment excludes its holder.
  //   FailedPrecondition: nothing of this kind is awaited from the sender now. Nothing changes.
  //   PermissionDenied: the sender is excluded, or now becomes so because it signed two different
  //     messages of one kind; see faults() and evidence().
  // `staged`: the input that the message refers to, where it came in pieces.
  absl::StatusOr<std::optional<AcceptedInput>> Receive(const MemberId& sender, UpMessage message,
                                                       const StagedInput* staged = nullptr);
  // How many bytes the input of the member has that this phase waits for; nothing if it waits for
  // none.
  std::optional<uint64_t> ExpectedInput(const MemberId& member) const;
  // Whether an input of the member was accepted.
  bool HasInput(const MemberId& member) const {
    const auto found = members_.find(member);
    return found != members_.end() && found->second.upload.has_value();
  }

  // The member declined or was lost: it is not awaited any more. If a valid message of it still
  // comes in time, it counts. Unknown ids are ignored.
  void Drop(const MemberId& member);

  Phase phase() const;
  // Everybody who is still awaited in this phase has answered.
  bool Complete() const { return Awaited().empty(); }
  // Enough members have answered this phase for the session to go on.
  bool CanAdvance() const;
  // Whose answer to this phase is missing, lost and excluded members left out.
  std::vector<MemberId> Awaited() const;
  // How many members have answered this phase, and how many it needs at least.
  uint32_t answered() const;
  uint32_t needed() const;

  // Closes the phase and hands out the next messages, one a member. Aborted, with the numbers, if
  // the session cannot go on; it then stays in kAborted. FailedPrecondition once it has ended.
  absl::Status Advance(Send send);

  // The latest message for a member, once more, for one that lost its connection. NotFound if there
  // is none.
  absl::StatusOr<DownMessage> LatestFor(const MemberId& member) const;

  // In kFinished only (DURE_CHECK), once: turns `sums`, for each group the sum mod 2^b of its
  // accepted inputs, into the sums of what the survivors put in. Returns the groups that were
  // opened, ascending; the sums of the others are unchanged. Aborted, naming the dealer, if no
  // group is left because shares do not rebuild what was committed to; the session is then aborted.
  // Each of `sums` must have d elements of b bits (DURE_CHECK).
  absl::StatusOr<std::vector<uint32_t>> RemoveMasks(std::span<RingVector> sums);
  // The same for a session with one sum (DURE_CHECK).
  absl::Status RemoveMasks(RingVector* sum);

  // Why the session was aborted; OK while it was not.
  const absl::Status& aborted() const { return aborted_; }
  // Members that broke the protocol, with the reason. A retry should leave them out.
  const std::map<MemberId, std::string>& faults() const { return faults_; }
  // Contradictory signed statements of members.
  const std::vector<Evidence>& evidence() const { return evidence_; }

  // From the end of kAdvertise: by ascending client id; a ClientIndex is a position in it.
  const std::vector<MemberIdentity>& roster() const { return roster_; }
  const std::optional<SessionRules>& rules() const { return rules_; }
  uint32_t groups() const { return rules_.has_value() ? rules_->groups : 1; }
  // Members of a group whose inputs are in its sum; after kMaskedInput.
  uint32_t SurvivorsIn(uint32_t group) const { return CountIn(*u3_, group); }
  // Its share of the roster.
  double ShareOfGroup(uint32_t group) const {
    return static_cast<double>(graph_->GroupSize(group)) / graph_->members();
  }
  // From the end of kShares and kMaskedInput: who dealt shares (U2), whose input is in the sum
  // (U3).
  const std::optional<MemberSet>& dealers() const { return u2_; }
  const std::optional<MemberSet>& survivors() const { return u3_; }
  // Hashes of what was agreed; all zero before.
  const Digest& config_hash() const { return config_hash_; }
  const Digest& t1() const { return t1_; }
  const Digest& t2() const { return t2_; }
  const Digest& t3() const { return t3_; }

 private:
  friend class SessionForTest;  // defined in tests only: sessions of a given hash and thresholds

  // What a member said in one phase, to tell a repetition from a contradiction.
  struct Said {
    Digest fingerprint = {};
    SignedStatement signed_statement;
  };
  struct Upload {
    Digest packed_hash = {};
    MemberSet voids;  // over the sender's neighbours
    std::string signature;
  };
  // Everything known of one member, by the phase that brings it.
  struct Member {
    bool lost = false;
    std::optional<ClientIndex> index;  // set for members of the roster, at the end of kAdvertise
    std::optional<Advertise> advertise;
    RosterEntry entry;
    std::optional<Dealing> dealing;
    std::optional<Upload> upload;
    std::optional<std::string> consent;  // the signature
    bool unmasked = false;
    std::map<UpMessage::KindCase, Said> said;
  };

  // One struct a phase. What was received is in the members.
  struct Advertising {};
  struct Sharing {};
  struct Masking {};
  struct Consenting {};
  struct Unmasking {
    UnmaskingShares shares;
  };
  struct Finished {
    UnmaskingShares shares;
  };
  struct Aborted {};
  using State =
      std::variant<Advertising, Sharing, Masking, Consenting, Unmasking, Finished, Aborted>;

  Server(Params params, Digest config_hash, SessionRule rule);

  const Member& At(ClientIndex index) const {
    return members_.at(roster_[index.value()].client_id);
  }
  Member& At(ClientIndex index) { return members_.at(roster_[index.value()].client_id); }
  const Graph& graph() const { return *graph_; }
  uint32_t ThresholdOf(ClientIndex member) const;
  // Whether the member is in a group that goes on.
  bool GroupLives(ClientIndex member) const { return group_lives_[graph_->GroupOf(member)]; }
  uint32_t CountIn(const MemberSet& members, uint32_t group) const;
  // Takes the groups out of `members` in which fewer than U_min' of `of` are left, or which fail
  // `check`. The first reason, as Aborted, if that leaves too few in all.
  absl::Status KeepGroups(std::string_view what, uint32_t of,
                          const std::function<absl::Status(uint32_t)>& check, MemberSet* members);
  // Whether this phase waits for an answer of the member, lost or not.
  bool Expects(const Member& member) const;
  bool HasAnswered(const Member& member) const;
  bool Excluded(const MemberId& id) const { return faults_.contains(id); }
  void Exclude(const MemberId& id, std::string why);
  absl::Status Abort(std::string why);

  // What messages say, checked and then recorded in `member` (server_receive.cc). They return what
  // was signed, if it was a statement that can be contradicted.
  // `last_byte` is that of the packed input, if there is one.
  absl::StatusOr<SignedStatement> Take(const MemberId& id, Member& member, UpMessage& message,
                                       const Digest& packed_hash, uint8_t last_byte);
  absl::StatusOr<SignedStatement> TakeAdvertise(const MemberId& id, Member& member,
                                                Advertise message);
  absl::StatusOr<SignedStatement> TakeShares(Member& member, Shares message);
  absl::StatusOr<SignedStatement> TakeMaskedInput(Member& member, const MaskedInput& message,
                                                  const Digest& packed_hash, uint8_t last_byte);
  absl::Status TakeConsent(Member& member, const Consent& message);
  absl::Status TakeUnmask(const MemberId& id, Member& member, const Unmask& message);
  absl::Status CheckShareSet(const Member& holder, const Unmask& message) const;
  absl::Status CheckContradiction(const MemberId& id, const Member& member, UpMessage& message,
                                  const Digest& packed_hash, uint8_t last_byte);

  audit::Contradiction Contradict(UpMessage::KindCase kind, const Member& first,
                                  const Member& second) const;

  absl::Status CloseAdvertise();
  absl::Status CloseShares();
  absl::Status CloseMaskedInput();
  absl::Status CheckHolders(const MemberSet& survivors, uint32_t group);
  absl::Status CheckShareCounts(uint32_t group) const;
  absl::Status CloseConsent();
  absl::Status CloseUnmask();
  // How many survivors hold a share of `owner`'s secret over an edge that is not void.
  uint32_t Holders(ClientIndex owner, const MemberSet& survivors) const;
  // Whether the holder, whose upload is here, could not use what the dealer sent it.
  bool IsVoid(const Edge& edge) const;

  Roster RosterMessage() const;
  Dealt DealtMessage(const Member& member) const;
  Survivors SurvivorsMessage(const Member& member) const;
  Quorum QuorumMessage() const;

  SessionId session_id_;
  RoundConfig config_;
  Digest config_hash_;
  SessionRule rule_;
  const SigningKey* key_;
  CertificateVerifier* verifier_;
  Offer offer_;
  uint32_t minimum_roster_;  // fewest members with whom the thresholds can be met

  State state_;
  absl::Status aborted_;
  std::map<MemberId, std::string> faults_;
  std::vector<Evidence> evidence_;
  std::map<MemberId, Member> members_;

  std::vector<MemberIdentity> roster_;
  std::map<X25519PublicKey, MemberId> session_keys_;  // of all, and whose they are
  std::optional<SessionRules> rules_;
  std::optional<Graph> graph_;
  std::vector<bool> group_lives_;
  std::optional<MemberSet> u2_;
  std::optional<MemberSet> u3_;
  Digest t1_ = {};
  Digest t2_ = {};
  Digest t3_ = {};
  std::string signature_;  // on T1, T2 or T3, of the message that opened this phase
};

// InvalidArgument unless the cohort is config.invited distinct members.
absl::Status CheckCohort(const Server::Params& params);
// Message 0, signed.
Offer MakeOffer(const SessionId& session_id, const RoundConfig& config, const Digest& config_hash,
                const SigningKey& key);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_SERVER_H_
