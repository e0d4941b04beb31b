// Evidence files (docs/formats/evidence.md): two signed statements with which one signer
// contradicted itself, and everything that is needed to check that without having been there.
// Thread-safe: pure functions.
#ifndef DURE_AUDIT_EVIDENCE_H_
#define DURE_AUDIT_EVIDENCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/x509.h"
#include "proto/audit.pb.h"

namespace dure::audit {

inline constexpr char kEvidenceFormat[] = "dure-evidence-1";
inline constexpr uint64_t kMaxEvidenceBytes = uint64_t{4} << 20;
// Members of one roster, and bytes of one bitmap, in evidence.
inline constexpr int kMaxEvidenceMembers = 4096;
inline constexpr size_t kMaxEvidenceBitmapBytes = kMaxEvidenceMembers / 8;

// The certificates, DER, that say whose the statements are.
struct EvidenceSigner {
  std::string ca_certificate;
  std::string certificate;
};

// The file's bytes.
std::string EncodeEvidence(const Contradiction& contradiction, const EvidenceSigner& signer);
// Takes exactly what EncodeEvidence gives, with every field within its limit. InvalidArgument with
// the fault. Nothing is verified.
absl::StatusOr<EvidenceFile> DecodeEvidence(std::string_view bytes);

// What a file proves.
struct Verdict {
  // Why it proves nothing; empty: it is proved that the certified key has signed both statements,
  // and that they contradict each other.
  std::vector<std::string> faults;
  bool proved() const { return faults.empty(); }

  // What the file says of itself, proved or not.
  std::string kind;   // "rosters", "dealers", "survivors", "keys", "shares", "inputs"
  std::string claim;  // "signed two different rosters in one session"
  std::string ca_fingerprint;
  std::optional<CaCertificate> ca;    // if the certificate can be read
  std::optional<Certificate> signer;  // if that CA has issued the certificate
  std::string key_fingerprint;        // SHA-256 of its key, as `dure policy` prints it
  std::string session_id;             // hexadecimal, as are the others
  std::string task;                   // digest of the federation's terms
  uint32_t round = 0;
  uint32_t attempt = 0;
  std::string first;  // in words, with the hash that was signed
  std::string second;
  std::vector<std::string> differences;  // in words
  std::vector<std::string> not_proved;   // what must not be concluded
};

// Checks everything that the file claims. `ca_certificate`, DER: the CA that the reader knows;
// absent: the reader compares the fingerprint.
Verdict VerifyEvidence(const EvidenceFile& file,
                       const std::optional<std::string>& ca_certificate = std::nullopt);

}  // namespace dure::audit

#endif  // DURE_AUDIT_EVIDENCE_H_
