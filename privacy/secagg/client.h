// A member's half of secure aggregation, FLSA-v1 (docs/secure-aggregation.md section 1), as a state
// machine without input or output. One object is one session. It releases one masked input and, if
// it agreed with a quorum on who survived, shares that open one sum; never anything else.
//
// How to drive it:
//   StartFromOffer() -> send the Advertise. Then Receive() every DownMessage and send what it
//   returns. SetInput() at any time after StartFromOffer(): training runs beside the key exchange,
//   and the masked input is returned by whichever of SetInput() and Receive() comes second.
// What the caller writes down, durably, before it sends:
//   Shares: (session id, t1()); MaskedInput: the privacy charge; Consent: (t1(), t3()).
//
// Not thread-safe: lives on one strand.
#ifndef DURE_PRIVACY_SECAGG_CLIENT_H_
#define DURE_PRIVACY_SECAGG_CLIENT_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "base/strong_id.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"
#include "crypto/x25519.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/dealing.h"
#include "privacy/secagg/evidence.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/member_set.h"
#include "privacy/secagg/session_keys.h"
#include "privacy/secagg/thresholds.h"
#include "privacy/secagg/transcript.h"
#include "privacy/secagg/witness.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// A member in a list of the member's own.
struct PinnedMember {
  std::string organisation;
  bool revoked = false;  // may not be in a roster any more
};

// What a member insists on, whatever the coordinator offers (section 1.5).
struct ClientPolicy {
  uint32_t minimum_roster = kMinMembers;   // n_min: least that the Offer's may be
  uint32_t minimum_sum = kMinMembers;      // U_min: least that the Offer's may be
  uint32_t max_corrupt = 1;                // c_max: least that the Offer's may be
  uint32_t smallest_roster = kMinMembers;  // fewest members in a roster
  // Most members of one organisation in a roster. Members without an organisation are not counted.
  uint32_t max_per_organisation = std::numeric_limits<uint32_t>::max();
  // The pinned list of members: a roster may contain nobody else, and organisations are those of
  // the list. Absent: no list, and organisations are those of the certificates.
  std::optional<std::map<MemberId, PinnedMember>> members;
};

class Client {
 public:
  struct Params {
    ClientPolicy policy;
    const SigningKey* key = nullptr;          // this member's identity; borrowed
    std::string certificate;                  // DER, of `key`
    PublicKey coordinator = {};               // pinned
    CertificateVerifier* verifier = nullptr;  // borrowed
    Random* random = nullptr;                 // SystemRandom in shipped programs; borrowed
    int threads = 0;  // on which an input is masked; 0: as many as the machine has
  };

  explicit Client(Params params);

  // Message 0 -> message 1. The caller has compared the config with the federation's terms, the
  // model's hash with the model that it received, and has looked into its ledger. May be called
  // once (FailedPrecondition).
  // InvalidArgument, FailedPrecondition: ValidateConfig. Unauthenticated: not signed by the pinned
  // coordinator. PermissionDenied: the policy forbids the config.
  absl::StatusOr<UpMessage> StartFromOffer(const Offer& offer);

  // Takes one message of the coordinator and returns the answer, if there is one now.
  //   InvalidArgument: malformed or of another session; FailedPrecondition: not awaited now, or the
  //     session has ended. Nothing changes.
  //   Aborted: a check of section 1.2 failed; PermissionDenied: the policy forbids the roster;
  //     Unauthenticated: a signature of the coordinator or of a member is wrong or missing. The
  //     session has ended and its secrets are erased: see ended() and evidence().
  // A byte-identical repetition gets the same answer (a long input: WithoutLongInput()). Messages
  // that are refused, and those that come after the end, are looked at for contradictions all the
  // same: see evidence().
  absl::StatusOr<std::optional<UpMessage>> Receive(const DownMessage& message);

  // The input: d integers, taken mod 2^b. Returns the masked input if the coordinator's U2 is here
  // already. InvalidArgument if there are not d; FailedPrecondition before StartFromOffer(), for a
  // second input, or when the session has ended.
  absl::StatusOr<std::optional<UpMessage>> SetInput(std::span<const int64_t> input);
  // The same for an input in the ring; its words must be those of b (RingFits) (InvalidArgument).
  absl::StatusOr<std::optional<UpMessage>> SetInput(RingVector input);

  // Does some of the work of masking ahead of time, on the caller's thread: expands about `words`
  // words of the masks that are known from the Roster on. True if there is more to do. To be called
  // when nothing else is waiting, while training or the network takes its time; what is never
  // prepared is masked when the input is sent. From the first call on the session holds a vector of
  // d elements, input or not.
  bool PrepareMasks(uint64_t words);

  // Ends the session and erases its secrets: the caller refuses, or the coordinator is gone.
  void End(absl::Status why);

