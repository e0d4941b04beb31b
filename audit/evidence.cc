#include "audit/evidence.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "audit/evidence_hashes.h"
#include "base/status_macros.h"

namespace dure::audit {
namespace {

constexpr size_t kKeyBytes = sizeof(PublicKey);
constexpr size_t kMaxFieldBytes = 128;  // keys, nonces, hashes and signatures, right or wrong
constexpr size_t kMaxNameBytes = 64;    // names in a RoundConfig
// Members named in one difference; the rest is counted.
constexpr size_t kMaxNamed = 8;

absl::Status Refuse(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("not an evidence file: ", what));
}

absl::Status AtMost(const char* what, size_t size, size_t limit) {
  if (size <= limit) return absl::OkStatus();
  return Refuse(absl::StrCat(what, " of ", size, " bytes, limit ", limit));
}

absl::Status CheckMembers(const RosterMembers& members) {
  if (members.size() > kMaxEvidenceMembers) {
    return Refuse(
        absl::StrCat("a roster of ", members.size(), " members, limit ", kMaxEvidenceMembers));
  }
  for (const RosterMember& member : members) {
    for (const std::string* field : {&member.key(), &member.enc_key(), &member.mask_key(),
                                     &member.nonce(), &member.signature()}) {
      DURE_RETURN_IF_ERROR(AtMost("a field of a roster", field->size(), kMaxFieldBytes));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBitmap(const std::string& bitmap) {
  return AtMost("a bitmap", bitmap.size(), kMaxEvidenceBitmapBytes);
}

absl::Status CheckBitmaps(const SignedBitmap& first, const SignedBitmap& second) {
  DURE_RETURN_IF_ERROR(CheckBitmap(first.bitmap()));
  return CheckBitmap(second.bitmap());
}

absl::Status CheckInputs(const TwoInputs& inputs) {
  DURE_RETURN_IF_ERROR(CheckMembers(inputs.roster()));
  DURE_RETURN_IF_ERROR(CheckBitmap(inputs.dealers()));
  DURE_RETURN_IF_ERROR(CheckBitmap(inputs.first().void_bitmap()));
  return CheckBitmap(inputs.second().void_bitmap());
}

absl::Status CheckKind(const Contradiction& said) {
  switch (said.kind_case()) {
    case Contradiction::kRosters:
      DURE_RETURN_IF_ERROR(CheckMembers(said.rosters().first().members()));
      return CheckMembers(said.rosters().second().members());
    case Contradiction::kDealers:
      DURE_RETURN_IF_ERROR(CheckMembers(said.dealers().roster()));
      return CheckBitmaps(said.dealers().first(), said.dealers().second());
    case Contradiction::kSurvivors:
      DURE_RETURN_IF_ERROR(CheckMembers(said.survivors().roster()));
      DURE_RETURN_IF_ERROR(CheckBitmap(said.survivors().dealers()));
      return CheckBitmaps(said.survivors().first(), said.survivors().second());
    case Contradiction::kShares:
      return CheckMembers(said.shares().roster());
    case Contradiction::kInputs:
      return CheckInputs(said.inputs());
    case Contradiction::kAdvertises:
      return absl::OkStatus();
    case Contradiction::KIND_NOT_SET:
      break;
  }
  return Refuse("it does not say what contradicts what");
}

std::string Short(const Digest& digest) { return ToHex(ByteView(digest).first(4)); }

// "3cefc94e, 81b0aa12 and 3 more".
std::string Names(const std::vector<std::string>& ids) {
  const size_t named = std::min(ids.size(), kMaxNamed);
  std::string text = absl::StrJoin(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(named), ", ");
  if (ids.size() > named) absl::StrAppend(&text, " and ", ids.size() - named, " more");
  return text;
}

bool HasBit(const std::string& bitmap, size_t bit) {
  return bit / 8 < bitmap.size() && (static_cast<uint8_t>(bitmap[bit / 8]) >> (bit % 8) & 1) != 0;
}

size_t CountBits(const std::string& bitmap) {
  size_t count = 0;
  for (size_t bit = 0; bit < 8 * bitmap.size(); ++bit) count += HasBit(bitmap, bit) ? 1 : 0;
  return count;
}

// Collects the verdict on one file.
class Checker {
 public:
  Checker(const EvidenceFile& file, Verdict* verdict)
      : said_(file.contradiction()), verdict_(*verdict) {}

  // The last step: the certificates have been looked at.
  void Check() {
    verdict_.session_id = ToHex(AsBytes(said_.session_id()));
    verdict_.task = ToHex(AsBytes(said_.config().task()));
    verdict_.round = said_.config().round();
    verdict_.attempt = said_.config().attempt();
    if (said_.session_id().size() != sizeof(Digest)) Fault("the session id has not 32 bytes");
    switch (said_.kind_case()) {
      case Contradiction::kRosters:
        return CheckRosters(said_.rosters());
      case Contradiction::kDealers:
        return CheckDealers(said_.dealers());
      case Contradiction::kSurvivors:
        return CheckSurvivors(said_.survivors());
      case Contradiction::kAdvertises:
        return CheckAdvertises(said_.advertises());
      case Contradiction::kShares:
        return CheckShares(said_.shares());
      default:
        return CheckInputs(said_.inputs());
    }
  }

 private:
  void Fault(std::string text) { verdict_.faults.push_back(std::move(text)); }

  void Claim(const char* kind, const char* claim, CertificateRole role) {
    verdict_.kind = kind;
    verdict_.claim = claim;
    if (!verdict_.signer || verdict_.signer->role == role) return;
    Fault(absl::StrCat("the certificate is that of the ",
                       std::string(RoleName(verdict_.signer->role)), " ", verdict_.signer->name,
                       ", and statements of this kind are made by ",
                       role == CertificateRole::kCoordinator ? "the coordinator" : "members"));
  }

  // Both must be signed, and differ.
  void CheckPair(const Transcript& first, const std::string& first_signature,
                 const Transcript& second, const std::string& second_signature) {
    if (first.bytes() == second.bytes()) Fault("both statements are the same: no contradiction");
    if (!verdict_.signer) return;
    const PublicKey& key = verdict_.signer->key;
    if (!VerifySignature(key, first.bytes(), AsBytes(first_signature))) {
      Fault("the first statement is not signed by the certified key, or was altered");
    }
    if (!VerifySignature(key, second.bytes(), AsBytes(second_signature))) {
      Fault("the second statement is not signed by the certified key, or was altered");
    }
  }

  void CheckRosters(const TwoRosters& rosters) {
    Claim("rosters", "signed two different rosters in one session", CertificateRole::kCoordinator);
    const Digest first = RosterHash(said_, rosters.first().members());
    const Digest second = RosterHash(said_, rosters.second().members());
    CheckPair(Transcript("roster").Add(first), rosters.first().signature(),
              Transcript("roster").Add(second), rosters.second().signature());
    verdict_.first =
        absl::StrCat("a roster of ", rosters.first().members_size(), " members, T1 ", ToHex(first));
    verdict_.second = absl::StrCat("a roster of ", rosters.second().members_size(), " members, T1 ",
                                   ToHex(second));
    CompareRosters(rosters);
    NotProved("who else was shown which of the two");
  }

  void CompareRosters(const TwoRosters& rosters) {
    std::map<std::string, std::string> second;
    for (const RosterMember& member : rosters.second().members()) {
      second[member.key()] = member.SerializeAsString();
    }
    std::vector<std::string> removed, changed, added;
    for (const RosterMember& member : rosters.first().members()) {
      const std::string id = Short(ClientId(member.key()));
      auto other = second.find(member.key());
      if (other == second.end()) {
        removed.push_back(id);
      } else {
        if (other->second != member.SerializeAsString()) changed.push_back(id);
        second.erase(other);
      }
    }
    for (const auto& [key, entry] : second) added.push_back(Short(ClientId(key)));
    if (!removed.empty()) Difference("only in the first", removed);
    if (!added.empty()) Difference("only in the second", added);
    if (!changed.empty()) Difference("in both, with different session keys", changed);
    if (verdict_.differences.empty()) verdict_.differences = {"the same members in another order"};
  }

  void Difference(const char* what, const std::vector<std::string>& ids) {
    verdict_.differences.push_back(
        absl::StrCat(what, ": ", ids.size() == 1 ? "member " : "members ", Names(ids)));
  }

  void CompareBitmaps(const RosterMembers& roster, const std::string& first,
                      const std::string& second) {
    std::vector<std::string> removed, added;
    for (int i = 0; i < roster.size(); ++i) {
      const auto bit = static_cast<size_t>(i);
      if (HasBit(first, bit) == HasBit(second, bit)) continue;
      (HasBit(first, bit) ? removed : added).push_back(Short(ClientId(roster.Get(i).key())));
    }
    if (!removed.empty()) Difference("only in the first", removed);
    if (!added.empty()) Difference("only in the second", added);
    if (verdict_.differences.empty()) {
      verdict_.differences = {"the bitmaps differ in bits that stand for nobody"};
    }
  }

  void CheckDealers(const TwoDealerSets& sets) {
    Claim("dealers", "signed two different sets of dealers (U2) for one roster",
          CertificateRole::kCoordinator);
    const Digest t1 = RosterHash(said_, sets.roster());
    const Digest first = DealersHash(t1, sets.first().bitmap());
    const Digest second = DealersHash(t1, sets.second().bitmap());
    CheckPair(Transcript("u2").Add(first), sets.first().signature(), Transcript("u2").Add(second),
              sets.second().signature());
    DescribeSets("T2", first, sets.first().bitmap(), second, sets.second().bitmap());
    CompareBitmaps(sets.roster(), sets.first().bitmap(), sets.second().bitmap());
    NotProved("who else was shown which of the two");
  }

  void CheckSurvivors(const TwoSurvivorSets& sets) {
    Claim("survivors", "signed two different sets of survivors (U3) for one set of dealers",
          CertificateRole::kCoordinator);
    const Digest t2 = DealersHash(RosterHash(said_, sets.roster()), sets.dealers());
    const Digest first = SurvivorsHash(t2, sets.first().bitmap());
    const Digest second = SurvivorsHash(t2, sets.second().bitmap());
    CheckPair(Transcript("u3").Add(first), sets.first().signature(), Transcript("u3").Add(second),
              sets.second().signature());
    DescribeSets("T3", first, sets.first().bitmap(), second, sets.second().bitmap());
    CompareBitmaps(sets.roster(), sets.first().bitmap(), sets.second().bitmap());
    NotProved("who else was shown which of the two, and that anybody released shares for both");
  }

  void DescribeSets(const char* hash, const Digest& first, const std::string& first_bitmap,
                    const Digest& second, const std::string& second_bitmap) {
    verdict_.first = absl::StrCat(CountBits(first_bitmap), " members, ", hash, " ", ToHex(first));
    verdict_.second =
        absl::StrCat(CountBits(second_bitmap), " members, ", hash, " ", ToHex(second));
  }

  Transcript AdvertiseStatement(const Digest& config_hash, const SignedKeys& keys) const {
    return Transcript("advertise")
        .Add(said_.session_id())
        .Add(config_hash)
        .Add(keys.enc_key())
        .Add(keys.mask_key())
        .Add(keys.nonce());
  }

  void CheckAdvertises(const TwoAdvertises& advertises) {
    Claim("keys", "signed two different sets of session keys in one session",
          CertificateRole::kMember);
    const Digest config_hash = ConfigHash(said_.config());
    CheckPair(AdvertiseStatement(config_hash, advertises.first()), advertises.first().signature(),
              AdvertiseStatement(config_hash, advertises.second()),
              advertises.second().signature());
    verdict_.first = absl::StrCat("nonce ", ToHex(AsBytes(advertises.first().nonce())));
    verdict_.second = absl::StrCat("nonce ", ToHex(AsBytes(advertises.second().nonce())));
    NotProved(
        "that the member meant it: a member that is restarted and then offered the same session "
        "once more, which an honest coordinator never does, signs two as well");
  }

  // Where the signer stands in the roster. nullopt, and a fault, if it does not.
  std::optional<uint32_t> Position(const RosterMembers& roster) {
    if (!verdict_.signer) return std::nullopt;
    for (int i = 0; i < roster.size(); ++i) {
      if (roster.Get(i).key() == ToString(verdict_.signer->key)) return static_cast<uint32_t>(i);
    }
    Fault("the certified member is not in the roster that the statements are about");
    return std::nullopt;
  }

  void CheckShares(const TwoShares& shares) {
    Claim("shares", "signed two different sets of shares for one roster", CertificateRole::kMember);
    const std::optional<uint32_t> self = Position(shares.roster());
    const Digest t1 = RosterHash(said_, shares.roster());
    auto statement = [&](const SignedShares& said) {
      return Transcript("shares")
          .Add(t1)
          .AddU32(self.value_or(0))
          .Add(said.root())
          .Add(said.commit_seed());
    };
    if (self) {
      CheckPair(statement(shares.first()), shares.first().signature(), statement(shares.second()),
                shares.second().signature());
    }
    verdict_.first = absl::StrCat("tree of shares ", ToHex(AsBytes(shares.first().root())));
    verdict_.second = absl::StrCat("tree of shares ", ToHex(AsBytes(shares.second().root())));
  }

  void CheckInputs(const TwoInputs& inputs) {
    Claim("inputs", "signed two different masked inputs for one set of dealers",
          CertificateRole::kMember);
    const std::optional<uint32_t> self = Position(inputs.roster());
    const Digest t2 = DealersHash(RosterHash(said_, inputs.roster()), inputs.dealers());
    auto statement = [&](const SignedInput& said) {
      return Transcript("masked")
          .Add(t2)
          .AddU32(self.value_or(0))
          .Add(said.packed_hash())
          .Add(said.void_bitmap());
    };
    if (self) {
      CheckPair(statement(inputs.first()), inputs.first().signature(), statement(inputs.second()),
                inputs.second().signature());
    }
    verdict_.first =
        absl::StrCat("input with SHA-256 ", ToHex(AsBytes(inputs.first().packed_hash())));
    verdict_.second =
        absl::StrCat("input with SHA-256 ", ToHex(AsBytes(inputs.second().packed_hash())));
  }

  void NotProved(const char* what) { verdict_.not_proved.push_back(what); }

  const Contradiction& said_;
  Verdict& verdict_;
};

}  // namespace

std::string EncodeEvidence(const Contradiction& contradiction, const EvidenceSigner& signer) {
  EvidenceFile file;
  file.set_format(kEvidenceFormat);
  file.set_ca_certificate(signer.ca_certificate);
  file.set_signer_certificate(signer.certificate);
  *file.mutable_contradiction() = contradiction;
  return file.SerializeAsString();
}

absl::StatusOr<EvidenceFile> DecodeEvidence(std::string_view bytes) {
  DURE_RETURN_IF_ERROR(AtMost("contents", bytes.size(), kMaxEvidenceBytes));
  EvidenceFile file;
  if (!file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Refuse("its bytes are no EvidenceFile of docs/formats/evidence.md");
  }
  if (file.format() != kEvidenceFormat) {
    return Refuse(absl::StrCat("it does not begin with the format \"", kEvidenceFormat, "\""));
  }
  DURE_RETURN_IF_ERROR(
      AtMost("the CA's certificate", file.ca_certificate().size(), kMaxCertificateBytes));
  DURE_RETURN_IF_ERROR(
      AtMost("the signer's certificate", file.signer_certificate().size(), kMaxCertificateBytes));
  const secagg::RoundConfig& config = file.contradiction().config();
  for (const std::string* name :
       {&config.task(), &config.model_hash(), &config.mechanism(), &config.rotation_seed(),
        &config.weighting(), &config.graph_rule()}) {
    DURE_RETURN_IF_ERROR(AtMost("a field of the config", name->size(), kMaxNameBytes));
  }
  DURE_RETURN_IF_ERROR(CheckKind(file.contradiction()));
  file.DiscardUnknownFields();
  if (file.SerializeAsString() != bytes) {
    return Refuse("it has fields that are unknown, or written in another way than the format's");
  }
  return file;
}

Verdict VerifyEvidence(const EvidenceFile& file, const std::optional<std::string>& ca_certificate) {
  Verdict verdict;
  verdict.ca_fingerprint = CertificateFingerprint(file.ca_certificate());
  if (ca_certificate && *ca_certificate != file.ca_certificate()) {
    verdict.faults.push_back("the certificates are of another enrolment CA than the given one");
  }
  if (auto ca = ParseCaCertificate(file.ca_certificate()); ca.ok()) {
    verdict.ca = *std::move(ca);
  } else {
    verdict.faults.emplace_back(ca.status().message());
  }
  auto signer = VerifyCertificateAtAnyTime(file.signer_certificate(), file.ca_certificate());
  if (signer.ok()) {
    verdict.signer = *std::move(signer);
    verdict.key_fingerprint = CertificateFingerprint(ToString(verdict.signer->key));
  } else if (verdict.ca) {
    verdict.faults.emplace_back(signer.status().message());
  }
  Checker(file, &verdict).Check();
  return verdict;
}

}  // namespace dure::audit