  // Why the session ended early; OK while it goes on and after the Unmask message.
  const absl::Status& ended() const { return ended_; }
  // The Unmask message was returned: nothing more will come.
  bool finished() const;
  // Contradictory signed statements of the coordinator, also such that came after the end.
  const std::vector<Evidence>& evidence() const { return witness_.evidence(); }

  // All zero before StartFromOffer().
  const SessionId& session_id() const { return session_id_; }
  const Digest& config_hash() const { return config_hash_; }
  // Set once the Roster, U2 and U3 have been accepted.
  const std::optional<Digest>& t1() const { return t1_; }
  const std::optional<Digest>& t2() const { return t2_; }
  const std::optional<Digest>& t3() const { return t3_; }
  // Of this member's sum; computed from the accepted Roster.
  const std::optional<Thresholds>& thresholds() const { return thresholds_; }
  // Who is in the sum; set with t3(). Positions in the roster.
  const std::optional<MemberSet>& survivors() const { return u3_; }

 private:
  friend class SessionForTest;  // defined in tests only: sessions of a given hash and thresholds
  using Answer = std::optional<UpMessage>;
  static Answer Remembered(const Answer& answer);

  // One struct a phase. A phase holds the secrets that are still needed; leaving it wipes them.
  struct Fresh {};
  struct Advertised {  // waits for the Roster
    X25519PrivateKey enc;
    X25519PrivateKey mask;
    Advertise sent;
  };
  struct Shared {                        // waits for U2
    std::vector<KeyedMask> masks;        // K_mask by neighbour, and K_self
    std::vector<OneMessageKey> opening;  // by neighbour
  };
  struct Masking {                 // waits for the input
    std::vector<KeyedMask> masks;  // K_mask of the neighbours in U2, and K_self
    HeldShares held;
  };
  struct Masked {  // waits for U3
    HeldShares held;
  };
  struct Consented {  // waits for the quorum
    HeldShares held;
    std::string signature;
  };
  struct Finished {};
  struct Ended {};
  using State =
      std::variant<Fresh, Advertised, Shared, Masking, Masked, Consented, Finished, Ended>;

  // What was accepted of one kind, and the answer to it.
  struct Accepted {
    Digest fingerprint = {};
    Answer answer;
  };

  Client(Params params, SessionRule rule);

  absl::Status CheckOffer(const Offer& offer, const Digest& config_hash) const;
  UpMessage Begin(const SessionId& session_id, const RoundConfig& config,
                  const Digest& config_hash);
  UpMessage NewUpMessage() const;
  // How many members of a set are in the same sum as this member, itself included.
  uint32_t CountInMySum(const MemberSet& members) const;
  absl::Status CheckSurvivorsHaveNeighbours(const MemberSet& survivors) const;

  // Each takes the message that its phase waits for, which passed CheckSizes.
  absl::StatusOr<Answer> Take(const DownMessage& message);
  absl::StatusOr<Answer> TakeRoster(Advertised& state, const Roster& message);
  absl::StatusOr<Answer> TakeDealt(Shared& state, const Dealt& message);
  absl::StatusOr<Answer> TakeSurvivors(Masked& state, const Survivors& message);
  absl::StatusOr<Answer> TakeQuorum(Consented& state, const Quorum& message);

  absl::StatusOr<std::vector<RosterEntry>> VerifyRoster(const Roster& message,
                                                        const Advertise& own) const;
  absl::Status CheckPolicy(std::span<const RosterEntry> roster) const;
  absl::StatusOr<MemberSet> VerifySurvivors(const Survivors& message) const;
  absl::Status VerifyUpload(const Survivors::Upload& upload) const;
  uint32_t CountSigners(const Quorum& message, const std::string& own) const;
  // The masked input if U2 and the input are both here.
  Answer MaskIfReady();
  void KeepMasksOfDealers(std::vector<KeyedMask>& masks);

  bool IsCoordinators(const Transcript& statement, const std::string& signature) const;
  // T1, T2 or T3, as the message sets it.
  Digest HashOf(DownMessage::KindCase kind) const;
  // Ends the session: the coordinator has signed two different messages of one kind.
  absl::Status Contradicted();

  Params params_;
  SessionRule rule_;
  State state_;
  absl::Status ended_;
  Witness witness_;
  std::map<DownMessage::KindCase, Accepted> accepted_;

  SessionId session_id_ = {};
  RoundConfig config_;
  Digest config_hash_ = {};
  std::vector<RosterEntry> roster_;
  ClientIndex self_;
  std::optional<SessionRules> rules_;
  std::optional<Thresholds> thresholds_;  // of this member's sum
  std::optional<Graph> graph_;
  std::vector<ClientIndex> neighbours_;  // this member's, ascending
  std::optional<Digest> t1_, t2_, t3_;
  std::optional<MemberSet> u2_, u3_;
  // The input, if it is here, plus masks in the first `masked_` elements: those of all neighbours
  // until U2 is known, then of those in it.
  std::optional<SecretRing> sum_;
  bool has_input_ = false;
  uint64_t masked_ = 0;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_CLIENT_H_
